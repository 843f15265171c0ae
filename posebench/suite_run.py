"""Run a suite: every cell that is not done yet, each written to the run directory when it is."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Protocol

import posebench
from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.report import LoadReport
from posebench.claims import Claim
from posebench.errors import PosebenchError, UsageError
from posebench.evaluation.estimates import Resampling
from posebench.execution import Parallelism, Resources
from posebench.planning import PlannedCell, Storage, plan_cell, reason_of
from posebench.records import mapping_from_record
from posebench.resources import share_out
from posebench.results import CellResult, Intervals, environment
from posebench.runner import FinishedCell, run_planned
from posebench.store import (
    PREDICTIONS,
    SCHEMA_VERSION,
    RunRecord,
    StoredCell,
    has_table,
    locked,
    read_cell,
    start_run,
    write_cell,
)
from posebench.suite import Suite
from posebench.suite_plan import Place, SuiteCell, SuitePlan, plan_suite, resampling, suite_grid

# Bytes of checkpoint files whose cells run together; in memory weights take up to three times it.
_WEIGHTS_OF_A_PASS = 2**30


@dataclass(frozen=True)
class RunRequest:
    """What to run: a suite, the folder its paths are relative to, and where results go.

    `only` is a pattern of cell ids; `retry_failed` runs failed cells again; `source` is where
    the suite was read.
    """

    suite: Suite
    claims: tuple[Claim, ...]
    folder: Path
    out: Path
    only: str | None = None
    limit: int | None = None
    retry_failed: bool = False
    device: str = "cpu"
    resources: Resources = field(default_factory=Resources)
    source: str = ""


class Display(Protocol):
    """What is shown while a suite runs."""

    def progress(self, label: str, done: int, total: int) -> None:
        """Show how far the current step is."""
        ...

    def planned(self, cells: Sequence[SuiteCell], pending: Sequence[SuiteCell]) -> None:
        """Show what will run."""
        ...

    def started(self, cells: Sequence[SuiteCell]) -> None:
        """Show that cells of one network run now."""
        ...

    def finished(self, cell: StoredCell) -> None:
        """Show a cell that is done."""
        ...


def run_suite(request: RunRequest, display: Display) -> None:
    """Run what is left of a suite.

    Results that are in the run directory already are kept if they were made of the same
    checkpoint, data, protocol and version. Raises `PosebenchError` for what cannot be used at
    all; a cell that fails is a result. On Ctrl-C what is done is kept.
    """
    batch_size = request.resources.batch_size or request.suite.batch_size
    resources = replace(request.resources, batch_size=batch_size)
    parallelism, settings = share_out(resources, request.device)
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
                display.finished(_store(request.out, cell, FinishedCell(cell.result)))
        pending = [cell for cell in pending if cell.result.status == "ok"]
        _run_pending(request, plan, pending, parallelism, display)


def plan_of(request: RunRequest, display: Display) -> SuitePlan:
    """Return all cells of the suite."""
    place = Place(request.folder, storage_of(request), request.limit, request.device)
    return plan_suite(request.suite, place, display.progress)


def storage_of(request: RunRequest) -> Storage:
    """Return where a run keeps its predictions."""
    return Storage(predictions=request.out / PREDICTIONS)


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
    if stored is None or stored.posebench != posebench.__version__:
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


def _run_pending(
    request: RunRequest,
    plan: SuitePlan,
    pending: Sequence[SuiteCell],
    parallelism: Parallelism,
    display: Display,
) -> None:
    """Run cells, pass by pass: those of one pass share images, crops and loaded checkpoints."""
    for cells in passes(pending):
        display.started(cells)
        groups: list[tuple[list[SuiteCell], LoadReport]] = []
        planned: list[PlannedCell] = []
        for _, own in groupby(cells, key=lambda cell: cell.checkpoint.source.path):
            of_checkpoint = list(own)
            source = of_checkpoint[0].checkpoint.source
            try:
                loaded = load_checkpoint(source.path, source.spec_file)
            except Exception as error:
                reason = reason_of(error, source.name)
                for cell in of_checkpoint:
                    failed = replace(cell.result, status="failed", reason=reason)
                    display.finished(_store(request.out, cell, FinishedCell(failed)))
                continue
            for _, together in groupby(of_checkpoint, key=lambda cell: (cell.axes, cell.key)):
                decoders = list(together)
                groups.append((decoders, loaded.report))
                planned.append(_planned(request, plan, loaded, decoders))
        workload, label = plan.workloads[cells[0].workload], _label(cells)
        advance = partial(display.progress, label)
        outcomes = run_planned(planned, workload, parallelism, advance)
        for group, report in groups:
            for cell in group:
                display.finished(_store(request.out, cell, next(outcomes), report))


def passes(pending: Sequence[SuiteCell]) -> Iterator[list[SuiteCell]]:
    """Yield cells that run together: of one data set, with weights that fit in memory together."""
    group: list[SuiteCell] = []
    files: dict[Path, int] = {}
    for cell in pending:
        path = cell.checkpoint.source.path
        size = path.stat().st_size if path.is_file() else 0
        full = path not in files and sum(files.values()) + size > _WEIGHTS_OF_A_PASS
        if group and (full or cell.workload != group[0].workload):
            yield group
            group, files = [], {}
        group.append(cell)
        files[path] = size
    if group:
        yield group


def _planned(
    request: RunRequest, plan: SuitePlan, loaded: Checkpoint, cells: Sequence[SuiteCell]
) -> PlannedCell:
    """Plan one run of a network again, for the decoders whose results are asked for."""
    first = cells[0]
    assert first.key is not None and first.axes is not None
    workload, facts = plan.workloads[first.workload], first.result.checkpoint
    decoders = tuple(cell.decoder for cell in cells)
    grid = replace(suite_grid(plan.suite, first.axes), decoders=decoders)
    return plan_cell(loaded, facts, first.key, workload, grid, storage_of(request))


def _label(cells: Sequence[SuiteCell]) -> str:
    """Return what a pass is called while it runs."""
    names = dict.fromkeys(cell.checkpoint.source.name for cell in cells)
    more = len(names) - 1
    return next(iter(names)) + (f" and {more} more" if more else "")


def _store(
    folder: Path, cell: SuiteCell, done: FinishedCell, report: LoadReport | None = None
) -> StoredCell:
    stored = StoredCell(
        cell.id,
        done.result,
        dict(cell.checkpoint.entry.labels),
        keypoints=done.keypoints,
        posebench=posebench.__version__,
        predictions=None if done.predictions is None else done.predictions.stem,
        load_report=None if report is None else mapping_from_record(report),
    )
    return write_cell(folder, stored, done.table)
