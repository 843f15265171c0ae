"""Write cells to the run directory, and find those it has already."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from posebench.__version__ import __version__
from posebench.errors import PosebenchError
from posebench.files.records import mapping_from_record
from posebench.results.cell import CellResult, Intervals
from posebench.results.store import (
    NewerSchemaError,
    StoredCell,
    has_cell,
    has_table,
    read_cell,
    write_cell,
)
from posebench.running.plan import PlannedCell
from posebench.running.request import Display, RunRequest
from posebench.running.scored import FinishedCell
from posebench.running.workload import resampling
from posebench.scoring.statistics.estimates import Resampling

_log = logging.getLogger(__name__)


def store_cell(folder: Path, cell: PlannedCell, done: FinishedCell) -> StoredCell:
    """Write what came of a cell to the run directory."""
    stored = StoredCell(
        cell.id,
        done.result,
        dict(cell.checkpoint.entry.labels),
        keypoints=done.keypoints,
        posebench=__version__,
        predictions=None if done.predictions is None else done.predictions.stem,
        load_report=None if cell.report is None else mapping_from_record(cell.report),
    )
    return write_cell(folder, stored, done.table, done.replicates)


def fail_cells(folder: Path, cells: Sequence[PlannedCell], reason: str, display: Display) -> None:
    """Store cells as failed."""
    for cell in cells:
        failed = FinishedCell(replace(cell.result, status="failed", reason=reason))
        display.finished(store_cell(folder, cell, failed))


def pending_and_done(
    request: RunRequest, asked: Sequence[PlannedCell]
) -> tuple[list[PlannedCell], dict[str, StoredCell]]:
    """Return the cells that have no result of this plan yet, and the others' results by id."""
    found = {cell.id: stored_cell(request, cell) for cell in asked}
    done = {name: stored for name, stored in found.items() if stored is not None}
    pending = [cell for cell in asked if cell.id not in done]
    _say_what_is_replaced(request, pending)
    return pending, done


def _say_what_is_replaced(request: RunRequest, pending: Sequence[PlannedCell]) -> None:
    if request.retry_failed or request.coco_results is not None:
        return
    others = [cell.id for cell in pending if not _lacks_outputs(cell)]
    replaced = sum(has_cell(request.out, name) for name in others)
    if replaced:
        _log.warning(
            "%s has %d results under these names that were made of another checkpoint, data or "
            "version, with other options, or that are damaged. They are made again.",
            request.out,
            replaced,
        )


def stored_cell(request: RunRequest, cell: PlannedCell) -> StoredCell | None:
    """Return what the run directory has of a cell, None where that is not what is asked for."""
    if request.coco_results is not None or _lacks_outputs(cell):
        return None  # what is asked for besides the run directory is not in it
    try:
        stored = read_cell(request.out, cell.id)
    except NewerSchemaError:
        raise
    except PosebenchError:
        return None  # damaged, or of an older version: it is made again
    return stored if stored is not None and _is_done(request, cell, stored) else None


def _is_done(request: RunRequest, cell: PlannedCell, stored: StoredCell) -> bool:
    if stored.posebench != __version__:
        return False
    if dict(stored.labels) != dict(cell.checkpoint.entry.labels):
        return False
    found = stored.result
    if _inputs(found) != _inputs(cell.result):
        return False
    if found.status == "ok":
        same = _made_with(found.intervals) == resampling(request.suite) and _is_resampled(found)
        official = (found.official is not None) == request.suite.scoring.official
        return same and official and has_table(request.out, stored)
    return found.status == "failed" and cell.result.status == "ok" and not request.retry_failed


def _lacks_outputs(cell: PlannedCell) -> bool:
    raw = None if cell.network is None else cell.network.raw
    return raw is not None and not raw.is_complete


def _inputs(result: CellResult) -> CellResult:
    """Return a result without its outcome."""
    return CellResult(result.checkpoint, result.size, result.policy, "ok", result.protocol)


def _is_resampled(found: CellResult) -> bool:
    """Tell whether every metric was resampled, if any was: version 0.2 left out PCK."""
    return found.intervals is None or found.intervals.low.keys() >= (found.metrics or {}).keys()


def _made_with(intervals: Intervals | None) -> Resampling | None:
    if intervals is None:
        return None
    return Resampling(intervals.replicates, intervals.seed, intervals.method)  # type: ignore[arg-type]
