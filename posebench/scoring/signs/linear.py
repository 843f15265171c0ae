"""Straight relations between the poses of two files: shifts, scales, and those within a crop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.matching.detections import Detections, ResultColumns
from posebench.scoring.signs.paired import (
    PosePairs,
    mean_gap,
    nearest_pairs,
    ranked_pairs,
)

_PADDING, _ASPECT_RATIO = 1.25, 0.75
# Scales closer to 1 than this are those of rounding, and smaller shifts nobody's doing.
_SAME_SCALE, _SAME_PLACE = 1e-3, 0.02
# Shares of a crop's width; half a pixel of a map 96 wide is 0.005.
_SAME_SHARE = 5e-4
# A pose whose partner is farther than this part of its side may be somebody else's.
_LOST = 0.1


@dataclass(frozen=True, eq=False)
class Undone:
    """A cause, what it says, and the second file's poses with it undone."""

    cause: str
    text: str
    poses: Detections


def linear_causes(
    one: ResultColumns, other: ResultColumns, names: tuple[str, str]
) -> Iterator[Undone]:
    """Yield what straight relations would turn the second file's poses into the first's."""
    own, theirs = one.detections, other.detections
    pairs = _trusted(own, theirs)
    if len(pairs.one) < 2:
        return
    points = theirs.keypoints[pairs.other], own.keypoints[pairs.one]
    gaps = points[0] - points[1]
    shift = np.median(gaps.reshape(-1, 2), axis=0)
    if np.abs(shift).max() > _SAME_PLACE:
        text = f"{names[1]} lies {_pixels(shift)} from {names[0]}, whoever the person is"
        yield Undone("shift", text, _moved(theirs, theirs.keypoints - shift))
    scale, offset = _line(points[1], points[0])
    if np.abs(scale - 1).max() > _SAME_SCALE:
        text = f"{names[1]} is {names[0]} times {scale[0]:.4g} in x and {scale[1]:.4g} in y"
        yield Undone("scale", text, _moved(theirs, (theirs.keypoints - offset) / scale))
    yield from _within_crops(one, other, pairs, names)


def _within_crops(
    one: ResultColumns, other: ResultColumns, pairs: PosePairs, names: tuple[str, str]
) -> Iterator[Undone]:
    """Yield shifts and stretches that are in proportion to a person's crop."""
    boxes = other.bbox_xywh
    if boxes is None:
        return
    center, scale = _crops(boxes)
    own, theirs = one.detections, other.detections
    place = (own.keypoints[pairs.one] - center[pairs.other, None]) / scale[pairs.other, None]
    moved = (theirs.keypoints[pairs.other] - center[pairs.other, None]) / scale[pairs.other, None]
    stretch, offset = _line(place, moved)
    if np.abs(offset).max() > _SAME_SHARE:
        text = (
            f"{names[1]} lies {100 * offset[0]:+.2f} % of the crop's width and "
            f"{100 * offset[1]:+.2f} % of its height from {names[0]}: half a pixel of a map "
            f"{_wide(offset[0])} wide"
        )
        poses = theirs.keypoints - offset * scale[:, None]
        yield Undone("shift in the crop", text, _moved(theirs, poses))
    if np.abs(stretch - 1).max() > _SAME_SHARE:
        text = (
            f"{names[1]} is {names[0]} stretched within each crop by {stretch[0]:.4f} in x and "
            f"{stretch[1]:.4f} in y: that of a crop {_pixels_wide(stretch[0])} pixels wide whose "
            "corners are taken for pixels' centres on one side only"
        )
        poses = (theirs.keypoints - center[:, None] - offset * scale[:, None]) / stretch
        yield Undone("UDP against classic", text, _moved(theirs, poses + center[:, None]))


def _trusted(own: Detections, theirs: Detections) -> PosePairs:
    """Return pairs by nearness, or from left to right where the nearest are far away."""
    pairs = nearest_pairs(own, theirs)
    if len(pairs.one) and mean_gap(own, theirs, pairs) <= _LOST:
        return pairs
    return ranked_pairs(own, theirs)


def _line(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return slopes (2,) and offsets (2,) of y = slope x + offset, by trimmed least squares.

    The fifth of the keypoints that lies farthest off the line is left out, time after time.
    """
    slopes, offsets = [], []
    for axis in range(2):
        one, other = x[..., axis].ravel(), y[..., axis].ravel()
        kept = np.ones(len(one), dtype=bool)
        slope, offset = 1.0, 0.0
        for _ in range(5):
            if np.ptp(one[kept]) == 0:
                break
            slope, offset = np.polyfit(one[kept], other[kept], 1)
            rest = np.abs(other - slope * one - offset)
            kept = rest <= np.quantile(rest, 0.8)
        slopes.append(slope)
        offsets.append(offset)
    return np.array(slopes), np.array(offsets)


def _crops(bbox_xywh: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return centres (N, 2) and padded sides (N, 2) of crops of three to four."""
    center = bbox_xywh[:, :2] + bbox_xywh[:, 2:] / 2
    width = np.maximum(bbox_xywh[:, 2], bbox_xywh[:, 3] * _ASPECT_RATIO) * _PADDING
    width = np.maximum(width, 1.0)
    return center, np.stack([width, width / _ASPECT_RATIO], axis=1)


def _moved(poses: Detections, keypoints: NDArray[np.float64]) -> Detections:
    return replace(poses, keypoints=keypoints)


def _pixels(shift: NDArray[np.float64]) -> str:
    return f"{shift[0]:+.2f} pixels in x and {shift[1]:+.2f} in y"


def _wide(share: float) -> str:
    return "any number of pixels" if share == 0 else f"{abs(0.5 / share):.0f} pixels"


def _pixels_wide(stretch: float) -> str:
    return "any number of" if stretch == 1 else f"about {abs(1 / (stretch - 1)):.0f}"
