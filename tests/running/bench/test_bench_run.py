"""Benchmarks: plans, what is kept, cells that break off, and one that is really measured."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_run import small_checkpoint
from small_speed import SPEED

from posebench.datasets.requests import DataRequest
from posebench.errors import CheckpointError, PosebenchError, UsageError
from posebench.networks.sizes import InputSize
from posebench.prediction.execution import Execution, Resources
from posebench.results.cell import CellResult
from posebench.results.speed import Speed
from posebench.results.store import read_run
from posebench.running.bench.cell import BenchSettings, steps_of
from posebench.running.bench.process import BenchJob, measure, measure_apart
from posebench.running.bench.run import BenchRequest, run_bench
from posebench.running.bench.timing import Budget
from posebench.running.plan import CellAxes
from posebench.running.sources import CheckpointSource
from posebench.scoring.evaluate import ScoreChecks, ScoringOptions
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


def request(folder: Path, *names: str, **suite: Any) -> BenchRequest:
    """Return a request for checkpoints of the folder, without intervals."""
    files = tuple(f"{name}.safetensors" for name in names)
    data, scoring = (DatasetEntry("people"),), ScoringEntry(replicates=0)
    made = Suite("bench", "d", files, data, scoring=scoring, **suite)
    return BenchRequest(made, folder, folder / "out", settings=BRIEF)


def job(folder: Path, **changes: Any) -> BenchJob:
    """Return a heatmap checkpoint at its own size."""
    made = BenchJob(
        id="cell",
        labels={},
        out=None,
        source=CheckpointSource(folder / "heatmap.safetensors", "heatmap"),
        key=(InputSize(64, 48), "native"),
        axes=CellAxes(True, Execution()),
        decoder="own",
        resources=Resources(threads=1, batch_size=3),
        data=DataRequest(str(folder / "people"), limit=2),
        scoring=ScoringOptions(),
        checks=ScoreChecks(),
        settings=BRIEF,
    )
    return replace(made, **changes)


def pretended(seen: list[BenchJob]) -> Callable[..., CellResult]:
    """Return a measurement that takes no time, and breaks off for the first heatmap cell."""

    def measured(job: BenchJob, step: Callable[[str], None]) -> CellResult:
        seen.append(job)
        step("loading")
        if len(seen) == 1:
            raise CheckpointError("It broke.", hint="Mend it.")
        raise KeyboardInterrupt

    return measured


def test_cells_that_do_not_run_are_results_and_what_is_done_is_kept(folder: Path) -> None:
    asked = request(
        folder, "broken", "heatmap", "simcc", sizes=("native", "96x80"), engines=("own", "eager")
    )
    seen: list[BenchJob] = []
    shown: list[tuple[str, int, int]] = []
    with pytest.raises(KeyboardInterrupt):
        list(run_bench(asked, lambda *counts: shown.append(counts), pretended(seen)))
    assert [(job.source.name, str(job.key[0]), job.axes.execution.engine) for job in seen] == [
        ("heatmap", "64x48", "torch"), ("heatmap", "96x80", "torch"),
    ]  # fmt: skip
    run = read_run(folder / "out")
    results = [cell.result for cell in run.cells]
    assert [(r.checkpoint.name, r.status) for r in results] == [
        ("broken", "failed"), ("heatmap", "failed"),
    ]  # fmt: skip
    assert results[1].reason == "It broke. Mend it."
    # SimCC has two cells that are unsupported: of the six others the first is done.
    steps = steps_of(BRIEF)
    counts = [(done, total) for label, done, total in shown if label == "measuring"]
    assert counts == [(0, 6 * steps), (steps, 6 * steps), (steps, 6 * steps)]


def test_timings_of_two_runs_do_not_mix(folder: Path) -> None:
    asked = request(folder, "broken")
    assert [r.status for r in run_bench(asked, lambda *_: None)] == ["failed"]
    with pytest.raises(UsageError, match="do not mix"):
        list(run_bench(asked, lambda *_: None))


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


@pytest.mark.usefixtures("torch_threads")
def test_a_cell_is_measured_scored_and_kept(folder: Path) -> None:
    steps: list[str] = []
    settings = replace(BRIEF, parity=True)
    done = measure(job(folder, settings=settings), steps.append)
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
    axes = CellAxes(True, Execution("eager", "int8"))
    steps: list[str] = []
    done = measure(job(folder, axes=axes), steps.append)
    assert (done.status, done.speed, steps) == ("unsupported", None, ["loading"])
    assert done.reason is not None and "int8" in done.reason


class Exit:
    """Ends the process that unpickles it."""

    def __reduce__(self) -> Any:
        return os._exit, (9,)


def test_a_process_that_breaks_off_is_an_error_that_says_so(folder: Path) -> None:
    with pytest.raises(CheckpointError, match="ended with exit code 9"):
        measure_apart(job(folder, labels={"a": Exit()}), lambda _step: None)


def test_a_process_of_its_own_measures_and_hands_on_errors(folder: Path) -> None:
    steps: list[str] = []
    out = folder / "out"
    results = list(run_bench(request(folder, "simcc"), lambda *_: None))
    (stored,) = read_run(out).cells
    assert stored.result == results[0] and stored.table is not None
    assert results[0].speed is not None and results[0].speed != SPEED
    gone = CheckpointSource(folder / "gone.pth", "gone")
    with pytest.raises(PosebenchError, match=r"gone\.pth"):
        measure_apart(job(folder, source=gone), steps.append)
    assert steps == ["loading"]
