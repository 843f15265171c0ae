"""Devices: finding them, copying to them, describing them in reports. CUDA is never needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.errors import UnsupportedExecutionError, nearest


def check_device(name: str) -> torch.device:
    """Return the device of this name: `cpu`, `cuda` (the current GPU) or `cuda:N`.

    Raises `UnsupportedExecutionError` if this machine does not have it; the hint lists those it
    has.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    valid = ["cpu", *(["cuda"] if count else []), *(f"cuda:{index}" for index in range(count))]
    if name in valid:
        return torch.device(name)
    if name.startswith("cuda") and count == 0:
        reason = "finds none" if torch.version.cuda else "was built without CUDA"
        raise UnsupportedExecutionError(
            f"Device {name!r} needs a GPU, and torch {torch.__version__} {reason}.",
            hint=nearest(name, valid),
        )
    raise UnsupportedExecutionError(
        f"This machine has no device {name!r}.", hint=nearest(name, valid)
    )


def to_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return an array as a tensor on the device.

    On the CPU both share memory. A copy to a GPU runs in the order of the current stream, and this
    call does not wait for it. The array may change at once, because torch keeps a page-locked copy
    until the transfer is done.
    """
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Uploaded:
    """A tensor that may still be on its way to the GPU."""

    tensor: Tensor
    arrived: torch.cuda.Event | None

    def receive(self) -> Tensor:
        """Return the tensor; the current stream waits for it, the calling thread does not."""
        if self.arrived is not None:
            stream = torch.cuda.current_stream(self.tensor.device)
            stream.wait_event(self.arrived)
            # Its memory belongs to the copying stream, which would otherwise take it back too
            # early.
            self.tensor.record_stream(stream)
        return self.tensor


class Uploader:
    """Copies tensors to a device, on a stream of its own, while networks compute.

    Several threads may share one.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            # Torch hands out the same few streams again and again, by priority: one of the usual
            # priority may be the one that a CUDA graph is being recorded on.
            self._stream = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call]

    def pixels(self, count: int) -> Tensor:
        """Return black pixels (count, 3) uint8 in the computer's memory, to fill and to upload.

        For a GPU they are page-locked, so that they are copied without the processor.
        """
        return torch.zeros((count, 3), dtype=torch.uint8, pin_memory=self._stream is not None)

    def upload(self, tensor: Tensor) -> Uploaded:
        """Start to copy a tensor, which must not change until it has arrived."""
        if self._stream is None:
            return Uploaded(tensor.to(self.device), None)
        with torch.cuda.stream(self._stream):
            arrived = tensor.to(self.device, non_blocking=True)
            return Uploaded(arrived, self._stream.record_event())


@contextmanager
def beside(stream: torch.cuda.Stream) -> Iterator[None]:
    """Work on another stream in this block, after what is asked for already, before what follows.

    The stream is left again whatever happens. Recording a CUDA graph by itself does not where it
    fails, and the thread would go on beside the stream that its crops are made on.
    """
    current = torch.cuda.current_stream(stream.device)
    stream.wait_stream(current)
    with torch.cuda.device(stream.device), torch.cuda.stream(stream):
        yield
    current.wait_stream(stream)


@contextmanager
def allowing_tf32(allowed: bool) -> Iterator[None]:
    """Let GPUs round the factors of float32 products and convolutions to 10 bits, or not.

    Torch's own default allows it for convolutions alone. All threads share the switch, and it is
    as before after the block.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def room_for_crops(device: torch.device) -> int | None:
    """Return the bytes of a GPU that crops made ahead may take, None where there is no limit.

    They are about a quarter of what is free: the rest is the networks'. What torch keeps for later
    allocations is free.
    """
    if device.type != "cuda":
        return None
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return (torch.cuda.mem_get_info(device)[0] + kept) // 4


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak_memory(device: torch.device) -> None:
    """Let the next `peak_memory` of a GPU count from here."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes that torch has held of a GPU, cached ones included; None for a CPU."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None


def device_text(device: torch.device) -> str:
    """Return a GPU's name, memory and present clock as a report states them; `CPU` for a CPU."""
    if device.type != "cuda":
        return "CPU"
    properties = torch.cuda.get_device_properties(device)
    text = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    try:
        return f"{text}, {torch.cuda.clock_rate(device)} MHz"
    except (ModuleNotFoundError, RuntimeError):  # torch does not require NVIDIA's bindings
        return text
