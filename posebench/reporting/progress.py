"""Progress on standard error: bars with their rate on a terminal; elsewhere lines, or nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from posebench.prediction.execution import Progress
from posebench.reporting.messages import as_line


def print_line(line: str) -> None:
    """Print a line on standard error, as far as somebody reads it."""
    with contextlib.suppress(OSError, ValueError):  # closed, or a pipe that nobody reads
        print(as_line(line), file=sys.stderr, flush=True)


@contextmanager
def progress_bars(unit: str, *, lines: bool = False) -> Iterator[Progress]:
    """Yield a function that shows `done` of `total` units of the task called `label`.

    With `lines`, there is one bar for all labels, which are steps of one task, and where standard
    error is no terminal, a line for each call.
    """
    if not sys.stderr.isatty():
        yield _print_progress if lines else lambda _label, _done, _total: None
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
            bar = "" if lines else label
            if bar not in tasks:
                tasks[bar] = bars.add_task(as_line(label), total=total, rate="")
            speed = next(task.speed for task in bars.tasks if task.id == tasks[bar])
            shown = "" if speed is None else f"{speed:.1f} {unit}/s"
            bars.update(
                tasks[bar], description=as_line(label), completed=done, total=total, rate=shown
            )

        yield report


def _print_progress(label: str, done: int, total: int) -> None:
    print_line(f"{done} of {total}: {label}")
