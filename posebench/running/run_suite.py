"""Run a suite: every cell that is not done yet, each written to the run directory when it is."""

from __future__ import annotations

import fnmatch
from dataclasses import replace

from posebench.__version__ import __version__
from posebench.errors import PosebenchError, UsageError
from posebench.files.environment import environment
from posebench.prediction.devices import check_device
from posebench.results.cell import CellResult, Intervals
from posebench.results.store import (
    SCHEMA_VERSION,
    RunRecord,
    has_table,
    locked,
    read_cell,
    start_run,
)
from posebench.running.executors.devices import run_side_by_side
from posebench.running.one_pass import (
    Display,
    RunRequest,
    passes_on,
    run_cells,
    storage_of,
    store_cell,
)
from posebench.running.plan import Place, SuiteCell, SuitePlan, plan_suite, resampling
from posebench.running.resources import share_out
from posebench.running.scored import FinishedCell
from posebench.scoring.statistics.estimates import Resampling


def run_suite(request: RunRequest, display: Display) -> None:
    """Run what is left of a suite.

    Results that are in the run directory already are kept if they were made of the same
    checkpoint, data, protocol and version. Raises `PosebenchError` for what cannot be used at
    all; a cell that fails is a result. On Ctrl-C what is done is kept.
    """
    resources = request.resources.or_batch_size(request.suite.batch_size)
    request = replace(request, resources=resources)
    for device in request.devices:
        check_device(device)
    parallelism, settings = share_out(request.resources, request.devices[0])
    with locked(request.out):
        plan = plan_of(request, display)
        record = RunRecord(
            SCHEMA_VERSION,
            request.suite,
            request.claims,
            tuple(cell.id for cell in plan.cells),
            environment(),
            settings.torch_threads,
            request.source,
            request.limit,
        )
        start_run(request.out, record)
        pending = pending_cells(request, plan)
        display.planned(plan.cells, pending)
        for cell in pending:
            if cell.result.status != "ok":
                display.finished(store_cell(request.out, cell, FinishedCell(cell.result)))
        pending = [cell for cell in pending if cell.result.status == "ok"]
        if len(request.devices) > 1:
            run_side_by_side(request, plan, pending, display)
            return
        for cells in passes_on(pending, 1):
            run_cells(request, plan, cells, parallelism, display)


def plan_of(request: RunRequest, display: Display) -> SuitePlan:
    """Return all cells of the suite."""
    place = Place(request.folder, storage_of(request), request.limit, request.devices[0])
    return plan_suite(request.suite, place, display.progress)


def pending_cells(request: RunRequest, plan: SuitePlan) -> list[SuiteCell]:
    """Return the cells that have no result of this plan yet; raise `UsageError` if none fits."""
    asked = [
        cell
        for cell in plan.cells
        if request.only is None or fnmatch.fnmatch(cell.id, request.only)
    ]
    if not asked:
        raise UsageError(
            f"--only {request.only} fits none of the suite's {len(plan.cells)} cells.",
            hint=f"A cell's id looks like {plan.cells[0].id}; --dry-run lists them all.",
        )
    return [cell for cell in asked if not _is_done(request, cell)]


def _is_done(request: RunRequest, cell: SuiteCell) -> bool:
    try:
        stored = read_cell(request.out, cell.id)
    except PosebenchError:
        return False  # damaged, or of another version: it is made again
    if stored is None or stored.posebench != __version__:
        return False
    if dict(stored.labels) != dict(cell.checkpoint.entry.labels):
        return False
    found = stored.result
    if _inputs(found) != _inputs(cell.result):
        return False
    if found.status == "ok":
        same = _made_with(found.intervals) == resampling(request.suite)
        return same and has_table(request.out, stored)
    return found.status == "failed" and cell.result.status == "ok" and not request.retry_failed


def _inputs(result: CellResult) -> CellResult:
    """Return a result without its outcome."""
    return CellResult(result.checkpoint, result.size, result.policy, "ok", result.protocol)


def _made_with(intervals: Intervals | None) -> Resampling | None:
    return Resampling(intervals.replicates, intervals.seed) if intervals is not None else None
