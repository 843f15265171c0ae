"""Boxes, crops and coordinates: box to centre and scale, crop matrix, input to image and back.

Numbers must match MMPose 1.3.2, bit for bit up to the crop: `structures/bbox/transforms.py`,
`datasets/transforms/topdown_transforms.py` and `models/pose_estimators/topdown.py`.

*Input pixels* are MMPose's: a keypoint's fraction of the padded box times the input size. With
a classic crop that is the index of a pixel of the crop; with a UDP crop, whose corner pixels lie
on the box's corners, pixel i of W lies at i · W / (W − 1) input pixels.
"""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.networks.sizes import InputSize

Float = TypeVar("Float", bound=np.floating[Any])


def boxes_to_center_scale(
    bbox_xyxy: NDArray[Any], size: InputSize, padding: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return centre (N, 2) and padded scale (N, 2), width then height, in image pixels.

    `bbox_xyxy` (N, 4) is padded first; then its shorter side grows to the input's aspect ratio.
    """
    box = np.asarray(bbox_xyxy, dtype=np.float32)
    center = (box[:, 2:] + box[:, :2]) * np.float32(0.5)
    padded = (box[:, 2:] - box[:, :2]) * np.float32(padding)
    ratio = np.float32(size.aspect_ratio)
    width, height = padded[:, :1], padded[:, 1:]
    scale = np.where(
        width > height * ratio,
        np.concatenate([width, width / ratio], axis=1),
        np.concatenate([height * ratio, height], axis=1),
    )
    return center, scale


def crop_matrix(
    center: NDArray[np.float32], scale: NDArray[np.float32], size: InputSize, udp: bool
) -> NDArray[np.floating[Any]]:
    """Return the (2, 3) map from image pixels to pixels of the crop, for one box.

    `center` and `scale` are (2,), in image pixels. Classic (`get_warp_matrix`): the padded box's
    centre and left side go to (W/2, H/2) and column 0; float64. UDP (`get_udp_warp_matrix`): the
    box's corners go to the centres of the corner pixels; float32.
    """
    return _udp_matrix(center, scale, size) if udp else _classic_matrix(center, scale, size)


def _classic_matrix(
    center: NDArray[np.float32], scale: NDArray[np.float32], size: InputSize
) -> NDArray[np.float64]:
    source = np.empty((3, 2), dtype=np.float32)
    source[0] = center
    source[1] = center[0] - 0.5 * np.float64(scale[0]), center[1]
    source[2] = source[1, 0], source[1, 1] + (source[0, 0] - source[1, 0])
    half_width, half_height = size.width / 2, size.height / 2
    target = np.array(
        [[half_width, half_height], [0, half_height], [0, half_height + half_width]],
        dtype=np.float32,
    )
    # The closed form differs from this solver's rounding by 1e-13, and warpAffine rounds to
    # 1/1024 pixel, where float32 boxes make exact ties common: 2 crops in 100 would differ.
    return np.asarray(cv2.getAffineTransform(source, target), dtype=np.float64)


def _udp_matrix(
    center: NDArray[np.float32], scale: NDArray[np.float32], size: InputSize
) -> NDArray[np.float32]:
    # float64 until the end: numpy 1, which the reference ran on, promotes scalars so.
    middle, extent = center.astype(np.float64), scale.astype(np.float64)
    factor = np.array([size.width - 1, size.height - 1]) / extent
    offset = factor * (-middle + 0.5 * extent)
    matrix = np.concatenate([np.diag(factor), offset[:, None]], axis=1)
    return matrix.astype(np.float32)


def input_to_image(
    keypoints: NDArray[Float],
    center: NDArray[np.float32],
    scale: NDArray[np.float32],
    size: InputSize,
) -> NDArray[Float]:
    """Return keypoints (N, K, 2) in image pixels from input pixels.

    `center` and `scale` are (N, 2). Computed in float64 and stored in the dtype given, as MMPose
    does: float32 for classic, DARK and SimCC decoding, float64 for UDP.
    """
    sides = np.array([size.width, size.height])
    corner = np.float32(0.5) * scale
    image = keypoints / sides * scale[:, None] + center[:, None] - corner[:, None]
    stored: NDArray[Float] = image.astype(keypoints.dtype)
    return stored
