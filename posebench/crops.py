"""Pixels of a crop: cut from the image, resample to another size, normalise.

Crops and normalised values must equal MMPose 1.3.2's `TopdownAffine` and mmengine 0.10.7's
`ImgDataPreprocessor` bit for bit.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.geometry import crop_matrix
from posebench.sizes import InputSize
from posebench.spec import CropSpec


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
    crop = cv2.warpAffine(image_bgr, matrix, (size.width, size.height), flags=cv2.INTER_LINEAR)
    return np.asarray(crop, dtype=np.uint8)


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
    rows = _resampling(height, size.height, udp)
    columns = _resampling(width, size.width, udp)
    shrunk = rows @ crop.astype(np.float32).reshape(height, -1)
    result = columns @ shrunk.reshape(size.height, width, -1)
    rounded: NDArray[np.uint8] = np.rint(result).clip(0, 255).astype(np.uint8)
    return rounded


@lru_cache(maxsize=64)
def _resampling(old: int, new: int, udp: bool) -> NDArray[np.float32]:
    """Return the (new, old) matrix that resamples one axis; each row sums to 1."""
    step = (old - 1) / max(new - 1, 1) if udp else old / new
    centers = np.minimum(np.arange(new) * step, old - 1)
    distance = np.abs(np.arange(old) - centers[:, None]) / max(step, 1.0)
    weights = np.maximum(1 - distance, 0)
    normed: NDArray[np.float32] = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    return normed


def normalise(crops: NDArray[np.uint8], crop: CropSpec) -> NDArray[np.float32]:
    """Return the network's input (N, 3, H, W) from BGR crops (N, H, W, 3).

    Black pixels outside the image become −mean / std, as they do in the reference.
    """
    ordered = crops[..., ::-1] if crop.channels == "rgb" else crops
    planes = np.ascontiguousarray(ordered.transpose(0, 3, 1, 2), dtype=np.float32)
    planes -= np.array(crop.mean, dtype=np.float32)[:, None, None]
    # Not times 1 / std: that rounds differently.
    planes /= np.array(crop.std, dtype=np.float32)[:, None, None]
    return planes
