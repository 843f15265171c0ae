"""A benchmark: the suite's orchestrator with cells that are measured, each in its own process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from posebench.files.records import mapping_from_record
from posebench.prediction.execution import Progress
from posebench.results.store import StoredCell
from posebench.running.bench.cell import BenchSettings, steps_of
from posebench.running.bench.measure import MeasureWorker
from posebench.running.plan import PlannedCell
from posebench.running.sharing.dispatch import CellWork

_LABEL = "measuring"


def measurement(settings: BenchSettings) -> CellWork:
    """Return the work of measuring cells, one by one; runs of other settings do not mix with it."""
    return CellWork(
        jobs=_one_by_one,
        worker=partial(MeasureWorker, settings),
        apart=True,
        record=mapping_from_record(settings),
    )


def _one_by_one(cells: Sequence[PlannedCell], _devices: int) -> list[list[PlannedCell]]:
    return [[cell] for cell in cells]


class StepDisplay:
    """Shows the steps of all cells as one progress."""

    def __init__(self, settings: BenchSettings, report: Progress) -> None:
        self._steps = steps_of(settings)
        self._report = report
        self._running = set[str]()
        self._done = self._total = 0

    def progress(self, label: str, done: int, total: int) -> None:
        """Show a step of a cell, counted on from those before, or a step of planning."""
        if label in self._running:
            self._report(_LABEL, self._done + done, self._total)
        else:
            self._report(label, done, total)

    def planned(
        self,
        _cells: Sequence[PlannedCell],
        pending: Sequence[PlannedCell],
        _done: Mapping[str, StoredCell],
    ) -> None:
        """Count the steps of the cells that run."""
        self._total = self._steps * sum(cell.result.status == "ok" for cell in pending)

    def started(self, cells: Sequence[PlannedCell]) -> None:
        """Note which cells run."""
        self._running |= {cell.id for cell in cells}

    def finished(self, cell: StoredCell) -> None:
        """Show that all steps of a cell that ran are done."""
        if cell.id in self._running:
            self._done += self._steps
            self._report(_LABEL, self._done, self._total)
