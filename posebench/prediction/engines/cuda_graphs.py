"""Networks on a GPU: float32 as it was asked for, and CUDA graphs where they pay.

Starting the kernels of a small network one by one takes longer than running them. A CUDA graph
starts all of them at once. It is used where it answers the same, bit for bit, and is faster.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from posebench.errors import first_line
from posebench.networks.model import Network
from posebench.networks.sizes import InputSize
from posebench.networks.spec import ModelSpec
from posebench.prediction.devices import allowing_tf32, beside, synchronise

_log = logging.getLogger(__name__)
# The switch of TF32 and the memory of a graph are shared by all threads: one starts work at a time.
LAUNCHING = threading.RLock()
# Calls of a size before a graph is recorded: the last batch of a run comes once.
_CALLS_BEFORE = 1
# Passes that let libraries choose their kernels, and passes that are timed.
_WARM_UP, _TIMED = 3, 5
# Shapes of crops that a network has graphs for, each of which holds memory of its own.
_MOST = 4
# A graph has to take this part of the time, or less.
_FASTER = 0.97

Run = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True, eq=False)
class CudaNetwork:
    """A network on a GPU, whose float32 products and convolutions are TF32 only with `tf32`."""

    network: Network
    device: torch.device
    tf32: bool
    run: Run

    @property
    def spec(self) -> ModelSpec:
        """What the network is, at its trained size."""
        return self.network.spec

    @property
    def stride(self) -> int:
        """Pixels per cell of the backbone's features."""
        return self.network.stride

    @property
    def fixed_size(self) -> InputSize | None:
        """The only input size that the network takes, or None."""
        return self.network.fixed_size

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W), float32, to float32 outputs on the device."""
        with LAUNCHING, allowing_tf32(self.tf32):
            return self.run(x.to(self.device))


def forget_graphs(network: Network) -> None:
    """Let go of a network's graphs, if it has any."""
    if isinstance(network, CudaNetwork) and isinstance(network.run, GraphedRuns):
        with LAUNCHING:
            synchronise(network.device)  # a graph that still runs must not go
            network.run.forget()


@dataclass(eq=False)
class GraphedRuns:
    """Runs a network by a CUDA graph for each shape of crops, or as it is."""

    plain: Run
    record: Callable[[Run, Tensor], Run] = field(default_factory=lambda: recorded)
    seconds: Callable[[Run, Tensor], float] = field(default_factory=lambda: seconds_of)
    _chosen: dict[tuple[int, ...], Run] = field(default_factory=dict)
    _calls: dict[tuple[int, ...], int] = field(default_factory=dict)

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return what the network answers; the tensors belong to the caller."""
        shape = tuple(x.shape)
        if shape not in self._chosen:
            if len(self._chosen) >= _MOST:
                return self.plain(x)
            calls = self._calls[shape] = self._calls.get(shape, 0) + 1
            if calls <= _CALLS_BEFORE:
                return self.plain(x)
            self._chosen[shape] = self._choose(x)
        return self._chosen[shape](x)

    def forget(self) -> None:
        """Let go of all graphs and their memory."""
        self._chosen.clear()
        self._calls.clear()

    def _choose(self, x: Tensor) -> Run:
        """Return what runs crops of one shape, and say in the log why it is no graph."""
        try:
            graph = self.record(self.plain, x)
            # Other crops than those recorded, which a graph that computes nothing answers too.
            other = x.flip(-1) + 1
            pairs = list(zip(self.plain(other), graph(other), strict=True))
        except RuntimeError as error:  # what cannot be recorded, and memory that runs out
            _log.info("Crops %s run without a CUDA graph: %s", tuple(x.shape), first_line(error))
            return self.plain
        if not all(torch.equal(one, other) for one, other in pairs):
            _log.info("Crops %s run without a CUDA graph: its answers differ.", tuple(x.shape))
            return self.plain
        alone, together = self.seconds(self.plain, x), self.seconds(graph, x)
        if together > _FASTER * alone:
            _log.info("Crops %s run without a CUDA graph: it is not faster.", tuple(x.shape))
            return self.plain
        return graph


def recorded(run: Run, x: Tensor) -> Run:
    """Return a function that does as `run` by a CUDA graph, for crops of the shape of `x`.

    Raises `RuntimeError` if it cannot be recorded.
    """
    crops = torch.empty_like(x).copy_(x)
    stream = torch.cuda.Stream(x.device)  # type: ignore[no-untyped-call]
    graph = torch.cuda.CUDAGraph()
    with beside(stream):
        for _ in range(_WARM_UP):
            run(crops)
        # Torch's own stream for it belongs to the GPU that recorded first. Other threads may ask
        # for memory and copy images meanwhile.
        with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
            outputs = run(crops)

    def replay(x: Tensor) -> tuple[Tensor, ...]:
        crops.copy_(x)
        graph.replay()
        # The next replay overwrites what this one answered.
        return tuple(output.clone() for output in outputs)

    return replay


def seconds_of(run: Run, x: Tensor) -> float:
    """Return the seconds that a pass takes."""
    run(x)
    synchronise(x.device)
    start = time.perf_counter()
    for _ in range(_TIMED):
        run(x)
    synchronise(x.device)
    return (time.perf_counter() - start) / _TIMED
