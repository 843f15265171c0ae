"""Networks compiled by `torch.compile`: C++ for a CPU, Triton for a GPU."""

from __future__ import annotations

import inspect
import threading
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from posebench.errors import (
    MissingExtraError,
    PosebenchError,
    UnsupportedExecutionError,
    first_line,
)
from posebench.networks.model import Network
from posebench.networks.sizes import InputSize
from posebench.networks.spec import ModelSpec

# Tools that torch looks for, how it says that there is none, and what to install.
_TOOLS = (
    ("a C++ compiler", "compiler found", "one, such as g++"),
    ("Triton", "working triton installation", "it: pip install triton"),
)
# A compiler serves one thread at a time.
_COMPILING = threading.Lock()


@dataclass(frozen=True)
class CompiledNetwork:
    """A network compiled for batches of `batch_size` crops of one size.

    Batches of other sizes are split and padded to that size, so that nothing is compiled while it
    runs. On a CPU it is compiled for one thread, and several threads may call it at once.
    """

    network: Network
    compiled: Any
    batch_size: int
    fixed_size: InputSize
    device: torch.device

    @property
    def spec(self) -> ModelSpec:
        """What the network is, at its trained size."""
        return self.network.spec

    @property
    def stride(self) -> int:
        """Pixels per cell of the backbone's features."""
        return self.network.stride

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W) of its size, float32, to float32 outputs."""
        with torch.inference_mode():
            parts = [self._run(crops) for crops in torch.split(x.to(self.device), self.batch_size)]
            return tuple(torch.cat(outputs) for outputs in zip(*parts, strict=True))

    def _run(self, crops: Tensor) -> list[Tensor]:
        """Run up to one batch."""
        # A new tensor, because compiled code takes only one kind and layout of tensor.
        batch = crops.new_zeros((self.batch_size, *crops.shape[1:]))
        batch[: len(crops)] = crops
        return [output[: len(crops)].float() for output in self.compiled(batch)]


def compile_network(
    network: Network, size: InputSize, *, batch_size: int, device: str = "cpu"
) -> CompiledNetwork:
    """Compile a network for batches of crops of `size`, which takes seconds to minutes.

    The network is a module, or any other network that runs in torch, such as a `TorchNetwork`.
    Raises `UnsupportedExecutionError` if compiling fails, and `MissingExtraError` if this machine
    has no C++ compiler.
    """
    place = torch.device(device)
    options: dict[str, Any] = {"fullgraph": True, "dynamic": False}
    if "isolate_recompiles" in inspect.signature(torch.compile).parameters:
        # Otherwise the networks of all cells, which have the same code, share one small limit.
        options["isolate_recompiles"] = True
    if place.type == "cpu":
        options["options"] = {"cpp.threads": 1}
    # torch compiles functions and modules, but no other objects with a `__call__`.
    target = network if isinstance(network, nn.Module) else network.__call__
    result = CompiledNetwork(network, torch.compile(target, **options), batch_size, size, place)
    threads = torch.get_num_threads()
    with _COMPILING:
        # Code is compiled for a number of threads, and lanes have one each.
        torch.set_num_threads(1 if place.type == "cpu" else threads)
        try:
            result(torch.zeros(batch_size, 3, size.height, size.width))
        except Exception as error:  # dynamo, inductor and compilers share no base class but this
            raise _refusal(error) from error
        finally:
            torch.set_num_threads(threads)
    return result


def _refusal(error: Exception) -> PosebenchError:
    """Return what a failure means: a tool that is missing, or a step that does not work."""
    from torch._dynamo.exc import BackendCompilerFailed, TorchDynamoException

    # If the compiler failed, dynamo's own first line says only that it did.
    reason = first_line(getattr(error, "inner_exception", error))
    for tool, said, example in _TOOLS:
        if said in reason:
            return MissingExtraError(
                f"torch.compile needs {tool}: {reason}",
                hint=f"Install {example}. The engine torch runs without.",
            )
    traced = isinstance(error, BackendCompilerFailed) or not isinstance(error, TorchDynamoException)
    step = "compile the code of" if traced else "trace"
    return UnsupportedExecutionError(
        f"torch.compile (torch {torch.__version__}) cannot {step} this network: {reason}",
        hint="The engine torch runs everywhere.",
    )
