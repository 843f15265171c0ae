"""Speeds of two runs: what is told apart, what does not compare, what gates say of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from small_speed import SPEED, speed
from small_store import result, run_folder

from posebench.judging.changes import Comparison
from posebench.judging.comparison import compare_runs
from posebench.judging.gates import parse_gate
from posebench.reporting.printing import text_of
from posebench.reporting.tables.comparison_texts import (
    comparison_json,
    comparison_markdown,
    comparison_table,
)
from posebench.results.speed import measured

FAST = (100.0, 101.0, 102.0, 101.0, 100.0)
SLOW = (80.0, 81.0, 82.0, 81.0, 80.0)
WIDE = (60.0, 70.0, 80.0, 90.0, 95.0)


def bench_run(folder: Path, repeats: Sequence[float], **conditions: object) -> Path:
    made = speed(repeats, **conditions)
    rate = made.end_to_end.value
    return run_folder(folder, {"a": result(speed=made, instances_per_second=rate)})


def compared(
    tmp_path: Path, repeats: Sequence[float], *gates: str, **conditions: object
) -> Comparison:
    old = bench_run(tmp_path / "old", FAST)
    new = bench_run(tmp_path / "new", repeats, **conditions)
    return compare_runs(old, new, [parse_gate(gate) for gate in gates])


@pytest.mark.parametrize(
    ("repeats", "gate", "passes"),
    [
        (SLOW, "speed drop 10%", False),
        (SLOW, "speed drop 10% significant", False),
        (SLOW, "speed drop 30%", True),
        (WIDE, "speed drop 10%", False),
        # Repeats that spread so widely allow no call.
        (WIDE, "speed drop 10% significant", True),
        (FAST, "speed drop 0% significant", True),
    ],
)
def test_gates_on_repeated_speeds(
    tmp_path: Path, repeats: Sequence[float], gate: str, passes: bool
) -> None:
    assert compared(tmp_path, repeats, gate).passed is passes


def test_a_speed_measured_once_is_not_let_pass(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result()})
    new = run_folder(tmp_path / "new", {"a": result(instances_per_second=200.0)})
    assert not compare_runs(old, new, [parse_gate("speed drop 10% significant")]).passed


def test_latency_is_worse_when_it_rises(tmp_path: Path) -> None:
    slower = replace(SPEED.latency, p50=measured([13.0, 13.1, 13.2, 13.1, 13.0]))
    old = bench_run(tmp_path / "old", FAST)
    new = run_folder(tmp_path / "new", {"a": result(speed=replace(speed(FAST), latency=slower))})
    gates = [parse_gate(text) for text in ("latency rise 10%", "latency rise 40%")]
    there, back = compare_runs(old, new, gates), compare_runs(new, old, gates)
    assert [gate.passed for gate in there.gates] == [False, True]
    assert there.gates[0].offenders == (("a", "10.10 -> 13.10 ms"),)
    assert back.passed


def test_speeds_of_two_machines_do_not_compare_and_pass_no_gate(tmp_path: Path) -> None:
    comparison = compared(tmp_path, FAST, "speed drop 10%", "AP drop 0", processor="Another")
    (cell,) = comparison.cells
    assert cell.state == "unchanged" and cell.change("inst/s") is None
    assert cell.speed_reason == "processor (A processor / Another)"
    assert [gate.passed for gate in comparison.gates] == [False, True]
    said = "speeds of 1 cells not comparable: processor (A processor / Another)"
    assert said in text_of(comparison_table(comparison))


def test_a_run_by_other_threads_does_not_compare_in_speed(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result()})
    new = run_folder(tmp_path / "new", {"a": result(instances_per_second=200.0)})
    record = new / "run.yaml"
    record.write_text(record.read_text().replace("threads: 1", "threads: 4"))
    assert compare_runs(old, new, []).cells[0].speed_reason == "threads (1 / 4)"


def test_a_bench_and_a_suite_do_not_compare_in_speed(tmp_path: Path) -> None:
    old = run_folder(tmp_path / "old", {"a": result()})
    new = bench_run(tmp_path / "new", FAST)
    assert compare_runs(old, new, []).cells[0].speed_reason == "only one run is of posebench bench"


def test_formats_show_what_is_faster_slower_or_not_told_apart(tmp_path: Path) -> None:
    comparison = compared(tmp_path, SLOW)
    rows = [
        "| a | inst/s | 101.0 | 81.0 | -20 % | slower |",
        "| a | crops/s | 201.0 | 201.0 | +0 % | not told apart |",
        "| a | latency ms | 10.10 | 10.10 | +0 % | not told apart |",
    ]
    assert set(rows) <= set(comparison_markdown(comparison).splitlines())
    assert "slower" in text_of(comparison_table(comparison))
    changes = json.loads(comparison_json(comparison))["cells"][0]["changes"]
    told = {change["metric"]: change["told"] for change in changes}
    assert (told["inst/s"], told["latency ms"], told["AP"]) == (True, False, None)
    back = compare_runs(tmp_path / "new", tmp_path / "old", [])
    assert "| +25 % | faster |" in comparison_markdown(back)
