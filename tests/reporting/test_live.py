"""What is shown while a suite runs: counts, time left, last results."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from small_store import result

from posebench.networks.codecs import HeatmapCodec
from posebench.networks.sizes import InputSize
from posebench.prediction.execution import Execution
from posebench.reporting.live import LineDisplay, LiveDisplay, duration
from posebench.results.store import StoredCell
from posebench.running.network_plans import NetworkPlan, RunKey
from posebench.running.plan import PlannedCell
from posebench.running.sharing.costs import cell_cost
from posebench.running.sources import CheckpointSource, SuiteCheckpoint
from posebench.suites.suite import CheckpointEntry


def planned(name: str, **changes: Any) -> PlannedCell:
    source = CheckpointSource(Path("a"), "a")
    key = RunKey(0, "a", InputSize(64, 48), "native", True, Execution())
    network = NetworkPlan(key, source, "b" * 64, HeatmapCodec())
    return PlannedCell(
        name, result(**changes), SuiteCheckpoint(source, CheckpointEntry("a")), network
    )


def test_the_live_table_counts_and_shows_the_last_results() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    cells = [planned("a", gflops=1.0), planned("b", gflops=1.0), planned("c", ap=None)]
    with Live(console=console, auto_refresh=False) as live:
        display = LiveDisplay(live)
        display.planned(cells, cells, {})
        display.started(cells[:1])
        display.progress("heatmap-s", 3, 10)
        display.finished(StoredCell("a", cells[0].result))
        display.started(cells[1:2])
        display.progress("simcc-s", 3, 10)
        shown = Console(file=io.StringIO(), width=100)
        shown.print(live.renderable)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert "3 cells (1 failed), 0 done before" in text
    assert "1 done, 1 running, 1 left, less than a minute left" in text
    assert "simcc-s" in text and "3/10" in text and "heatmap-s" not in text
    assert "a: AP 50.0, 248.0 instances/s" in text


def test_the_live_table_shows_devices_side_by_side() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    cells = [planned(name, gflops=1.0) for name in "abc"]
    with Live(console=console, auto_refresh=False) as live:
        display = LiveDisplay(live)
        display.planned(cells, cells, {})
        for index, name in enumerate("ab"):
            display.started(cells[index : index + 1])
            display.progress(f"cuda:{index}: {name}", 5 + index, 10)
        both = Console(file=io.StringIO(), width=100)
        both.print(live.renderable)
        display.progress("cuda:0: a", 10, 10)
        display.finished(StoredCell("a", cells[0].result))
        display.started(cells[2:])
        display.progress("cuda:0: c", 1, 10)
        then = Console(file=io.StringIO(), width=100)
        then.print(live.renderable)
    text = both.file.getvalue()  # type: ignore[attr-defined]
    # 1.1 of 3 cells are behind it, though none is finished.
    assert "0 done, 2 running, 1 left, less than a minute left" in text
    assert "cuda:0: a" in text and "5/10" in text and "cuda:1: b" in text and "6/10" in text
    text = then.file.getvalue()  # type: ignore[attr-defined]
    assert "1 done, 2 running, 0 left" in text
    assert "cuda:0: c" in text and "cuda:1: b" in text and "cuda:0: a" not in text


def test_a_pass_is_said_to_be_one() -> None:
    stream = io.StringIO()
    display = LineDisplay(Console(file=stream, width=40))
    cell = planned("a")
    key = replace(cell.runs.key, size=InputSize(96, 80), policy="resample")
    other = replace(cell, network=replace(cell.runs, key=key))
    display.started([cell])
    assert stream.getvalue() == ""
    display.started([cell, replace(cell, id="another decoder"), other])
    assert stream.getvalue() == "2 networks in one pass, of a\n"


def test_lines_say_what_came_of_each_cell() -> None:
    stream = io.StringIO()
    display = LineDisplay(Console(file=stream, width=40))
    cells = [planned("a"), planned("b", ap=None)]
    display.planned(cells, cells, {})
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
