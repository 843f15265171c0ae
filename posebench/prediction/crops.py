"""Pixels of a crop: cut from the image, resample to another size, normalise.

Crops and normalised values must equal MMPose 1.3.2's `TopdownAffine` and mmengine 0.10.7's
`ImgDataPreprocessor` bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec
from posebench.prediction.geometry import crop_matrix


def crop_image(
    image_bgr: NDArray[np.uint8],
    center: NDArray[np.float32],
    scale: NDArray[np.float32],
    size: InputSize,
    udp: bool,
) -> NDArray[np.uint8]:
    """Return the (H, W, 3) crop of one padded box, bilinear, black outside the image.

    `center` and `scale` are (2,), in image pixels.
    """
    matrix = crop_matrix(center, scale, size, udp)
    crop: NDArray[np.uint8] = cut_crops([image_bgr], matrix[None], size)[0]
    return crop


def cut_crops(
    images_bgr: Iterable[NDArray[np.uint8]], matrices: NDArray[np.floating[Any]], size: InputSize
) -> NDArray[np.uint8]:
    """Return crops (N, H, W, 3), one of each image (h, w, 3) by its map of `matrices` (N, 2, 3)."""
    crops = np.empty((len(matrices), size.height, size.width, 3), dtype=np.uint8)
    sides = size.width, size.height
    for image, matrix, crop in zip(images_bgr, matrices, crops, strict=True):
        cv2.warpAffine(image, matrix, sides, dst=crop, flags=cv2.INTER_LINEAR)
    return crops


def resample_crop(crop: NDArray[np.uint8], size: InputSize, udp: bool) -> NDArray[np.uint8]:
    """Return an (h, w, 3) crop resampled to `size`, every keypoint at the same fraction of the box.

    Pixels are aligned as the crop's convention has them: index 0 on index 0 and a step of
    w / W (classic), or corner pixel on corner pixel (`udp`). `cv2.resize` aligns half-pixel
    corners instead, which would move every keypoint by (w / W − 1) / 2 pixels. Shrinking widens the
    triangular kernel by the same step: a bilinear sample alone would alias.
    """
    height, width = crop.shape[:2]
    if (height, width) == (size.height, size.width):
        return crop
    rows = _resampled(crop, resampling_taps(height, size.height, udp), axis=0)
    result = _resampled(rows, resampling_taps(width, size.width, udp), axis=1)
    rounded: NDArray[np.uint8] = np.rint(result).clip(0, 255).astype(np.uint8)
    return rounded


Taps = tuple[NDArray[np.intp], NDArray[np.float32]]


@lru_cache(maxsize=64)
def resampling_taps(old: int, new: int, udp: bool) -> Taps:
    """Return the old pixels that each new pixel averages, and their weights, both (taps, new)."""
    step = (old - 1) / max(new - 1, 1) if udp else old / new
    centers = np.minimum(np.arange(new) * step, old - 1)
    reach = max(step, 1.0)
    first = np.maximum(np.ceil(centers - reach), 0).astype(np.intp)
    places = first + np.arange(int(2 * reach) + 1)[:, None]
    weights = np.maximum(1 - np.abs(places - centers) / reach, 0) * (places < old)
    # A tap without any weight would cost a pass over the pixels for nothing.
    used = weights.any(axis=1)
    weights = (weights / weights.sum(axis=0))[used]
    return np.minimum(places[used], old - 1), weights.astype(np.float32)


def _resampled(pixels: NDArray[np.generic], taps: Taps, axis: Literal[0, 1]) -> NDArray[np.float32]:
    """Return (H, W, 3) resampled along one axis."""
    # Elementwise sums: matrix products round differently from one processor to another.
    shape = (-1, 1, 1) if axis == 0 else (-1, 1)
    total: NDArray[np.float32] | None = None
    for places, weights in zip(*taps, strict=True):
        part = np.multiply(pixels.take(places, axis), weights.reshape(shape), dtype=np.float32)
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return total


def normalise(crops: NDArray[np.uint8], crop: CropSpec) -> NDArray[np.float32]:
    """Return the network's input (N, 3, H, W) from BGR crops (N, H, W, 3).

    Black pixels outside the image become −mean / std, as they do in the reference.
    """
    ordered = crops[..., ::-1] if crop.channels == "rgb" else crops
    planes = np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), dtype=np.float32)
    planes -= np.array(crop.mean, dtype=np.float32)[:, None, None]
    # A division: multiplying by 1 / std rounds differently.
    planes /= np.array(crop.std, dtype=np.float32)[:, None, None]
    return planes
