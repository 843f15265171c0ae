"""Measure one cell: latencies, batch sizes, the data path alone, and whole evaluations."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.datasets.coco import PoseDataset
from posebench.datasets.images.files import dataset_image
from posebench.errors import CheckpointError, first_line
from posebench.files.environment import environment
from posebench.networks.codecs import decode_by
from posebench.networks.sizes import InputSize
from posebench.networks.spec import ModelSpec
from posebench.prediction import devices
from posebench.prediction.crop_batches import Boxes, CropBatch
from posebench.prediction.device_decoding import decode_on_device
from posebench.prediction.devices import Uploader, synchronise
from posebench.prediction.engines.cuda_graphs import forget_graphs
from posebench.prediction.execution import Parallelism
from posebench.prediction.flip import predict_outputs
from posebench.prediction.geometry import boxes_to_center_scale, input_to_image
from posebench.prediction.lanes import run_in_lanes
from posebench.prediction.predict import NetworkRun, predict
from posebench.prediction.predictions import Predictions
from posebench.results.speed import (
    BatchSpeed,
    Conditions,
    Latency,
    Measured,
    Memory,
    Speed,
    share_of_limit,
)
from posebench.running.bench import machine
from posebench.running.bench.timing import Budget, time_calls, time_rate
from posebench.running.workload import Workload

# How many instances take turns when single crops are timed.
_TURNS = 32
# Sides of square matrices whose product is the machine's limit: they fill a core, and a GPU.
_SIDE, _DEVICE_SIDE = 1024, 8192
_LIMITS = {"fp32": torch.float32, "bf16": torch.bfloat16}
# Without fp16 on a CPU, which may have to imitate it, very slowly.
_DEVICE_LIMITS = {**_LIMITS, "fp16": torch.float16}


@dataclass(frozen=True)
class BenchSettings:
    """What to measure, and how long."""

    budget: Budget = field(default_factory=Budget)
    batch_sizes: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    parity: bool = False


@dataclass(frozen=True)
class BenchPlace:
    """Where a cell is measured: on which data, lanes and device."""

    workload: Workload
    parallelism: Parallelism
    device: torch.device

    @property
    def is_cpu(self) -> bool:
        """Whether networks run on the CPU."""
        return self.device.type == "cpu"


class CellBench:
    """The measurements of one cell, each of them one step."""

    def __init__(
        self,
        cell: NetworkRun,
        place: BenchPlace,
        budget: Budget,
        step: Callable[[str], None],
    ) -> None:
        self.cell = cell
        self.place = place
        self._budget = budget
        self._step = step
        instances = place.workload.instances
        self._rows = range(min(_TURNS, len(instances)))
        self._images = _Decoded(place.workload.dataset, instances.image_index[: len(self._rows)])
        self._uploader = Uploader(place.device)

    def latency(self) -> Latency:
        """Time the network alone on one crop, a tensor on the device."""
        self._step("latency")
        crop = self._inputs(0)

        def call() -> None:
            self._forward(crop)
            synchronise(self.place.device)

        return time_calls(call, self._budget)

    def latency_with_pixels(self) -> Latency:
        """Time the way from a decoded image to its keypoints, for instances in turn."""
        self._step("latency with pixels")
        rows = itertools.cycle(self._rows)
        cell, answered = self.cell, self.cell.network.output_size
        padding, boxes = cell.crops.spec.padding, self.place.workload.instances.bbox_xyxy
        (decoder,) = cell.decoders

        def call() -> None:
            row = next(rows)
            outputs = self._forward(self._inputs(row))
            if self.place.device.type == "cpu":
                answers = tuple(output.numpy() for output in outputs)
                keypoints = decode_by(decoder, cell.codec, answers, answered).keypoints
            else:
                keypoints = decode_on_device(decoder, cell.codec, outputs, answered).keypoints
            center, scale = boxes_to_center_scale(boxes[row : row + 1], cell.size, padding)
            input_to_image(keypoints, center, scale, answered)

        return time_calls(call, self._budget)

    def limits(self) -> dict[str, float]:
        """Return the most GFLOP/s of matrix products on the same lanes, by precision."""
        self._step("limits")
        found = {}
        side = _SIDE if self.place.is_cpu else _DEVICE_SIDE
        for precision, dtype in (_LIMITS if self.place.is_cpu else _DEVICE_LIMITS).items():
            matrix = torch.ones(side, side, dtype=dtype, device=self.place.device)
            rate = self._in_lanes(lambda x: x @ x, matrix, units=1)
            found[precision] = 2 * side**3 * max(rate.repeats) / 1e9
        return found

    def without_network(self) -> Measured:
        """Time whole evaluations with a network that answers without computing."""
        self._step("without network")
        with torch.inference_mode():
            answers = self.cell.network(self._inputs(0))
        spec, input_size = self.cell.network.spec, self.cell.network.input_size
        silent = _Answers(spec, self.cell.network.stride, input_size, answers)
        network = replace(self.cell.network, network=silent)
        rate, _ = self._evaluations(replace(self.cell, network=network))
        return rate

    def end_to_end(self) -> tuple[Measured, Predictions]:
        """Time whole evaluations, and return what they predict."""
        self._step("end to end")
        return self._evaluations(self.cell)

    def batch(self, size: int) -> BatchSpeed:
        """Time the network alone at a batch size."""
        self._step(f"batch size {size}")
        forget_graphs(self.cell.network.network)  # a network has few, and other sizes had theirs
        crops = torch.cat([self._inputs(row % len(self._rows)) for row in range(size)])
        try:
            return BatchSpeed(size, self._in_lanes(self._forward, crops, units=size))
        except Exception as error:  # such as memory, or an exported file's fixed batch size
            return BatchSpeed(size, None, first_line(error))

    def _in_lanes(self, work: Callable[[Tensor], object], x: Tensor, units: int) -> Measured:
        """Return units per second of `work`, which does `units` of them, on all lanes."""
        lanes = self.place.parallelism.lanes

        def one(batch: Tensor) -> int:
            work(batch)
            return 1

        def run(calls: int) -> None:
            run_in_lanes(one, iter([x] * (calls * lanes)), lanes, lambda _done: None)
            synchronise(self.place.device)

        return time_rate(run, units * lanes, self._budget)

    def _evaluations(self, cell: NetworkRun) -> tuple[Measured, Predictions]:
        last: list[Predictions] = []

        def run(calls: int) -> None:
            for _ in range(calls):
                last[:] = [evaluate_once(cell, self.place)]

        rate = time_rate(run, len(self.place.workload.instances), self._budget)
        return rate, last[0]

    def _inputs(self, row: int) -> Tensor:
        """Return the network's input (1, 3, H, W) of one instance, cut anew."""
        every, one = self.place.workload.instances, slice(row, row + 1)
        boxes = Boxes(every.bbox_xyxy[one], every.image_index[one])
        batch = CropBatch(self._images, boxes, np.arange(1), self._uploader)
        return batch.inputs(self.cell.crops)[0]

    def _forward(self, x: Tensor) -> tuple[Tensor, ...]:
        with torch.inference_mode():
            network = self.cell.network
            return predict_outputs(network, x, self.cell.flip_test, apart=network.flips_apart)


class _Decoded:
    """Images that are decoded already."""

    def __init__(self, dataset: PoseDataset, indices: NDArray[np.int64]) -> None:
        self._images = {index: dataset_image(dataset, index) for index in set(indices.tolist())}

    def take(self, index: int) -> NDArray[np.uint8]:
        """Return an image."""
        return self._images[index]


@dataclass(frozen=True)
class _Answers:
    """A network that has its answers ready, the same for every crop."""

    spec: ModelSpec
    stride: int
    fixed_size: InputSize | None
    outputs: tuple[Tensor, ...]

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(output.expand(len(x), *output.shape[1:]) for output in self.outputs)


def evaluate_once(cell: NetworkRun, place: BenchPlace) -> Predictions:
    """Predict all instances.

    Raises the network's failure, a `PosebenchError`, if it fails.
    """
    (decoder,) = cell.decoders
    outcome = predict(
        {"cell": cell},
        place.workload.dataset,
        place.workload.instances,
        parallelism=place.parallelism,
        progress=lambda _done: None,
    )["cell"][decoder]
    if outcome.predictions is None:
        raise outcome.failure or CheckpointError("There are no predictions.")
    return outcome.predictions


def steps_of(settings: BenchSettings) -> int:
    """Return how many steps a cell takes."""
    # Loading, two latencies, the data path, whole evaluations, the machine's limits.
    return 6 + len(settings.batch_sizes) + settings.parity


def bench_cell(
    cell: NetworkRun,
    cost: tuple[float | None, str],
    place: BenchPlace,
    settings: BenchSettings,
    step: Callable[[str], None],
) -> tuple[Speed, Predictions]:
    """Measure a cell; return its speed, and the predictions that came of it.

    `cost` is the GFLOPs of one forward pass and the precision it runs in; `step` is called with
    what comes next. Raises `PosebenchError` if the network fails.
    """
    bench = CellBench(cell, place, settings.budget, step)
    load, before = machine.load_average(), machine.cpu_times()
    latency, with_pixels = bench.latency(), bench.latency_with_pixels()
    without_network, (end_to_end, predictions) = bench.without_network(), bench.end_to_end()
    clocks = _clocks(place.device)
    # Measured before larger batches, and matrices, take more.
    memory = Memory(machine.peak_memory(), devices.peak_memory(place.device))
    batches = tuple(bench.batch(size) for size in settings.batch_sizes)
    limits = bench.limits()
    computer, parallelism = environment()["machine"], place.parallelism
    conditions = Conditions(
        processor=computer["processor"],
        cores=computer["cores"],
        device="cpu" if place.is_cpu else torch.cuda.get_device_name(place.device),
        threads=torch.get_num_threads(),
        lanes=parallelism.lanes,
        workers=parallelism.workers,
        batch_size=parallelism.batch_size,
        clock_mhz=clocks,
        load_average=load,
        other_cores=machine.other_cores(before, machine.cpu_times()),
        limits=limits,
    )
    speed = Speed(latency, with_pixels, batches, without_network, end_to_end, memory, conditions)
    (gflops, precision), passes = cost, 2 if cell.flip_test else 1
    share = share_of_limit(gflops, passes, speed.best, limits.get(precision))
    return replace(speed, share_of_limit=share), predictions


def _clocks(device: torch.device) -> tuple[float, float] | None:
    """Return the lowest and highest clock of what runs networks, in MHz, or None if unknown."""
    if device.type == "cpu":
        return machine.clock_mhz()
    try:
        clock = float(torch.cuda.clock_rate(device))
    except (ModuleNotFoundError, RuntimeError):  # torch does not require NVIDIA's bindings
        return None
    return clock, clock
