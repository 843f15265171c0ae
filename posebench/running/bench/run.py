"""A benchmark: the suite's orchestrator with cells that are measured, each in its own process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def plan_line(settings: BenchSettings, cells: int) -> str:
    """Say how much is measured, and how long that takes at least."""
    budget, steps = settings.budget, steps_of(settings)
    timed = steps - 1 - settings.parity  # all but loading and parity
    seconds = cells * timed * (budget.seconds + budget.warmup)
    counted = "1 cell" if cells == 1 else f"{cells} cells"
    least = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    return (
        f"Measuring {counted} in {steps} steps each, of {budget.seconds:g} s after "
        f"{budget.warmup:g} s of warm-up: at least {least}, more where {budget.repeats + 1} "
        "evaluations of all images take longer. Fewer --batch-sizes, --repeats, --seconds or "
        "images (--limit) take less."
    )


class StepDisplay:
    """Shows the steps of all cells as one progress, after a line with the plan."""

    def __init__(
        self,
        settings: BenchSettings,
        report: Progress,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._settings = settings
        self._steps = steps_of(settings)
        self._report = report
        self._say = say
        self._running = set[str]()
        self._done = self._total = 0

    def progress(self, label: str, done: int, total: int) -> None:
        """Show a step of a cell, counted on from those before, or a step of planning."""
        if label.partition(": ")[0] in self._running:
            self._report(f"{_LABEL} {label}", self._done + done, self._total)
        else:
            self._report(label, done, total)

    def planned(
        self,
        _cells: Sequence[PlannedCell],
        pending: Sequence[PlannedCell],
        _done: Mapping[str, StoredCell],
    ) -> None:
        """Count the steps of the cells that run."""
        count = sum(cell.result.status == "ok" for cell in pending)
        self._total = self._steps * count
        if count:
            self._say(plan_line(self._settings, count))

    def started(self, cells: Sequence[PlannedCell]) -> None:
        """Note which cells run."""
        self._running |= {cell.id for cell in cells}

    def finished(self, cell: StoredCell) -> None:
        """Show that all steps of a cell that ran are done."""
        if cell.id in self._running:
            self._done += self._steps
            self._report(_LABEL, self._done, self._total)
