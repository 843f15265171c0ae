"""What is shown while a suite runs: counts, time left, last results."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from small_store import result

from posebench.runner import CheckpointSource
from posebench.sizes import InputSize
from posebench.store import StoredCell
from posebench.suite import CheckpointEntry
from posebench.suite_display import LineDisplay, LiveDisplay, cell_cost, duration
from posebench.suite_plan import SuiteCell, SuiteCheckpoint


def planned(name: str, **changes: Any) -> SuiteCell:
    checkpoint = SuiteCheckpoint(CheckpointSource(Path("a"), "a"), CheckpointEntry("a"))
    return SuiteCell(name, result(**changes), checkpoint, key=(InputSize(64, 48), "native"))


def test_the_live_table_counts_and_shows_the_last_results() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    cells = [planned("a", gflops=1.0), planned("b", gflops=1.0), planned("c", ap=None)]
    with Live(console=console, auto_refresh=False) as live:
        display = LiveDisplay(live)
        display.planned(cells, cells)
        display.started(cells[:1])
        display.progress("heatmap-s 64x48", 3, 10)
        display.finished(StoredCell("a", cells[0].result))
        display.started(cells[1:2])
        shown = Console(file=io.StringIO(), width=100)
        shown.print(live.renderable)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "3 cells (1 failed), 0 done before" in text
    assert "1 done, 1 running, 1 left, about 0 s left" in text
    assert "heatmap-s 64x48" in text and "3/10" in text
    assert "a: AP 50.0, 248.0 instances/s" in text


def test_lines_say_what_came_of_each_cell() -> None:
    stream = io.StringIO()
    display = LineDisplay(Console(file=stream, width=40))
    cells = [planned("a"), planned("b", ap=None)]
    display.planned(cells, cells)
    for cell in cells:
        display.finished(StoredCell(cell.id, cell.result))
    assert stream.getvalue().splitlines() == [
        "2 cells (1 failed), 0 done before",
        "a: AP 50.0, 248.0 instances/s (1 left)",
        "b: failed: no reason (0 left)",
    ]


def test_a_flip_test_costs_a_second_pass() -> None:
    made = result(gflops=0.5, instances=100, flip_test=True)
    assert cell_cost(made) == 100
    assert cell_cost(replace(made, protocol=replace(made.protocol, flip_test=False))) == 50
    assert cell_cost(result(ap=None)) == 0


def test_durations_as_people_say_them() -> None:
    assert [duration(s) for s in (9.4, 61, 3700)] == ["9 s", "1 min 01 s", "1 h 01 min"]
