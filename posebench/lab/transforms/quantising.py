"""Fake quantisation: values rounded to the levels of few bits, and computed with in float32.

Weights have a scale for each output channel and levels that lie symmetrically around 0, from
-(2^(bits-1) - 1) to 2^(bits-1) - 1. Activations have one scale and zero point for each tensor that
enters a layer, from the smallest and largest value that the calibration crops produce there.
Accumulators and biases stay in float32, as the int8 kernels of CPUs and GPUs keep them in 32 bits.
(Krishnamoorthi, arXiv:1806.08342, gives both rules.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from posebench.lab.transforms.layers import Weighted, rows_of, set_rows

# As torch's observers have it: a scale of 0 would divide by 0.
_LEAST_SCALE = torch.finfo(torch.float32).eps


def quantise_weights(layer: Weighted, bits: int) -> None:
    """Round a layer's weights, in place, to the levels of `bits` for each output channel."""
    rows, most = rows_of(layer), 2 ** (bits - 1) - 1
    scales = (rows.abs().amax(dim=1) / most).clamp_min(_LEAST_SCALE)
    zeros = torch.zeros_like(scales, dtype=torch.int32)
    set_rows(layer, torch.fake_quantize_per_channel_affine(rows, scales, zeros, 0, -most, most))


@dataclass(frozen=True)
class Levels:
    """The levels of a tensor's values: (0 … `most` - `zero_point`) · `scale`."""

    scale: float
    zero_point: int
    most: int

    @classmethod
    def of_range(cls, low: float, high: float, bits: int) -> Levels:
        """Return the levels of `bits` from `low` to `high`, 0 always among them."""
        low, high, most = min(low, 0.0), max(high, 0.0), 2**bits - 1
        scale = max((high - low) / most, _LEAST_SCALE)
        return cls(scale, min(max(round(-low / scale), 0), most), most)

    def round(self, values: Tensor) -> Tensor:
        """Return values rounded to the nearest levels, those beyond the ends to the ends."""
        return torch.fake_quantize_per_tensor_affine(
            values, self.scale, self.zero_point, 0, self.most
        )


@dataclass(frozen=True)
class Rounded:
    """What a layer does first once its input is quantised: a forward pre-hook."""

    levels: tuple[Levels, ...]

    def __call__(self, _layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the inputs of a layer on their levels."""
        values = inputs[0]
        if isinstance(values, Tensor):
            return (self.levels[0].round(values), *inputs[1:])
        rounded = (own.round(value) for own, value in zip(self.levels, values, strict=True))
        return (tuple(rounded), *inputs[1:])


def quantise_inputs(layers: Sequence[nn.Module], bits: int, calibrate: Callable[[], None]) -> None:
    """Round what enters each layer from now on; `calibrate` runs their network once.

    A layer that does not run while calibrating stays as it is.
    """
    ranges: dict[nn.Module, list[tuple[float, float]]] = {}

    def watch(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        values = [inputs[0]] if isinstance(inputs[0], Tensor) else list(inputs[0])
        seen = [tuple(map(float, value.aminmax())) for value in values]
        known = ranges.get(layer, seen)
        ranges[layer] = [
            (min(low, other_low), max(high, other_high))
            for (low, high), (other_low, other_high) in zip(seen, known, strict=True)
        ]

    hooks = [layer.register_forward_pre_hook(watch) for layer in layers]
    try:
        calibrate()
    finally:
        for hook in hooks:
            hook.remove()
    for layer, found in ranges.items():
        levels = tuple(Levels.of_range(low, high, bits) for low, high in found)
        layer.register_forward_pre_hook(Rounded(levels))
