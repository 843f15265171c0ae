"""What there is to know of a kind of head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from posebench.networks.codecs import Codec
from posebench.networks.grids import SizeLockedLayer
from posebench.networks.shapes import Shapes
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec

Outputs = tuple[Tensor, ...]


class SizeLockedHead(Protocol):
    """A head with layers whose inputs are the cells of maps: maps, and what is made of them.

    Features come from a backbone, or of several scales from a neck.
    """

    def maps(self, features: Any) -> tuple[Tensor, ...]:
        """Return maps (N, C, h, w), one for each different `cells` of the size-locked layers."""

    def vectors(self, *maps: Tensor) -> Outputs:
        """Return the outputs of maps of the trained grids."""


@dataclass(frozen=True)
class Surroundings:
    """What a head is built for: `in_channels` of features, `stride` pixels apart, and the rest."""

    in_channels: int
    stride: int
    size: InputSize
    keypoints: int
    codec: Codec


@dataclass(frozen=True)
class LossSettings:
    """What a recipe says on losses: `simcc_beta` multiplies bins before their softmax."""

    simcc_beta: float = 10.0


Loss = Callable[[Outputs, Outputs, Tensor, LossSettings], Tensor]
"""Of outputs, targets and weights (N, K): one number to make small. A pure function."""


def nothing_more(_shapes: Shapes, channels: int) -> dict[str, Any] | None:
    """Accept one channel for each keypoint, which tells no option."""
    return {} if channels == 1 else None


def no_more_weights(_head: nn.Module, _generator: torch.Generator) -> None:
    """Leave the weights as the rules for all layers have set them."""


@dataclass(frozen=True)
class HeadFamily:
    """A kind of head. `Shapes` are those of the head's tensors, without the prefix `head.`.

    - `options`: its record of options; `build` makes the head of them and of its surroundings.
    - `recognise` returns the options, as plain data, that names and shapes tell behind this
      backbone, or None for another kind's; `channels` the number of channels that keypoints have
      in all.
    - `codec` is what its outputs are decoded by, `loss` what they are trained by.
    - `map_factor`: how many times finer than the features its maps are, on a side.
    - `size_locked`: the layers that the trained size has fixed, first to last; by them that size
      is read off a file. A head that has some whose inputs are cells is a `SizeLockedHead`. Where
      those are several channels of a grid, `told_by_channels` returns the options that this number
      tells, None for one that cannot be.
    - `initialise` sets the weights of its own output layers, after all others.
    - `neck`: the kind of neck it needs, if any.
    """

    options: type[Any]
    build: Callable[[Any, Surroundings], nn.Module]
    recognise: Callable[[Shapes, BackboneSpec | None], dict[str, Any] | None]
    channels: Callable[[Shapes], int]
    codec: type[Codec]
    loss: Loss
    map_factor: Callable[[Any], int] = lambda _options: 1
    size_locked: tuple[SizeLockedLayer, ...] = ()
    told_by_channels: Callable[[Shapes, int], Mapping[str, Any] | None] = nothing_more
    initialise: Callable[[Any, torch.Generator], None] = no_more_weights
    neck: str | None = None
