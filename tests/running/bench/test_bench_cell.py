"""What a cell's measurements run, and what they leave alone; no duration is looked at."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from small_run import SIZE, STRIDE, small_model
from torch import Tensor

from posebench.datasets.requests import DataRequest
from posebench.networks.codecs import own_decoder
from posebench.networks.model import PoseModel
from posebench.networks.policies import CellNetwork
from posebench.networks.sizes import InputSize
from posebench.networks.spec import ModelSpec
from posebench.prediction.engines.cuda_graphs import CudaNetwork, GraphedRuns, Run
from posebench.prediction.execution import Parallelism
from posebench.prediction.predict import NetworkRun, predict
from posebench.prediction.predictions import Predictions
from posebench.running.bench.cell import BenchPlace, BenchSettings, CellBench, bench_cell, steps_of
from posebench.running.bench.parity import parity_of
from posebench.running.bench.timing import Budget
from posebench.running.workload import Workload, load_workload
from posebench.scoring.evaluate import ScoringOptions

BUDGET = Budget(repeats=2, seconds=0.01, warmup=0.0)


@dataclass
class Watched:
    """A network that notes the batches it gets, and takes none of more than five crops."""

    model: PoseModel
    batches: list[int] = field(default_factory=list)
    stride: int = STRIDE
    fixed_size: InputSize | None = None

    @property
    def spec(self) -> ModelSpec:
        return self.model.spec

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        self.batches.append(len(x))
        if len(x) > 5:
            raise RuntimeError("The file was exported for 5 crops.\nAnd so on.")
        outputs: tuple[Tensor, ...] = self.model(x)
        return outputs


@pytest.fixture
def workload(people: Path) -> Workload:
    return load_workload(DataRequest(str(people)), ScoringOptions(), lambda *_: None)


@pytest.fixture
def place(workload: Workload) -> BenchPlace:
    return BenchPlace(workload, Parallelism(batch_size=2), torch.device("cpu"))


def watched_cell(flip_test: bool = True) -> tuple[NetworkRun, Watched]:
    network = Watched(small_model("heatmap"))
    cell, codec = CellNetwork(network, SIZE, SIZE), network.spec.codec
    return NetworkRun(cell, codec, SIZE, flip_test, (own_decoder(codec),)), network


def test_a_cell_keeps_its_predictions_and_says_which_batch_sizes_fail(place: BenchPlace) -> None:
    cell, network = watched_cell()
    steps: list[str] = []
    settings = BenchSettings(BUDGET, (1, 2, 4))
    speed, predictions = bench_cell(cell, (0.5, "fp32"), place, settings, steps.append)
    assert steps == [
        "latency", "latency with pixels", "without network", "end to end",
        "batch size 1", "batch size 2", "batch size 4", "limits",
    ]  # fmt: skip
    assert len(steps) + len(("loading",)) == steps_of(settings)
    assert [(each.batch_size, each.reason) for each in speed.batches] == [
        (1, None), (2, None), (4, "The file was exported for 5 crops."),
    ]  # fmt: skip
    # The flip test doubles a batch; but for one crop, whose answers stand in for the network.
    assert set(network.batches) == {1, 2, 4, 8}
    best = speed.best
    assert best is not None and best.crops_per_second is not None
    limit = speed.conditions.limits["fp32"]
    expected = 2 * 0.5 * 2 * best.crops_per_second.value / limit
    assert speed.share_of_limit == pytest.approx(expected)
    (again,) = predict(
        {"cell": cell},
        place.workload.dataset,
        place.workload.instances,
        parallelism=Parallelism(batch_size=2),
        progress=lambda _done: None,
    )["cell"].values()
    assert again.predictions is not None
    assert (again.predictions.keypoints == predictions.keypoints).all()


def test_every_batch_size_may_have_a_cuda_graph(
    place: BenchPlace,
) -> None:
    recorded: list[int] = []

    def record(run: Run, x: Tensor) -> Run:
        recorded.append(len(x))
        return run

    model = small_model("heatmap")
    runs = GraphedRuns(model, record, lambda *_: 1.0)
    network = CudaNetwork(model, place.device, tf32=False, run=runs)
    cell, _ = watched_cell(flip_test=False)
    cell = replace(cell, network=CellNetwork(network, SIZE, SIZE))
    sizes = 1, 2, 3, 4, 5, 6
    bench_cell(cell, (0.5, "fp32"), place, BenchSettings(BUDGET, sizes), lambda _step: None)
    assert tuple(recorded[-len(sizes) :]) == sizes


def test_the_data_path_is_timed_without_the_network(place: BenchPlace) -> None:
    cell, network = watched_cell(flip_test=False)
    bench = CellBench(cell, place, BUDGET, lambda _step: None)
    bench.without_network()
    # Once, for the shape of its answers.
    assert network.batches == [1]
    bench.end_to_end()
    assert len(network.batches) > 1


def test_parity_tells_the_largest_differences(place: BenchPlace) -> None:
    cell, _ = watched_cell()
    bench = CellBench(cell, place, BUDGET, lambda _step: None)
    _, one = bench.end_to_end()
    keypoints, scores = one.keypoints.copy(), one.keypoint_scores.copy()
    keypoints[0, 0] += (3.0, 4.0)
    keypoints[1, 0] += (0.0, 0.05)
    scores[0, 1] += 0.25
    other: Predictions = replace(one, keypoints=keypoints, keypoint_scores=scores)
    found = parity_of(other, one, ap=None)
    assert (found.keypoints, found.keypoint_scores) == (5.0, pytest.approx(0.25))
    assert found.moved_share == pytest.approx(1 / keypoints[..., 0].size)
