"""What a recipe may ask of the loss that its head is trained by. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from posebench.errors import SpecError

BinTargets = Literal["softmax", "gaussian", "one-hot"]


@dataclass(frozen=True)
class LossSettings:
    """The settings of a loss; each kind of head reads those that concern it.

    SimCC's loss is the divergence of two distributions over the bins of an axis: the softmax of
    the outputs times `beta` (the inverse of a temperature), and a wanted one, which `targets`
    makes of the codec's Gaussian. `softmax`: the softmax of the Gaussian times `beta`, as RTMPose
    does; `gaussian`: the Gaussian divided by its sum; `one-hot`: its highest bin alone, which
    makes the divergence a cross-entropy. `smoothing` is the share of the wanted distribution that
    is spread evenly over all bins. `focal` is the exponent of a focal loss, whose terms are
    multiplied by (1 - p) ** focal; it needs one-hot targets without smoothing.

    `smooth_l1_beta` is the error, as a fraction of the input, below which regression's L1 distance
    is squared: 0 is L1, 1 is MMPose's SmoothL1Loss. RLE's likelihood has no settings.

    A heatmap's squared error has no settings; its targets' `sigma` is the codec's.
    """

    beta: float = 10.0
    targets: BinTargets = "softmax"
    smoothing: float = 0.0
    focal: float = 0.0
    smooth_l1_beta: float = 0.0

    def __post_init__(self) -> None:
        _require(0 < self.beta < math.inf, "beta must be above 0.")
        _require(0 <= self.smoothing < 1, "smoothing must be at least 0 and below 1.")
        _require(0 <= self.smooth_l1_beta < math.inf, "smooth_l1_beta must be at least 0.")
        # Between 0 and 1 the gradient is infinite where a bin has the probability 1.
        _require(not self.focal or 1 <= self.focal < math.inf, "focal must be 0 or at least 1.")
        alone = self.targets == "one-hot" and not self.smoothing
        _require(alone or not self.focal, "focal needs `targets: one-hot` without smoothing.")


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise SpecError(f"loss: {message}")
