"""What is shown while a suite runs: a live table on a terminal, one line per cell elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from posebench.reporting.messages import as_line
from posebench.reporting.tables.reasons import reason_lines
from posebench.reporting.text_tables import cell_text, terminal_table
from posebench.reporting.texts import main_text
from posebench.results.findings import finding_lines
from posebench.results.numbers import main_metric
from posebench.results.store import StoredCell
from posebench.running.plan import PlannedCell
from posebench.running.request import Display
from posebench.running.sharing.costs import cell_cost

_LAST_SHOWN = 8
_NAMED = 4
_REFRESH_PER_SECOND = 4


class LineDisplay:
    """One line for each finished cell, for files, pipes and CI logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._left = 0

    def progress(self, label: str, done: int, total: int) -> None:
        """Show nothing: steps within a cell would only fill a log."""

    def planned(
        self,
        cells: Sequence[PlannedCell],
        pending: Sequence[PlannedCell],
        _done: Mapping[str, StoredCell],
    ) -> None:
        """Say what is odd in the data, how many cells there are and how many are left."""
        self._left = len(pending)
        for line in (*finding_lines(cell.result for cell in cells), plan_line(cells, pending)):
            self._say(line)

    def started(self, cells: Sequence[PlannedCell]) -> None:
        """Say what runs together, because it may be long before any of it is done."""
        if line := pass_line(cells):
            self._say(line)

    def finished(self, cell: StoredCell) -> None:
        """Say what came of a cell."""
        self._left -= 1
        self._say(f"{cell_line(cell)} ({self._left} left)")

    def _say(self, line: str) -> None:
        self._console.print(Text(as_line(line)), soft_wrap=True)


class LiveDisplay:
    """Cells done, running and left, the time left, and the last results."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._pending: list[PlannedCell] = []
        self._running: tuple[str, ...] = ()
        self._done: list[StoredCell] = []
        self._steps: dict[str, tuple[int, int]] = {}
        self._pass = ""
        self._started = time.monotonic()
        self._headline = ""

    def progress(self, label: str, done: int, total: int) -> None:
        """Show how far a step is, beside others that are under way."""
        under_way = {name: step for name, step in self._steps.items() if step[0] < step[1]}
        self._steps = {**under_way, label: (done, total)}
        self._show()

    def planned(
        self,
        cells: Sequence[PlannedCell],
        pending: Sequence[PlannedCell],
        _done: Mapping[str, StoredCell],
    ) -> None:
        """Show how many cells there are and how many are left."""
        self._pending = list(pending)
        self._started = time.monotonic()
        found = map(as_line, finding_lines(cell.result for cell in cells))
        self._headline = "\n".join((*found, plan_line(cells, pending)))
        self._show()

    def started(self, cells: Sequence[PlannedCell]) -> None:
        """Show which cells run, beside those that still do."""
        self._running += tuple(cell.id for cell in cells)
        self._pass = pass_line(cells)
        self._show()

    def finished(self, cell: StoredCell) -> None:
        """Show a cell that is done."""
        self._done.append(cell)
        self._running = tuple(name for name in self._running if name != cell.id)
        if not self._running:
            self._steps = {}
        self._show()

    def _show(self) -> None:
        left = len(self._pending) - len(self._done) - len(self._running)
        counts = f"{len(self._done)} done, {len(self._running)} running, {max(left, 0)} left"
        steps = Table.grid(padding=(0, 1))
        for label, (done, total) in self._steps.items():
            steps.add_row(
                Text(as_line(label)), ProgressBar(total or 1, done, width=30), f"{done}/{total}"
            )
        last = [Text(as_line(cell_line(cell))) for cell in self._done[-_LAST_SHOWN:]]
        parts: list[RenderableType] = [Text(self._headline), Text(counts + self._time_left())]
        parts += [Text(as_line(self._pass))] if self._pass else []
        self._live.update(Group(*parts, steps, *last))

    def _time_left(self) -> str:
        """Return the time left, estimated from the cost of the pending cells."""
        cost = {cell.id: cell_cost(cell.result) for cell in self._pending}
        done = sum(cost.get(cell.id, 0.0) for cell in self._done)
        if self._running and self._steps:
            reached, total = map(sum, zip(*self._steps.values(), strict=True))
            done += reached / total * sum(cost.get(name, 0.0) for name in self._running)
        if done <= 0 or len(self._done) >= len(self._pending):
            return ""
        seconds = (time.monotonic() - self._started) * (sum(cost.values()) - done) / done
        # Cells that were just begun, or whose answers are kept, tell little of the others.
        return f", about {duration(seconds)} left" if seconds >= 1 else ", less than a minute left"


@contextmanager
def suite_display() -> Iterator[Display]:
    """Yield a live display on a terminal, lines on standard error elsewhere."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield LineDisplay(console)
        return
    with Live(console=console, transient=True, refresh_per_second=_REFRESH_PER_SECOND) as live:
        yield LiveDisplay(live)


def plan_line(cells: Sequence[PlannedCell], pending: Sequence[PlannedCell]) -> str:
    """Return how many cells a plan has, how many of them run, and how many are done already."""
    counts = Counter(cell.result.status for cell in cells)
    kinds = ", ".join(f"{count} {status}" for status, count in counts.items() if status != "ok")
    known = f" ({kinds})" if kinds else ""
    return f"{len(cells)} cells{known}, {len(cells) - len(pending)} done before"


def pass_line(cells: Sequence[PlannedCell]) -> str:
    """Return which networks share the images of one pass, empty for a single one."""
    networks = len({cell.runs.key for cell in cells})
    names = [*dict.fromkeys(cell.checkpoint.source.name for cell in cells)]
    more = len(names) - _NAMED
    shown = ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{networks} networks in one pass, of {shown}" if networks > 1 else ""


def cell_line(cell: StoredCell) -> str:
    """Return a finished cell in one line."""
    result = cell.result
    if result.status != "ok":
        return f"{cell.id}: {result.status}: {result.reason}"
    speed = result.instances_per_second
    shown = f", {speed:.1f} instances/s" if speed is not None else ""
    return f"{cell.id}: {main_metric([result])} {main_text(result)}{shown}"


def duration(seconds: float) -> str:
    """Show a time span in the units people use."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def plan_table(cells: Sequence[PlannedCell], pending: Sequence[PlannedCell]) -> RenderableType:
    """Return every cell of a plan with its status and cost, and why some cannot run."""
    waiting = {cell.id for cell in pending}
    rows = []
    for cell in cells:
        result = cell.result
        status = "to run" if result.status == "ok" else result.status
        cost = cell_cost(result) / 1000
        rows.append(
            (
                cell.id,
                status if cell.id in waiting else "done or not asked for",
                "" if not cost else f"{cost:.2f}" if cost >= 0.01 else "<0.01",
            )
        )
    table = terminal_table(("cell", "status", "T MACs"), rows, words=2)
    return Group(table, *map(cell_text, reason_lines(cell.result for cell in cells)))
