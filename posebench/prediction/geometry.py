"""Boxes, crops and coordinates: box to centre and scale, crop matrix, input to image and back.

Numbers must match MMPose 1.3.2, bit for bit up to the crop: `structures/bbox/transforms.py`,
`datasets/transforms/topdown_transforms.py` and `models/pose_estimators/topdown.py`.

*Input pixels* are MMPose's: a keypoint's fraction of the padded box times the input size. With
a classic crop that is the index of a pixel of the crop; with a UDP crop, whose corner pixels lie
on the box's corners, pixel i of W lies at i · W / (W − 1) input pixels.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from posebench.networks.sizes import InputSize
from posebench.prediction.affine import affine_maps

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
    """Return the map (2, 3) of one box, whose `center` and `scale` are (2,), as `crop_matrices`."""
    matrix: NDArray[np.floating[Any]] = crop_matrices(center[None], scale[None], size, udp)[0]
    return matrix


def crop_matrices(
    center: NDArray[np.float32], scale: NDArray[np.float32], size: InputSize, udp: bool
) -> NDArray[np.floating[Any]]:
    """Return the maps (N, 2, 3) from image pixels to pixels of the crop, for N boxes.

    `center` and `scale` are (N, 2), in image pixels. Classic (`get_warp_matrix`): the padded box's
    centre and left side go to (W/2, H/2) and column 0; float64. UDP (`get_udp_warp_matrix`): the
    box's corners go to the centres of the corner pixels; float32. A box without area, or with a
    side that is not finite, has a map of zeros or one that is not finite.
    """
    # Such boxes divide by zero on the way.
    with np.errstate(all="ignore"):
        make = _udp_matrices if udp else _classic_matrices
        return make(center, scale, size)


def _classic_matrices(
    center: NDArray[np.float32], scale: NDArray[np.float32], size: InputSize
) -> NDArray[np.float64]:
    source = np.empty((len(center), 3, 2), dtype=np.float32)
    source[:, 0] = source[:, 1] = center
    source[:, 1, 0] -= 0.5 * scale[:, 0].astype(np.float64)
    source[:, 2, 0] = source[:, 1, 0]
    source[:, 2, 1] = source[:, 1, 1] + (source[:, 0, 0] - source[:, 1, 0])
    half_width, half_height = size.width / 2, size.height / 2
    target = np.array(
        [[half_width, half_height], [0, half_height], [0, half_height + half_width]],
        dtype=np.float32,
    )
    # The closed form differs from this solver's rounding by 1e-13, and warpAffine rounds to
    # 1/1024 pixel, where float32 boxes make exact ties common: 2 crops in 100 would differ.
    return affine_maps(source, target)


def _udp_matrices(
    center: NDArray[np.float32], scale: NDArray[np.float32], size: InputSize
) -> NDArray[np.float32]:
    # float64 until the end: numpy 1, which the reference ran on, promotes scalars so.
    middle, extent = center.astype(np.float64), scale.astype(np.float64)
    factor = np.array([size.width - 1, size.height - 1]) / extent
    matrices = np.zeros((len(center), 2, 3), dtype=np.float32)
    matrices[:, 0, 0], matrices[:, 1, 1] = factor.T
    matrices[:, :, 2] = factor * (-middle + 0.5 * extent)
    return matrices


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
