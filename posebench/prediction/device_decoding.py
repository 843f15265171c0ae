"""Decoding on the device of the network's outputs: only a few numbers of each map leave the GPU.

The codecs decode as they do in numpy. This module gives them the values that they read, equal to
numpy's: maxima, single values, and blurs summed in the order and precision of OpenCV 4's
`GaussianBlur` on x86-64 with AVX2 (`imgproc/src/filter.simd.hpp`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from posebench.networks.codecs import Codec, Decoder, decode_by
from posebench.networks.codecs.decoded import Decoded
from posebench.networks.sizes import InputSize
from posebench.prediction.devices import to_device

# OpenCV sums a row from its middle outwards for kernels up to this size, else from left to right.
SMALL_KERNEL = 5


def decode_on_device(
    decoder: Decoder, codec: Codec, outputs: tuple[Tensor, ...], size: InputSize
) -> Decoded:
    """Return what `codecs.decode_by` does, from outputs on any device that computes in float64.

    `outputs` are those of any codec, as `flip.predict_outputs` returns them.
    Keypoints and scores equal numpy's bit for bit where OpenCV (4.11 to 4.13) has AVX2. Without
    AVX2 OpenCV's blurs round differently, and DARK and UDP answers differ as they do between such
    processors: by up to 2e-5 input pixels on Gaussian peaks, by any amount on noise. Raises
    `EvaluationError` as `decode_by` does.
    """
    maps = tuple(TensorMaps(output.float().contiguous()) for output in outputs)
    return decode_by(decoder, codec, maps, size)


@dataclass(frozen=True)
class TensorMaps:
    """`codecs.maps.Maps` in a tensor (N, K, ...) of float32."""

    tensor: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.tensor.shape)

    def peaks(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        # torch promises the first of equal values.
        values, places = self.tensor.flatten(2).max(dim=-1)
        return values.cpu().numpy(), places.cpu().numpy()

    def at(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        rows = places.reshape(len(places), math.prod(places.shape[1:]))
        index = to_device(rows, self.tensor.device)
        values: NDArray[np.float32] = self.tensor.flatten(1).gather(1, index).cpu().numpy()
        return values.reshape(places.shape)

    def smoothed(self, kernel: int) -> TensorMaps:
        blurred = _blurred(functional.pad(self.tensor, [kernel // 2] * 4), kernel)
        blurred_peak = blurred.amax((-2, -1), keepdim=True)
        peak = self.tensor.amax((-2, -1), keepdim=True)
        return TensorMaps(blurred * torch.where(blurred_peak == 0, 1.0, peak / blurred_peak))

    def blurred(self, kernel: int, every: int) -> TensorMaps:
        rows, columns = (_mirrored(count, kernel // 2) for count in self.shape[2:])
        chosen = self.tensor[:, ::every]
        padded = chosen[:, :, to_device(rows, chosen.device)]
        return TensorMaps(_blurred(padded[..., to_device(columns, chosen.device)], kernel))


def _mirrored(count: int, border: int) -> NDArray[np.int64]:
    """Return the indices of `count` cells and of `border` cells either side, which mirror them."""
    outer = range(-border, count + border)
    return np.array([cv2.borderInterpolate(i, count, cv2.BORDER_REFLECT_101) for i in outer])


def _blurred(padded: Tensor, kernel: int) -> Tensor:
    """Return maps (N, K, h, w) of float32, from maps with kernel // 2 more cells on each side."""
    weights = cv2.getGaussianKernel(kernel, 0, cv2.CV_32F)[:, 0].tolist()
    height, width = (side - kernel + 1 for side in padded.shape[2:])
    columns = [padded[..., step : step + width] for step in range(kernel)]
    if kernel > SMALL_KERNEL:
        blurred = _weighted_sum(zip(weights, columns, strict=True))
    else:
        middle, *pairs = _folded(weights, columns)
        blurred = _weighted_sum([pairs[0], middle, *pairs[1:]])
    rows = [blurred[:, :, step : step + height] for step in range(kernel)]
    return _weighted_sum(_folded(weights, rows))


def _folded(weights: list[float], values: list[Tensor]) -> list[tuple[float, Tensor]]:
    """Return (weight, value): the middle one, then the sum of the two at each distance from it."""
    middle = len(values) // 2
    pairs = zip(weights[middle + 1 :], values[middle + 1 :], values[:middle][::-1], strict=True)
    return [(weights[middle], values[middle]), *((weight, a + b) for weight, a, b in pairs)]


def _weighted_sum(terms: Iterable[tuple[float, Tensor]]) -> Tensor:
    """Return a sum of products, each product added by one rounding to float32 (fused)."""
    (weight, first), *others = terms
    total = first * weight
    for weight, values in others:
        # The product is exact in float64; the second rounding of the sum hardly ever shows.
        total = torch.add(total.double(), values.double(), alpha=weight).float()
    return total
