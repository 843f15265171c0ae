"""When a CUDA graph runs a network, with stand-ins for the GPU, which test_gpu.py has."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from typing import Any

import pytest
import torch
from fake_gpus import FakeGpus, FakeStream
from small_run import SIZE, small_model

from posebench.errors import CheckpointError, UnsupportedExecutionError
from posebench.networks.policies import apply_policy
from posebench.prediction.devices import Uploader, allowing_tf32
from posebench.prediction.engines import check_execution
from posebench.prediction.engines.batch_probe import fastest_batch, probed_batch
from posebench.prediction.engines.cuda_graphs import (
    CudaNetwork,
    GraphedRuns,
    Run,
    forget_graphs,
    recorded,
)
from posebench.prediction.execution import Execution

CPU = torch.device("cpu")


def double(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (x * 2, x.sum(dim=(1, 2, 3)))


class Gpu:
    """Records networks as `answer` says; a graph takes `graph_seconds`, the network 1 s."""

    def __init__(self, answer: Run = double, graph_seconds: float = 0.5) -> None:
        self.recorded: list[tuple[int, ...]] = []
        self.replays = 0
        self._answer = answer
        self._seconds = graph_seconds
        self._graphs: list[Run] = []

    def record(self, _run: Run, x: torch.Tensor) -> Run:
        self.recorded.append(tuple(x.shape))

        def replay(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            self.replays += 1
            return self._answer(x)

        self._graphs.append(replay)
        return replay

    def seconds(self, run: Run, _x: torch.Tensor) -> float:
        return self._seconds if run in self._graphs else 1.0

    def runs(self) -> GraphedRuns:
        return GraphedRuns(double, self.record, self.seconds)


def crops(count: int) -> torch.Tensor:
    return torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(count))


def answers(runs: GraphedRuns, *counts: int) -> None:
    for count in counts:
        for one, other in zip(runs(crops(count)), double(crops(count)), strict=True):
            assert torch.equal(one, other)


def test_a_size_that_comes_again_is_recorded_once_and_then_replayed() -> None:
    gpu = Gpu()
    runs = gpu.runs()
    answers(runs, 4, 4, 4, 4, 3)
    assert gpu.recorded == [(4, 3, 4, 4)]
    assert gpu.replays == 1 + 3  # once to compare
    answers(runs, 3)
    assert gpu.recorded == [(4, 3, 4, 4), (3, 3, 4, 4)]


@pytest.mark.parametrize(
    ("gpu", "why"),
    [
        (Gpu(answer=lambda x: (x * 2.000001, double(x)[1])), "its answers differ"),
        (Gpu(graph_seconds=0.99), "it is not faster"),
    ],
)
def test_a_graph_that_answers_otherwise_or_does_not_pay_is_left(
    gpu: Gpu, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="posebench")
    runs = gpu.runs()
    answers(runs, 4, 4, 4, 4)
    assert len(gpu.recorded) == 1 and gpu.replays == 1
    assert why in caplog.text


def test_a_graph_that_only_knows_the_recorded_crops_is_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="posebench")

    def stale(run: Run, x: torch.Tensor) -> Run:
        first = run(x)
        return lambda _: first

    # Crops of zeros, as they are when batch sizes are tried, are their own mirror image.
    blank = torch.zeros(4, 3, 4, 4)
    for first in (crops(4), blank):
        runs = GraphedRuns(double, stale, lambda run, _: 1.0 if run is double else 0.5)
        for x in (first, first, blank, crops(4)):
            for one, other in zip(runs(x), double(x), strict=True):
                assert torch.equal(one, other)
    assert caplog.text.count("its answers differ") == 2


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (
            "operation not permitted when stream is capturing\nmore",
            "operation not permitted when stream is capturing",
        ),
        ("", "RuntimeError"),
    ],
)
def test_what_cannot_be_recorded_runs_as_it_is(
    said: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="posebench")
    tried: Counter[int] = Counter()

    def fails(_run: Run, x: torch.Tensor) -> Run:
        tried[len(x)] += 1
        raise RuntimeError(said)

    answers(GraphedRuns(double, fails, lambda *_: 1.0), 4, 4, 4)
    assert tried == {4: 1}
    assert f"without a CUDA graph: {why}\n" in caplog.text


class OnGpu(torch.Tensor):
    """Crops that say they are on the second GPU."""

    device = torch.device("cuda:1")


@pytest.mark.parametrize("fails", [False, True])
def test_recording_leaves_the_thread_where_it_was(
    fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = FakeGpus(monkeypatch)
    gpus.fails = fails
    before, streams = gpus.device, dict(gpus.streams)
    ran_on: list[tuple[FakeStream, bool]] = []

    def run(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ran_on.append((gpus.streams[x.device], gpus.recording is not None))
        return double(x)

    if fails:
        with pytest.raises(RuntimeError, match="during capture"):
            recorded(run, crops(2).as_subclass(OnGpu))
    else:
        replay = recorded(run, crops(2).as_subclass(OnGpu))
        first = replay(crops(2).as_subclass(OnGpu))
        assert gpus.replays == 1
        # The next replay overwrites the graph's own answers, not these.
        assert first[0].data_ptr() != replay(crops(2).as_subclass(OnGpu))[0].data_ptr()
    assert (gpus.device, gpus.streams) == (before, streams)
    ((device, beside),) = gpus.recordings
    assert device == beside.device == torch.device("cuda:1")
    assert gpus.error_modes == {"thread_local"}
    assert ran_on == [(beside, False)] * 3 + [(beside, True)]
    assert beside.waited_for == [streams[device]]
    assert streams[device].waited_for == ([] if fails else [beside])


def test_uploads_never_share_a_stream_with_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = FakeGpus(monkeypatch)
    recorded(double, crops(2).as_subclass(OnGpu))
    uploading = Uploader(torch.device("cuda:1"))._stream
    assert uploading is not None and uploading.device == torch.device("cuda:1")
    # Torch has a few streams of each priority, and hands them out in turn.
    assert uploading.priority != gpus.recordings[0][1].priority


def test_graphs_are_few_and_can_be_forgotten() -> None:
    gpu, model = Gpu(), small_model("heatmap")
    runs = gpu.runs()
    for count in range(1, 8):
        answers(runs, count, count, count)
    assert [shape[0] for shape in gpu.recorded] == [1, 2, 3, 4]
    forget_graphs(CudaNetwork(model, CPU, tf32=False, run=runs))
    forget_graphs(model)
    answers(runs, 7, 7)
    assert [shape[0] for shape in gpu.recorded] == [1, 2, 3, 4, 7]


def switches() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def test_networks_of_both_precisions_set_their_own_while_they_start() -> None:
    seen: list[tuple[bool, bool]] = []

    def run(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen.append(switches())
        return (x,)

    model: Any = small_model("heatmap")
    before = switches()
    exact, rounded = (CudaNetwork(model, CPU, each, run) for each in (False, True))
    for network in (exact, rounded, exact):
        network(crops(1))
    assert seen == [(False, False), (True, True), (False, False)]
    assert switches() == before
    with pytest.raises(ZeroDivisionError), allowing_tf32(not before[0]):
        _ = 1 / 0
    assert switches() == before
    assert (exact.spec, exact.stride, exact.fixed_size) == (model.spec, model.stride, None)


def test_tf32_is_refused_on_a_cpu_and_by_other_engines() -> None:
    model = small_model("heatmap")
    with pytest.raises(UnsupportedExecutionError, match="precision of NVIDIA's GPUs"):
        check_execution(model, Execution("torch", "tf32"))
    with pytest.raises(UnsupportedExecutionError, match="does not run this network in tf32"):
        check_execution(model, Execution("openvino", "tf32"))
    check_execution(model, Execution("torch", "tf32", "cuda"), elsewhere=True)


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [
        ({64: 7764, 128: 14000, 256: 19890, 512: 20000}, 256),
        ({64: 10676, 128: 10700, 256: 12559, 512: 12719}, 256),
        ({64: 8145, 128: 8200, 256: 8227, 512: 8227}, 64),
        ({64: 10000, 128: 18000, 256: None}, 128),
        ({64: None}, 64),
        ({64: 6400, 128: 12800, 256: 25600, 512: 51200}, 512),
        ({64: 600, 128: 900}, 64),  # a batch takes so long that its start costs nothing
    ],
)
def test_the_batch_grows_as_long_as_that_pays_and_memory_lasts(
    rates: dict[int, float | None], chosen: int
) -> None:
    tried: list[int] = []

    def rate(size: int) -> float:
        tried.append(size)
        found = rates[size]
        if found is None:
            raise RuntimeError("CUDA out of memory. Tried to allocate\nmore")
        return found

    assert fastest_batch(rate) == chosen
    assert tried == [size for size in rates if size in tried]


@pytest.mark.parametrize(
    ("failures", "chosen", "tried"),
    [
        ({"b": IndexError("index out of range")}, 128, ["a64", "b64", "a128"]),
        ({"a": ValueError("a"), "b": CheckpointError("b")}, 64, ["a64", "b64"]),
        ({}, 64, ["a64", "b64", "a128", "b128"]),  # memory runs out for b
    ],
)
def test_a_network_that_fails_does_not_count_and_memory_ends_the_trials(
    failures: dict[str, Exception],
    chosen: int,
    tried: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="posebench")
    seen: list[str] = []

    def seconds(name: str, _flip_test: bool, size: int, _device: torch.device) -> float:
        seen.append(f"{name}{size}")
        if name in failures:
            raise failures[name]
        if name == "b" and size > 64:
            raise MemoryError
        return 0.05

    module = "posebench.prediction.engines.batch_probe"
    monkeypatch.setattr(f"{module}._seconds", seconds)
    monkeypatch.setattr(f"{module}.fastest_batch", lambda rate: fastest_batch(rate, (64, 128)))
    networks: Any = [("a", True), ("b", False)]
    assert probed_batch(networks, CPU) == chosen
    assert seen == tried
    assert failures or "Batches of 128 crops do not run: MemoryError\n" in caplog.text


def test_memory_for_waiting_crops_is_held_while_sizes_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[torch.Tensor] = []
    counts: list[int] = []
    make = torch.empty

    def noted(*arguments: Any, **options: Any) -> torch.Tensor:
        held.append(make(*arguments, **options))
        return held[-1]

    def seconds(*_: Any) -> float:
        counts.append(sys.getrefcount(held[0]))
        return 1.0

    module = "posebench.prediction.engines.batch_probe"
    monkeypatch.setattr(f"{module}.room_for_crops", lambda _: 1000)
    monkeypatch.setattr(f"{module}._seconds", seconds)
    monkeypatch.setattr(torch, "empty", noted)
    networks: Any = [("a", True)]
    assert probed_batch(networks, CPU) == 64
    counts.append(sys.getrefcount(held[0]))
    assert counts == [3, 2]  # the list and the call, and what holds it meanwhile
    assert [each.nbytes for each in held] == [1000]


def test_without_memory_for_waiting_crops_no_size_is_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="posebench")

    def full(*_: Any, **__: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.\nmore")

    monkeypatch.setattr(torch, "empty", full)
    networks: Any = [("a network that is not run", True)]
    assert probed_batch(networks, CPU) == 64
    assert "64 crops, untried: CUDA out of memory.\n" in caplog.text


def test_networks_are_tried_together_with_their_flip_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    cell = apply_policy(small_model("heatmap"), SIZE, "native")

    def counted(network: Any, x: torch.Tensor, flip_test: bool, *, apart: bool) -> Any:
        sizes.append(len(x) * (1 + flip_test))

    module = "posebench.prediction.engines.batch_probe"
    monkeypatch.setattr(f"{module}.predict_outputs", counted)
    monkeypatch.setattr(f"{module}.fastest_batch", lambda rate: int(rate(2) > 0) and 2)
    assert probed_batch([(cell, True), (cell, False)], CPU) == 2
    assert sizes == [4] * 7 + [2] * 7
