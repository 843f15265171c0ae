"""The weights of training targets, common to all paradigms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.networks.sizes import InputSize


def training_weights(
    keypoints: NDArray[np.floating[Any]], visible: NDArray[Any], size: InputSize
) -> NDArray[np.float32]:
    """Return (N, K) weights: `visible`, but 0 for keypoints (N, K, 2) outside the input.

    One rule for all paradigms, so that a matched pair trains on the same keypoints. (MMPose also
    keeps a keypoint outside while its Gaussian reaches in, which depends on the codec.)
    """
    inside = ((keypoints >= 0) & (keypoints < (size.width, size.height))).all(axis=-1)
    return np.where(inside, visible, 0).astype(np.float32)
