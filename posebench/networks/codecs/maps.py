"""Network outputs as decoders read them, in numpy or on a GPU.

Smoothed values must match `gaussian_blur` of MMPose 1.3.2's `codecs/utils/post_processing.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray


class Maps(Protocol):
    """One output of a network, (N, K, ...): K maps, or vectors, of N samples.

    Decoders ask for a few numbers per map, so that maps on a GPU can stay there.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """N, K and the sides of a map."""

    def peaks(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the maximum of each map (N, K), NaN if it contains NaN, and its first position."""

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the values at `places` (N, K, ...): indices into all K maps of a sample."""

    def smoothed(self, kernel: int) -> Maps:
        """Return maps (N, K, h, w) blurred by a Gaussian `kernel` cells wide, maxima restored.

        Cells outside count as 0. A map whose blurred maximum is 0 stays blurred; the reference
        divides by zero there.
        """

    def blurred(self, kernel: int, every: int) -> Maps:
        """Return each `every`-th map blurred, from the first; cells outside mirror those inside."""


@dataclass(frozen=True)
class ArrayMaps:
    """Maps in a numpy array (N, K, ...) of float32."""

    array: NDArray[np.float32]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def peaks(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        flat = self.array.reshape(*self.shape[:2], math.prod(self.shape[2:]))
        return flat.max(axis=-1), flat.argmax(axis=-1)

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        firsts = np.arange(len(places)) * math.prod(self.shape[1:])
        return self.array.ravel().take(places + firsts.reshape(-1, *[1] * (places.ndim - 1)))

    def smoothed(self, kernel: int) -> ArrayMaps:
        border = kernel // 2
        sides = ((0, 0), (0, 0), (border, border), (border, border))
        padded = np.pad(self.array, sides)
        if padded.size == 0:
            return self
        # All maps are stacked in one column, so that one call blurs them all; their padding keeps
        # them apart.
        column = cv2.GaussianBlur(padded.reshape(-1, padded.shape[-1]), (kernel, kernel), 0)
        inner = np.asarray(column).reshape(padded.shape)[..., border:-border, border:-border]
        blurred_peak = inner.max(axis=(-2, -1), keepdims=True)
        peak = self.array.max(axis=(-2, -1), keepdims=True)
        factor = np.divide(peak, blurred_peak, out=np.ones_like(peak), where=blurred_peak != 0)
        return ArrayMaps(inner * factor)

    def blurred(self, kernel: int, every: int) -> ArrayMaps:
        chosen = self.array[:, ::every]
        blurred = np.empty_like(chosen)
        for place in np.ndindex(chosen.shape[:2]):
            blurred[place] = cv2.GaussianBlur(chosen[place], (kernel, kernel), 0)
        return ArrayMaps(blurred)


def as_maps(output: NDArray[Any] | Maps) -> Maps:
    """Return an output as maps: an array as float32, anything else unchanged."""
    if isinstance(output, np.ndarray):
        return ArrayMaps(np.asarray(output, dtype=np.float32))
    return output
