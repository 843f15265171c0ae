"""What is shown while a suite trains: bars on a terminal, a line per checkpoint elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress as Bars, TaskID, TextColumn
from rich.text import Text

from posebench.reporting.live import duration
from posebench.reporting.messages import as_line
from posebench.reporting.text_tables import TextTable, terminal_table
from posebench.running.trained.forecast import Forecast
from posebench.running.trained.train_suite import PlannedTraining

# What a training calls its own steps; others are preparations.
_STEPS = "train"


class TrainingShown:
    """Shows trainings: `bars` on a terminal, where there is one, and lines on `console`."""

    def __init__(self, console: Console, bars: Bars | None = None) -> None:
        self._console = console
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._crops: dict[str, int] = {}
        self._settled = set[str]()
        self._reached: dict[str, float] = {}
        self._first: dict[str, float] = {}
        self._started = time.monotonic()

    def begun(self, trainings: Sequence[PlannedTraining]) -> None:
        """Say how many are trained already and how many are left."""
        done = sum(each.record is not None for each in trainings)
        begun = sum(each.begun for each in trainings)
        self._crops = {e.training.name: e.crops for e in trainings if e.record is None}
        going_on = f", {begun} of them go on" if begun else ""
        self._say(
            f"{len(trainings)} checkpoints of the lab: {done} trained before, "
            f"{len(self._crops)} to train{going_on}"
        )
        self._started = time.monotonic()
        if self._bars is not None and self._crops:
            self._tasks[""] = self._bars.add_task("all", total=sum(self._crops.values()), rate="")

    def step(self, name: str, label: str, done: int, total: int) -> None:
        """Show how far a training is."""
        shown = name
        if label == _STEPS:
            # What an earlier run did says nothing of this one's speed.
            self._first.setdefault(name, done / total)
            self._reached[name] = done / total
        else:
            shown = f"{name}: {label}"
        if self._bars is None:
            return
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, rate="")
        task = self._tasks[name]
        self._bars.update(task, description=as_line(shown), completed=done, total=total)
        self._bars.update(self._tasks[""], completed=self._done(), rate=self.pace())

    def finished(self, name: str, reason: str | None) -> None:
        """Say what became of a training, and how much is left."""
        self._settled.add(name)
        self._reached[name] = 1.0
        if self._bars is not None and name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
        left = len(self._crops.keys() - self._settled)
        pace = f", {self.pace()}" if left else ""
        what = "trained" if reason is None else f"could not be trained: {reason}"
        self._say(f"{name}: {what} ({left} left{pace})")

    def pace(self) -> str:
        """Return crops per second over all processes, and the time left."""
        seen = sum(
            (reached - self._first.get(name, reached)) * self._crops.get(name, 0)
            for name, reached in self._reached.items()
        )
        seconds = time.monotonic() - self._started
        if seen <= 0 or seconds <= 0:
            return ""
        left = max(sum(self._crops.values()) - self._done(), 0)
        return f"{seen / seconds:.0f} crops/s, about {duration(left * seconds / seen)} left"

    def _done(self) -> float:
        return sum(self._reached.get(name, 0.0) * crops for name, crops in self._crops.items())

    def _say(self, line: str) -> None:
        self._console.print(Text(as_line(line)), soft_wrap=True)


@contextmanager
def training_display() -> Iterator[TrainingShown]:
    """Yield a display with bars on a terminal, lines on standard error elsewhere."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield TrainingShown(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        yield TrainingShown(console, bars)


def training_table(planned: Sequence[PlannedTraining], found: Forecast) -> TextTable:
    """Return every arm on its data, with the seeds to train and done, and minutes of one thread."""
    groups: dict[tuple[str, ...], list[PlannedTraining]] = {}
    for each in planned:
        labels = each.training.labels
        key = (labels["arm"], labels["data"], labels.get("budget", "1x"))
        groups.setdefault(key, []).append(each)
    rows = []
    for (arm, data, budget), group in groups.items():
        waiting = [each for each in group if each.record is None]
        rate = next((r for e in waiting if (r := found.rates.get(e.training.name))), None)
        rows.append(
            (
                arm,
                data,
                budget,
                " ".join(each.training.labels["seed"] for each in group),
                f"{len(group) - len(waiting)} of {len(group)}",
                f"{group[0].crops}",
                "" if rate is None else f"{rate:.0f}",
                f"{found.seconds(waiting) / 60:.1f}" if rate is not None else "",
            )
        )
    heads = ("arm", "data", "budget", "seeds", "trained", "crops", "crops/s", "CPU minutes")
    return terminal_table(heads, rows, words=3)


def training_line(planned: Sequence[PlannedTraining], found: Forecast, jobs: int) -> str:
    """Return what all trainings that are left cost together."""
    waiting = [each for each in planned if each.record is None]
    seconds = found.seconds(waiting)
    unknown = [each for each in waiting if each.training.name not in found.rates]
    lacking = f"; {len(unknown)} could not be measured" if unknown else ""
    if not waiting:
        return f"All {len(planned)} checkpoints are trained."
    return (
        f"{len(waiting)} of {len(planned)} checkpoints are to be trained: about "
        f"{duration(seconds)} of one thread by speeds measured just now, "
        f"{duration(seconds / jobs)} with {jobs} side by side{lacking}. Evaluations come on top."
    )
