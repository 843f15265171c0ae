"""Signs of poses that one file has alone: images without poses, duplicates, other boxes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.matching.detections import Detections, ResultColumns
from posebench.scoring.signs.paired import PosePairs, sides_of
from posebench.scoring.signs.sign import ReadFile, Sign, percent

# Keypoints closer than this many pixels are equal but for the digits of a file.
EQUAL = 0.01
# Poses closer than this share of their side are of one person.
_ONE_PERSON = 0.1
# So much of what one file has alone must have a cause.
_MOSTLY = 0.5


def box_signs(one: ReadFile, other: ReadFile, pairs: PosePairs) -> Iterator[Sign]:
    """Yield signs of images without poses, of kept duplicates, or of other boxes."""
    own, theirs = one.columns, other.columns
    alone = len(own) + len(theirs) - 2 * len(pairs.one)
    share = alone / max(len(own) + len(theirs), 1)
    counted = f"{len(own)} poses in {one.name}, {len(theirs)} in {other.name}"
    empty = list(_empty_images(one, other))
    yield from empty
    gaps = np.abs(own.detections.keypoints[pairs.one] - theirs.detections.keypoints[pairs.other])
    same = float(np.mean(gaps.max(axis=(1, 2)) <= EQUAL)) if len(pairs.one) else 0.0
    if same > 0.99 and share > 0 and _has_duplicates(own.detections, theirs.detections, pairs):
        text = f"the poses that both have are equal, {counted}: one has kept duplicates (OKS-NMS)"
        yield Sign("NMS", text)
        return
    moved = _moved_boxes(own, theirs, pairs)
    if moved is not None and moved > 0.05:
        yield Sign("boxes", f"{percent(moved)} of the boxes differ, {counted}")
    elif share > 0.05 and not empty:
        yield Sign("boxes", f"{percent(share)} of the poses are in one file alone, {counted}")


def _empty_images(one: ReadFile, other: ReadFile) -> Iterator[Sign]:
    """Yield a sign if most poses that one file has alone are in images where the other has none."""
    poses = [each.columns.detections for each in (one, other)]
    lacking = [~np.isin(each.image_ids, rest.image_ids) for each, rest in (poses, poses[::-1])]
    for (full, empty), rows, here, there in zip(
        ((one, other), (other, one)), lacking, poses, poses[::-1], strict=True
    ):
        more = len(here) - len(there)
        if more > 0 and rows.sum() > _MOSTLY * more:
            images = len(np.unique(here.image_ids[rows]))
            text = (
                f"{empty.name} has no pose in {images} images in which {full.name} has "
                f"{int(rows.sum())}: was it cut short, or made of fewer images?"
            )
            yield Sign("images without poses", text)


def _has_duplicates(one: Detections, other: Detections, pairs: PosePairs) -> bool:
    """Tell whether most poses that one file has alone lie on others of that file."""
    alone = [np.setdiff1d(np.arange(len(one)), pairs.one)]
    alone.append(np.setdiff1d(np.arange(len(other)), pairs.other))
    twice = 0
    for poses, rows in zip((one, other), alone, strict=True):
        sides = sides_of(poses)
        for row in rows.tolist():
            others = np.flatnonzero(poses.image_ids == poses.image_ids[row])
            others = others[others != row]
            gaps = np.linalg.norm(poses.keypoints[others] - poses.keypoints[row], axis=2)
            twice += bool((gaps.mean(axis=1) < _ONE_PERSON * sides[row]).any())
    return twice > _MOSTLY * sum(map(len, alone))


def _moved_boxes(own: ResultColumns, theirs: ResultColumns, pairs: PosePairs) -> float | None:
    """Return the share of boxes that differ by more than a hundredth of their side."""
    if own.bbox_xywh is None or theirs.bbox_xywh is None or not len(pairs.one):
        return None
    one, other = own.bbox_xywh[pairs.one], theirs.bbox_xywh[pairs.other]
    side: NDArray[np.float64] = np.maximum(one[:, 2:].max(axis=1), 1.0)
    return float(np.mean(np.abs(one - other).max(axis=1) > 0.01 * side))
