"""The result of decoding, the same for both paradigms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import EvaluationError


@dataclass(frozen=True)
class Decoded:
    """Keypoints (N, K, 2) in input pixels (float64 from UDP, else float32), scores (N, K)."""

    keypoints: NDArray[np.floating[Any]]
    scores: NDArray[np.float32]


def raise_if_nan(scores: NDArray[np.float32]) -> None:
    """Raise `EvaluationError` if a maximum is NaN, as it is when an output is."""
    if np.isnan(scores).any():
        raise EvaluationError(
            "The network's outputs contain NaN.",
            hint="Run in float32, and look at the weights with `posebench inspect`.",
        )
