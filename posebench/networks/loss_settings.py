"""What a recipe may ask of its head's loss. Never loads torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from posebench.errors import SpecError


@dataclass(frozen=True)
class LossSettings:
    """A recipe's settings of losses: `simcc_beta` multiplies bins before their softmax."""

    simcc_beta: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.simcc_beta < math.inf:
            raise SpecError("loss: simcc_beta must be above 0.")
