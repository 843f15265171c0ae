"""`posebench bench` as a user meets it, with measurements that take no time."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_run import small_checkpoint
from small_speed import speed

from posebench.running.bench import run as bench_run
from posebench.running.executors import EXECUTORS
from posebench.running.plan import PlannedCell
from posebench.running.request import RunRequest, SentDisplay
from posebench.running.scored import FinishedCell
from posebench.running.storing import store_cell

FAST, SLOW = [100.0, 101.0, 102.0, 101.0, 100.0], [80.0, 81.0, 82.0, 81.0, 80.0]


@pytest.fixture
def rate(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[float]], None]:
    """Return a function that sets what every cell's repeats end to end will be."""

    def pretend(repeats: list[float]) -> None:
        made = speed(repeats)

        class Pretends:
            def __init__(self, _settings: Any, request: RunRequest, *_: Any) -> None:
                self._request = request

            def __call__(self, cells: Sequence[PlannedCell], send: Any) -> None:
                (cell,) = cells
                value = made.end_to_end.value
                done = replace(
                    cell.result, metrics={"AP": 0.5}, instances_per_second=value, speed=made
                )
                stored = store_cell(self._request.out, cell, FinishedCell(done))
                SentDisplay(send).finished(stored)

        monkeypatch.setattr(bench_run, "MeasureWorker", Pretends)
        here = {**EXECUTORS, "processes": EXECUTORS["inline"]}
        monkeypatch.setattr("posebench.running.sharing.dispatch.EXECUTORS", here)

    return pretend


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return small_checkpoint(tmp_path / "weights.safetensors")


def test_bench_writes_what_table_plot_and_compare_read(
    run: Any, rate: Any, weights: Path, people: Path, tmp_path: Path
) -> None:
    common = ("bench", weights, "--dataset", people, "--engine", "own,eager", "--no-flip")
    rate(FAST)
    done = run(*common, "--out", tmp_path / "old", "--json", tmp_path / "old.json")
    assert done.code == 0 and "Measuring 2 cells in 12 steps each" in done.err
    assert f"Run directory: {tmp_path / 'old'}" in done.out
    plain = json.loads((tmp_path / "old.json").read_text(encoding="utf-8"))["results"]
    assert [cell["protocol"]["engine"] for cell in plain] == ["torch", "eager"]
    assert plain[0]["speed"]["end_to_end"]["stable"] is True
    rate(SLOW)
    done = run(*common, "--out", tmp_path / "new", "--format", "md")
    assert done.out.startswith("| checkpoint |") and "| 81.0 |" in done.out

    table = run("table", tmp_path / "old", "--metric", "AP,inst/s,latency ms", "--format", "csv")
    assert "eager,0.5,101.0,10.1" in table.out
    gate = run(
        "compare", tmp_path / "old", tmp_path / "new", "--gate", "speed drop 10% significant"
    )
    assert gate.code == 1 and "slower" in gate.out
    same = run("compare", tmp_path / "old", tmp_path / "old", "--gate", "speed drop 10%")
    assert same.code == 0
    for source in (tmp_path / "old", tmp_path / "old.json"):
        assert run("plot", source, "--kind", "pareto", "--out", tmp_path / "p.svg").code == 0
        assert "milliseconds" in (tmp_path / "p.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--batch-sizes", "1,x"), "Such as 1,8,32."),
        (("--batch-sizes", "0"), "Such as 1,8,32."),
        (("--engine", "tensorrt"), "Valid: compile, eager"),
        (("--format", "html"), "Valid: md, terminal"),
        (("--size", "12"), "12"),
        (("--json", "/"), "is a folder"),
    ],
)
def test_options_that_cannot_be_used(
    run: Any, weights: Path, people: Path, options: tuple[str, str], said: str
) -> None:
    done = run("bench", weights, "--dataset", people, *options)
    assert done.code == 2 and said in done.err


def test_a_checkpoint_that_fails_is_a_row_and_an_exit_code(
    run: Any, people: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint")
    done = run("bench", tmp_path / "broken.pth", "--dataset", people)
    assert done.code == 3 and "failed: broken" in done.out
