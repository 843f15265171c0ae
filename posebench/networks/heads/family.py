"""The facts and functions of a kind of head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from posebench.networks.codecs import Codec
from posebench.networks.grids import Grid, SizeLockedLayer
from posebench.networks.loss_settings import LossSettings
from posebench.networks.shapes import Shapes
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec

Outputs = tuple[Tensor, ...]


class SizeLockedHead(Protocol):
    """A head with layers whose inputs are the cells of maps; it runs in two steps.

    Features come from a backbone, or, at several scales, from a neck.
    """

    def maps(self, features: Any) -> tuple[Tensor, ...]:
        """Return maps (N, C, h, w), one for each different `cells` of the size-locked layers."""

    def vectors(self, *maps: Tensor) -> Outputs:
        """Return the outputs, given maps of the trained grids."""


@dataclass(frozen=True)
class Surroundings:
    """What a head is built for: features of `in_channels`, `stride` pixels apart, and the rest."""

    in_channels: int
    stride: int
    size: InputSize
    keypoints: int
    codec: Codec


Loss = Callable[[Outputs, Outputs, Tensor, LossSettings], Tensor]
"""A pure function of outputs, targets and weights (N, K): one number to minimise."""


def nothing_more(_shapes: Shapes, channels: int) -> dict[str, Any] | None:
    """Return no options for one channel per keypoint; None, as impossible, for more."""
    return {} if channels == 1 else None


def no_more_weights(_head: nn.Module, _generator: torch.Generator) -> None:
    """Leave the weights as the rules for all layers have set them."""


@dataclass(frozen=True)
class AnswerLayers:
    """The layers of a head whose rows are vectors that it learned as answers.

    The rows of `keypoints` are multiplied with pixel tokens and give maps. Those of `positions`, by
    the name of the output that they make, stand for bins; a heatmap head has none.
    """

    keypoints: nn.Conv2d
    positions: Mapping[str, nn.Linear] = field(default_factory=dict)


@dataclass(frozen=True)
class HeadFamily:
    """A kind of head. `Shapes` are those of the head's tensors, without the prefix `head.`.

    - `options`: its record of options; `build` makes the head from them and from its surroundings.
    - `recognise` returns, as plain data, the options that names and shapes tell behind this
      backbone, or None if they are of another kind; `channels` returns the number of channels of
      all keypoints together.
    - `codec` is the kind that decodes its outputs, `loss` the loss that they are trained by.
      `learned_loss` makes the module that takes its place in training, with weights of its own.
    - `map_factor`: how many times finer its maps are than the features, on a side.
    - `size_locked`: the layers whose shape the trained size fixes, first to last; that size is read
      from them. A head with such layers whose inputs are cells is a `SizeLockedHead`. If those
      inputs are several channels of a grid, `told_by_channels` returns the options that this number
      tells, or None if the number is impossible.
    - `widens`: whether its peaks over bins widen with the input, as its places are fractions of a
      side; its targets at another size than the trained one then widen too.
    - `fix` returns the head for features of one grid alone, with the weights that follow from the
      grid made once; it shares the others. None if none do.
    - `settle` fills in options that follow from the surroundings in which a head is first built and
      stay when it is built again for another size.
    - `initialise` sets the weights of its own output layers, after all others.
    - `neck`: the kind of neck it needs, if any.
    - `answer_layers` finds the layers whose rows are its answers, if it has such layers.
    """

    options: type[Any]
    build: Callable[[Any, Surroundings], nn.Module]
    recognise: Callable[[Shapes, BackboneSpec | None], dict[str, Any] | None]
    channels: Callable[[Shapes], int]
    codec: type[Codec]
    loss: Loss
    learned_loss: Callable[[], nn.Module] | None = None
    map_factor: Callable[[Any], int] = lambda _options: 1
    size_locked: tuple[SizeLockedLayer, ...] = ()
    told_by_channels: Callable[[Shapes, int], Mapping[str, Any] | None] = nothing_more
    widens: bool = False
    fix: Callable[[Any, Grid], nn.Module] | None = None
    settle: Callable[[Any, Surroundings], Any] = lambda options, _around: options
    initialise: Callable[[Any, torch.Generator], None] = no_more_weights
    neck: str | None = None
    answer_layers: Callable[[Any], AnswerLayers] | None = None
