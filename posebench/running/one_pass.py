"""Passes of a suite: cells that run together, each written to the run directory when it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Protocol

from posebench.__version__ import __version__
from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.load_report import LoadReport
from posebench.files.records import mapping_from_record
from posebench.prediction.execution import Parallelism, Resources
from posebench.results.store import PREDICTIONS, StoredCell, write_cell
from posebench.running.cells import PlannedCell, Storage, plan_cell, reason_of
from posebench.running.passes import most_cells, pass_name, passes
from posebench.running.plan import SuiteCell, SuitePlan, suite_grid
from posebench.running.run_cells import run_planned
from posebench.running.scored import FinishedCell
from posebench.suites.claims import Claim
from posebench.suites.suite import Suite


@dataclass(frozen=True)
class RunRequest:
    """What to run: a suite, the folder its paths are relative to, and where results go.

    `only` is a pattern of cell ids; `retry_failed` runs failed cells again; `devices` of one kind
    share the cells; `source` is where the suite was read.
    """

    suite: Suite
    claims: tuple[Claim, ...]
    folder: Path
    out: Path
    only: str | None = None
    limit: int | None = None
    retry_failed: bool = False
    devices: tuple[str, ...] = ("cpu",)
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


def passes_on(pending: Sequence[SuiteCell], devices: int) -> list[list[SuiteCell]]:
    """Return which cells run together: all of a data set, as far as memory allows.

    For several devices each checkpoint runs by itself, and each of its cells where there are
    fewer checkpoints than devices, so that all have work.
    """
    if devices == 1:
        by_data = groupby(pending, key=lambda cell: cell.workload)
        return [group for _, cells in by_data for group in _passes(list(cells))]
    by_checkpoint = groupby(pending, key=lambda cell: (cell.workload, _file(cell)))
    groups = [list(cells) for _, cells in by_checkpoint]
    if len(groups) >= devices:
        return groups
    return [list(own) for cells in groups for _, own in groupby(cells, key=_network)]


def _passes(cells: Sequence[SuiteCell]) -> Iterator[list[SuiteCell]]:
    protocol = cells[0].result.protocol
    return passes(cells, _file, most_cells(protocol.instances, len(protocol.sigmas)))


def _file(cell: SuiteCell) -> Path:
    return cell.checkpoint.source.path


def _network(cell: SuiteCell) -> tuple[object, object]:
    """Return what tells apart the networks of a checkpoint: several decoders share one."""
    return cell.axes, cell.key


def storage_of(request: RunRequest) -> Storage:
    """Return where a run keeps its predictions."""
    return Storage(predictions=request.out / PREDICTIONS)


def run_cells(
    request: RunRequest,
    plan: SuitePlan,
    cells: Sequence[SuiteCell],
    parallelism: Parallelism,
    display: Display,
) -> None:
    """Run one pass: cells that share images, crops and loaded checkpoints."""
    display.started(cells)
    groups: list[tuple[list[SuiteCell], LoadReport]] = []
    planned: list[PlannedCell] = []
    for _, own in groupby(cells, key=_file):
        of_checkpoint = list(own)
        source = of_checkpoint[0].checkpoint.source
        try:
            loaded = load_checkpoint(source.path, source.spec_file)
        except Exception as error:
            fail_cells(request.out, of_checkpoint, reason_of(error, source.name), display)
            continue
        for _, together in groupby(of_checkpoint, key=_network):
            decoders = list(together)
            groups.append((decoders, loaded.report))
            planned.append(_planned(request, plan, loaded, decoders))
    name = pass_name(cell.checkpoint.source.name for cell in cells)
    workload, advance = plan.workloads[cells[0].workload], partial(display.progress, name)
    outcomes = run_planned(planned, workload, parallelism, advance)
    for group, report in groups:
        for cell in group:
            display.finished(store_cell(request.out, cell, next(outcomes), report))


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


def fail_cells(folder: Path, cells: Sequence[SuiteCell], reason: str, display: Display) -> None:
    """Store cells as failed."""
    for cell in cells:
        failed = FinishedCell(replace(cell.result, status="failed", reason=reason))
        display.finished(store_cell(folder, cell, failed))


def store_cell(
    folder: Path, cell: SuiteCell, done: FinishedCell, report: LoadReport | None = None
) -> StoredCell:
    """Write what came of a cell to the run directory."""
    stored = StoredCell(
        cell.id,
        done.result,
        dict(cell.checkpoint.entry.labels),
        keypoints=done.keypoints,
        posebench=__version__,
        predictions=None if done.predictions is None else done.predictions.stem,
        load_report=None if report is None else mapping_from_record(report),
    )
    return write_cell(folder, stored, done.table)
