"""Recognise boxes and keypoints that are not written in COCO's way, and name the way that fits.

Every test compares a reading with something independent of it: boxes with the poses in them or with
other boxes, keypoints with their boxes. It reports another reading only if the usual one fits badly
and the other one well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
BoxReading = Callable[[Numbers, Numbers], Numbers]
PoseReading = Callable[[Numbers, Numbers], Numbers]


def _corners(boxes: Numbers, _: Numbers) -> Numbers:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _centred(boxes: Numbers, _: Numbers) -> Numbers:
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


def _fractions(boxes: Numbers, sizes: Numbers) -> Numbers:
    return np.asarray(boxes * np.concatenate([sizes, sizes], axis=1))


# Readings of N boxes (N, 4) in images of a size (N, 2: width, height), as x, y, w, h in pixels.
BOX_READINGS: Mapping[str, BoxReading] = MappingProxyType(
    {
        "x1, y1, x2, y2": _corners,
        "centre x, centre y, w, h": _centred,
        "fractions of the image": _fractions,
        "x1, y1, x2, y2 as fractions of the image": lambda b, s: _corners(_fractions(b, s), s),
        "centre x, centre y, w, h as fractions of the image": lambda b, s: _centred(
            _fractions(b, s), s
        ),
    }
)
# Readings of N poses (N, K, 3), as x, y and flag or score of each keypoint.
POSE_READINGS: Mapping[str, PoseReading] = MappingProxyType(
    {
        "y, x": lambda poses, _: poses[..., [1, 0, 2]],
        "all x, then all y": lambda poses, _: poses.reshape(len(poses), 3, -1).transpose(0, 2, 1),
        "fractions of the image": lambda poses, sizes: np.concatenate(
            [poses[..., :2] * sizes[:, None], poses[..., 2:]], axis=2
        ),
    }
)
# At most this many rows and images are examined, evenly spread over a larger file.
_MOST, _MOST_IMAGES = 1000, 100
# With fewer rows, no reading is judged.
_FEWEST = 3
_FEWEST_KEYPOINTS = 5
# A reading is reported if it fits this much better for this share of the rows.
_BETTER, _SHARE = 0.15, 0.8
_LEAST_OVERLAP = 0.3
# Shares of labelled keypoints that lie inside their boxes, grown by `_GROWN` of each side.
_BADLY_INSIDE, _WELL_INSIDE, _GROWN = 0.5, 0.8, 0.2


# A wrong reading of a large number may overflow; it then does not fit.
_QUIET = np.errstate(over="ignore", invalid="ignore")


@dataclass(frozen=True, eq=False)
class Placed:
    """Boxes x, y, w, h (N, 4) and the numbers of their images (N,)."""

    boxes: Numbers
    images: NDArray[np.int64]


def sample(count: int, most: int = _MOST) -> NDArray[np.intp]:
    """Return at most `most` positions, evenly spread over `count`."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.intp)


@_QUIET
def box_reading_by_poses(boxes: Numbers, poses: Numbers, sizes: Numbers) -> str | None:
    """Say which reading of N boxes (N, 4) fits the poses (N, K, 3) in them; None for x, y, w, h.

    Keypoints whose third number is not above 0 do not count. `sizes` (N, 2) are those of the
    images in pixels, NaN where unknown.
    """
    labelled = poses[..., 2] > 0
    enough = labelled.sum(axis=1) >= min(_FEWEST_KEYPOINTS, poses.shape[1])
    rows = np.flatnonzero(enough & (poses.shape[1] > 1))
    rows = rows[sample(len(rows))]
    if len(rows) < _FEWEST:
        return None
    extents = _extents(poses[rows], labelled[rows])
    boxes, sizes = boxes[rows], sizes[rows]
    usual = overlaps(boxes, extents)
    best, name = usual, ""
    for reading, read in BOX_READINGS.items():
        fit = overlaps(read(boxes, sizes), extents)
        if np.median(fit) > np.median(best):
            best, name = fit, reading
    gain = float(np.median(best) - np.median(usual))
    if not name or gain < _BETTER or np.median(best) < _LEAST_OVERLAP:
        return None
    if np.mean(best > usual) < _SHARE:
        return None
    beyond = int(_beyond(boxes, sizes).sum())
    reach = f", {beyond} of {len(rows)} reach beyond their image" if beyond else ""
    return (
        f"Boxes do not fit the poses in them (median overlap {np.median(usual):.2f}{reach}); read "
        f"as {name} they do ({np.median(best):.2f})"
    )


@_QUIET
def keypoint_reading_by_boxes(poses: Numbers, boxes: Numbers, sizes: Numbers) -> str | None:
    """Say which reading of N poses (N, K, 3) puts them into their boxes x, y, w, h (N, 4).

    Returns None if the usual reading does, or if no reading does.
    """
    rows = np.flatnonzero(((poses[..., 2] > 0).any(axis=1)) & (boxes[:, 2:] > 0).all(axis=1))
    rows = rows[sample(len(rows))]
    if len(rows) < _FEWEST:
        return None
    poses, boxes, sizes = poses[rows], boxes[rows], sizes[rows]
    usual = _share_inside(poses, boxes)
    if usual > _BADLY_INSIDE:
        return None
    shares = {
        reading: _share_inside(read(poses, sizes), boxes) for reading, read in POSE_READINGS.items()
    }
    placed = np.concatenate([poses[..., :2] + boxes[:, None, :2], poses[..., 2:]], axis=2)
    shares["offsets from the corner of their box"] = _share_inside(placed, boxes)
    name = max(shares, key=lambda reading: shares[reading])
    if shares[name] < _WELL_INSIDE:
        return None
    return (
        f"{usual:.0%} of the labelled keypoints lie in or near their person's box; read as {name}, "
        f"{shares[name]:.0%} do"
    )


def fractions_everywhere(poses: Numbers, boxes: Numbers) -> str | None:
    """Say that all of N poses (N, K, 3) and boxes (N, 4) are fractions of their images, if so.

    Poses and boxes that are both fractions fit each other, so no other test sees them.
    """
    labelled = poses[..., :2][poses[..., 2] > 0]
    if len(boxes) < _FEWEST or not labelled.size or boxes.max() <= 0:
        return None
    if max(boxes.max(), np.abs(labelled).max()) > 1.0:
        return None
    return (
        f"All boxes and labelled keypoints of {len(boxes)} persons lie within 0-1: they look like "
        "fractions of the image, and pixels are wanted"
    )


@_QUIET
def box_reading_by_boxes(found: Placed, annotated: Placed, sizes: Numbers) -> str | None:
    """Say which reading of N detected boxes fits the annotated ones; None for x, y, w, h.

    `sizes` (N, 2) are those of the detected boxes' images.
    """
    images = np.intersect1d(found.images, annotated.images)
    images = images[sample(len(images), _MOST_IMAGES)]
    if not len(images):
        return None
    usual = _found(found, annotated, images)
    fits = {
        reading: _found(Placed(read(found.boxes, sizes), found.images), annotated, images)
        for reading, read in BOX_READINGS.items()
    }
    name = max(fits, key=lambda reading: fits[reading])
    if fits[name] < max(_BADLY_INSIDE, usual + _BETTER):
        return None
    return (
        f"Boxes overlap with annotated persons by {usual:.2f} in the mean; read as {name} by "
        f"{fits[name]:.2f}"
    )


def _found(found: Placed, annotated: Placed, images: NDArray[np.int64]) -> float:
    """Return the mean best overlap of these images' annotated boxes with detected ones."""
    best = []
    for image in images:
        own = annotated.boxes[annotated.images == image]
        near = found.boxes[found.images == image]
        pairs = overlaps(
            np.repeat(near, len(own), axis=0), _as_corners(np.tile(own, (len(near), 1)))
        )
        best += pairs.reshape(len(near), len(own)).max(axis=0).tolist()
    return float(np.mean(best))


def overlaps(boxes: Numbers, corners: Numbers) -> Numbers:
    """Return the intersection over union (N,) of boxes x, y, w, h and x1, y1, x2, y2 (N, 4)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        own = _as_corners(boxes)
        low, high = np.maximum(own[:, :2], corners[:, :2]), np.minimum(own[:, 2:], corners[:, 2:])
        shared = np.clip(high - low, 0, None).prod(axis=1)
        union = boxes[:, 2] * boxes[:, 3] + (corners[:, 2:] - corners[:, :2]).prod(axis=1) - shared
        found = np.where((boxes[:, 2:] > 0).all(axis=1) & (union > 0), shared / union, 0.0)
    return np.nan_to_num(found)


def _as_corners(boxes: Numbers) -> Numbers:
    return np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)


def _extents(poses: Numbers, labelled: NDArray[np.bool_]) -> Numbers:
    """Return the corners (N, 4) of the labelled keypoints' extent."""
    points = poses[..., :2]
    low = np.where(labelled[..., None], points, np.inf).min(axis=1)
    high = np.where(labelled[..., None], points, -np.inf).max(axis=1)
    return np.concatenate([low, high], axis=1)


def _share_inside(poses: Numbers, boxes: Numbers) -> float:
    """Return the share of keypoints with a flag above 0 that lie in their grown boxes."""
    labelled = poses[..., 2] > 0
    slack = _GROWN * boxes[:, 2:]
    low, high = boxes[:, :2] - slack, boxes[:, :2] + boxes[:, 2:] + slack
    points = poses[..., :2]
    with np.errstate(invalid="ignore"):
        near = np.logical_and(points >= low[:, None], points <= high[:, None])
        inside = np.asarray(near.all(axis=2))
    return float(inside[labelled].mean()) if labelled.any() else 0.0


def _beyond(boxes: Numbers, sizes: Numbers) -> NDArray[np.bool_]:
    """Return which boxes (N, 4) reach beyond their images by more than rounding."""
    with np.errstate(invalid="ignore"):
        return np.asarray(((boxes[:, :2] + boxes[:, 2:]) > sizes + 2).any(axis=1))
