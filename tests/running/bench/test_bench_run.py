"""Benchmarks: what is kept, what goes on, cells that break off, and one that is really measured."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import small_checkpoint

from posebench.errors import UnsupportedExecutionError, UsageError
from posebench.prediction.execution import Execution, Resources
from posebench.results.speed import Speed
from posebench.results.store import StoredCell, read_run
from posebench.running.bench.cell import BenchSettings, steps_of
from posebench.running.bench.measure import MeasureWorker
from posebench.running.bench.run import StepDisplay, measurement, plan_line
from posebench.running.bench.timing import Budget
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Storage
from posebench.running.plan import Place, PlannedCell, plan_suite
from posebench.running.request import RunRequest
from posebench.running.run_suite import run_suite
from posebench.running.sharing.dispatch import CellWork
from posebench.suites.suite import DatasetEntry, ScoringEntry, Suite

BRIEF = BenchSettings(Budget(repeats=2, seconds=0.01, warmup=0.0), (1, 3))


@pytest.fixture
def folder(tmp_path: Path, people: Path) -> Path:
    """Return a folder with a checkpoint of each paradigm, a broken one, and a data set."""
    for paradigm in ("heatmap", "simcc"):
        small_checkpoint(tmp_path / f"{paradigm}.safetensors", paradigm)
    (tmp_path / "broken.safetensors").write_bytes(b"no checkpoint")
    shutil.copytree(people, tmp_path / "people")
    return tmp_path


def request(folder: Path, *names: str, **suite: Any) -> RunRequest:
    """Return a request for checkpoints of the folder, without intervals."""
    files = tuple(f"{name}.safetensors" for name in names)
    data, scoring = (DatasetEntry("people", limit=2),), ScoringEntry(replicates=0)
    made = Suite("bench", "d", files, data, scoring=scoring, batch_size=3, **suite)
    return RunRequest(made, (), folder, folder / "out", resources=Resources(threads=1))


def measured(asked: RunRequest, work: CellWork, report: Any = lambda *_: None) -> list[str]:
    """Run a benchmark and return the ids of cells as they are finished."""
    finished: list[str] = []

    class Recorder(StepDisplay):
        def finished(self, cell: StoredCell) -> None:
            finished.append(cell.id)
            super().finished(cell)

    run_suite(asked, Recorder(BRIEF, report), work)
    return finished


class Kills(MeasureWorker):
    """A worker whose process is killed by the first heatmap cell."""

    def __call__(self, cells: Sequence[PlannedCell], send: Any) -> None:
        if "heatmap_64x48" in cells[0].id:
            os.kill(os.getpid(), signal.SIGKILL)
        super().__call__(cells, send)


def killing(settings: BenchSettings) -> CellWork:
    return replace(measurement(settings), worker=partial(Kills, settings))


def test_a_cell_whose_process_is_killed_fails_alone_and_what_is_done_is_kept(folder: Path) -> None:
    asked = request(folder, "broken", "heatmap", "simcc", sizes=("native", "96x80"))
    shown: list[tuple[str, int, int]] = []
    measured(asked, killing(BRIEF), lambda *counts: shown.append(counts))
    results = {cell.id.split("gt_")[1]: cell.result for cell in read_run(folder / "out").cells}
    assert {name: result.status for name, result in results.items()} == {
        "broken": "failed",
        "heatmap_64x48_native_flip_quarter": "failed",
        "heatmap_96x80_native_flip_quarter": "ok",
        "simcc_64x48_native_flip_argmax": "ok",
        "simcc_96x80_native_flip_argmax": "unsupported",
    }
    reason = results["heatmap_64x48_native_flip_quarter"].reason
    assert reason is not None and "memory runs out" in reason
    for name in ("heatmap_96x80_native_flip_quarter", "simcc_64x48_native_flip_argmax"):
        check(results[name].speed)
    steps = steps_of(BRIEF)
    counts = [(done, total) for label, done, total in shown if label == "measuring"]
    assert counts[-1] == (2 * steps, 3 * steps)
    labels = [label for label, *_ in shown]
    assert any(each.endswith("simcc_64x48_native_flip_argmax: batch size 3") for each in labels)
    # What is measured stays; a cell that failed is tried again where that is asked for.
    before = [cell.result for cell in read_run(folder / "out").cells]
    left = [name.split("gt_")[1] for name in measured(asked, measurement(BRIEF))]
    assert left == ["broken", "simcc_96x80_native_flip_argmax"]
    assert [cell.result for cell in read_run(folder / "out").cells] == before
    again = measured(replace(asked, retry_failed=True), measurement(BRIEF))
    assert any("heatmap_64x48" in name for name in again)
    assert read_run(folder / "out").record.bench is not None


def test_timings_of_two_settings_do_not_mix(folder: Path) -> None:
    asked = request(folder, "broken")
    assert len(measured(asked, measurement(BRIEF))) == 1
    other = replace(BRIEF, batch_sizes=(1,))
    with pytest.raises(UsageError, match="do not mix"):
        measured(asked, measurement(other))
    with pytest.raises(UsageError, match="do not mix"):
        run_suite(asked, StepDisplay(BRIEF, lambda *_: None))


def test_the_plan_says_how_long_it_takes_at_least() -> None:
    settings = BenchSettings(Budget(5, seconds=2.0, warmup=0.5), batch_sizes=(1, 8), parity=True)
    line = plan_line(settings, 12)
    assert "12 cells in 9 steps each" in line
    assert "at least 4 min" in line  # 12 cells, 7 steps of 2.5 s
    assert "1 cell in" in plan_line(settings, 1) and "at least 18 s" in plan_line(settings, 1)


@pytest.fixture
def torch_threads() -> Any:
    """Give torch its threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def check(speed: Speed | None) -> Speed:
    assert speed is not None
    assert [each.batch_size for each in speed.batches] == [1, 3]
    numbers = (speed.without_network, speed.end_to_end, speed.latency.p50)
    assert all(len(each.repeats) == 2 and each.value > 0 and not each.stable for each in numbers)
    assert (speed.conditions.threads, speed.conditions.batch_size) == (1, 3)
    return speed


def worker_and_cell(
    folder: Path, settings: BenchSettings, **suite: Any
) -> tuple[MeasureWorker, PlannedCell]:
    """Return what measures in this process, and a heatmap cell."""
    asked, loaded = request(folder, "heatmap", **suite), LoadedCheckpoints()
    plan = plan_suite(asked.suite, Place(folder, Storage()), loaded, lambda *_: None)
    asked = replace(asked, resources=asked.all_resources)
    return MeasureWorker(settings, asked, plan.workloads, loaded, "cpu"), plan.cells[0]


@pytest.mark.usefixtures("torch_threads")
def test_a_cell_is_measured_and_scored(folder: Path) -> None:
    steps: list[str] = []
    settings = replace(BRIEF, parity=True)
    worker, cell = worker_and_cell(folder, settings)
    done = worker.measure(cell, steps.append).result
    speed = check(done.speed)
    assert len(steps) == steps_of(settings)
    assert done.instances_per_second == speed.end_to_end.value
    assert done.metrics is not None and done.metrics["AP"] is not None
    assert set(speed.conditions.limits) == {"fp32", "bf16"}
    # Untrained weights are ill-conditioned; the default must still answer as eager fp32 does.
    assert speed.parity is not None and speed.parity.keypoint_scores < 1e-4
    assert speed.memory.process is None or speed.memory.process > 2**20


@pytest.mark.usefixtures("torch_threads")
def test_an_engine_that_cannot_run_is_said_and_not_measured(folder: Path) -> None:
    worker, cell = worker_and_cell(folder, BRIEF)
    key = replace(cell.runs.key, execution=Execution("eager", "int8"))
    sent: list[Any] = []
    worker([replace(cell, network=replace(cell.runs, key=key))], sent.append)
    shown = [call for call, _ in sent]
    assert shown == ["started", "progress", "finished"]  # it is loaded, and no more
    (stored,) = [arguments[0] for call, arguments in sent if call == "finished"]
    assert (stored.result.status, stored.result.speed) == ("unsupported", None)
    assert "int8" in str(stored.result.reason)
    steps: list[str] = []
    with pytest.raises(UnsupportedExecutionError):
        worker.measure(replace(cell, network=replace(cell.runs, key=key)), steps.append)
    assert steps == ["loading"]
