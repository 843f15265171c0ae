"""The result of decoding, the same for all paradigms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import EvaluationError


@dataclass(frozen=True)
class Decoded:
    """Keypoints (N, K, 2) in input pixels, scores (N, K).

    Keypoints are float64 from UDP and from regression, else float32, as in the references.
    """

    keypoints: NDArray[np.floating[Any]]
    scores: NDArray[np.float32]


def raise_if_nan(scores: NDArray[np.float32]) -> None:
    """Raise `EvaluationError` if a score is NaN, as it is when an output is."""
    if np.isnan(scores).any():
        raise EvaluationError(
            "The network's outputs contain NaN.",
            hint="Run in float32, and look at the weights with `posebench inspect`.",
        )
