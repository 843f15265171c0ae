"""The cost of a network: parameters and multiply-accumulates."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from posebench.networks.model import Network
from posebench.networks.sizes import InputSize


def count_parameters(model: nn.Module) -> int:
    """Return the number of learned values, without BatchNorm's running statistics."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_gflops(network: Network, size: InputSize) -> float | None:
    """Return the giga multiply-accumulates of one forward pass of one crop of `size`.

    Counts convolutions and matrix products as they run, those of attention included; a multiply-add
    counts as one. Tables of papers call that FLOPs, but each counts in its own way: SimpleBaseline
    has 8.9 for ResNet-50 at 256x192 (5.43 here), HRNet 7.1 for W32 (7.65), ViTPose 17.86 for ViT-B
    (18.52, with the products of attention). The zoo names the convention of each published number
    (`gflops_convention`). Returns None for a network that does not run in torch.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    crop = torch.zeros(1, 3, size.height, size.width)
    # The counter knows matrix products, but not the CPU's fused attention.
    attention = sdpa_kernel(SDPBackend.MATH)
    with torch.no_grad(), attention, _Operations() as counter:
        network(crop)
    return counter.done / 2 / 1e9 if counter.done else None


class _Operations(TorchDispatchMode):
    """Counts floating-point operations as `torch.utils.flop_counter.FlopCounterMode` does.

    That one imports the whole of torch's compiler, which takes a second.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.done = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell torch that nothing is compiled here, so that it need not import its compiler."""
        return False

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, packet = kwargs or {}, func._overloadpacket
        if packet not in flop_registry:
            with self:
                answer = func.decompose(*args, **kwargs)
            if answer is not NotImplemented:
                return answer
        answer = func(*args, **kwargs)
        if packet in flop_registry:
            self.done += flop_registry[packet](*args, **kwargs, out_val=answer)
        return answer
