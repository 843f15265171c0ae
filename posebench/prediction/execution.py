"""How a network is executed: engine, precision and device. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

Progress = Callable[[str, int, int], None]
"""Is called with the name of a step, how much of it is done, and how much there is."""

Engine = Literal["torch", "eager", "compile", "onnxruntime", "openvino"]
Precision = Literal["fp32", "tf32", "bf16", "fp16", "int8"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
# How many crops of the evaluated data set the ranges of int8.
CALIBRATION_CROPS = 128
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


# The engine that runs exported files of a family.
_RUNTIMES: dict[str, Engine] = {"onnx": "onnxruntime", "openvino": "openvino"}


def usual_engine(family: str | None) -> Engine:
    """Return the default engine of a backbone family: torch, or an exported file's own runtime."""
    return _RUNTIMES.get(family or "", "torch")


@dataclass(frozen=True)
class Execution:
    """What runs a network, and in which precision.

    `torch` folds BatchNorm into convolutions and lays tensors out channels-last; `eager` is the
    network exactly as published, which the others are checked against; `compile` is
    `torch.compile`; `onnxruntime` and `openvino` run an export made on the fly. No engine means the
    checkpoint's own: `torch` for weights, its runtime for an exported file. `device` is a device's
    name in torch, such as `cuda:0`. `tf32` is float32 whose products and convolutions a GPU
    computes from factors of 10 bits; `fp32` never is.
    """

    engine: Engine | None = None
    precision: Precision = "fp32"
    device: str = "cpu"


@dataclass(frozen=True)
class Resources:
    """What a user grants a run; a field that is None is chosen for the device.

    `threads` run networks and `workers` cut crops ahead of them; a batch has `batch_size` crops.
    """

    threads: int | None = None
    workers: int | None = None
    batch_size: int | None = None

    def or_batch_size(self, batch_size: int | None) -> Resources:
        """Return these resources, with `batch_size` if they have none."""
        return replace(self, batch_size=self.batch_size or batch_size)


@dataclass(frozen=True)
class Parallelism:
    """Settings that move the speed of a run but not its answers.

    Every batch runs on one lane, and `lanes` batches run side by side. `workers` more threads read
    images and cut crops ahead of the lanes; with 0, each lane does so for itself.
    """

    batch_size: int = 8
    lanes: int = 1
    workers: int = 0

    def wall_seconds(self, crops: float, network: float) -> float:
        """Return the wall-clock seconds of `crops` and `network` seconds of work.

        Workers cut crops while lanes run networks; without workers lanes do both in turn.
        """
        if self.workers:
            return max(network / self.lanes, crops / self.workers)
        return (network + crops) / self.lanes
