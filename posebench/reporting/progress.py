"""Progress bars with rate and time left on a terminal's standard error, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from posebench.prediction.execution import Progress
from posebench.reporting.messages import as_line


@contextmanager
def progress_bars(unit: str) -> Iterator[Progress]:
    """Yield a function that shows `done` of `total` units of the task called `label`."""
    if not sys.stderr.isatty():
        yield lambda _label, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as Bars,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    rate = TextColumn("{task.fields[rate]}")
    with Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        rate,
        # A bar that is full says how long it took, not that nothing is left to do.
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(stderr=True),
        transient=True,
    ) as bars:
        tasks: dict[str, TaskID] = {}

        def report(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(as_line(label), total=total, rate="")
            speed = next(task.speed for task in bars.tasks if task.id == tasks[label])
            shown = "" if speed is None else f"{speed:.1f} {unit}/s"
            bars.update(tasks[label], completed=done, total=total, rate=shown)

        yield report
