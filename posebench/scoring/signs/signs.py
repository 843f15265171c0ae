"""What made one results file differ from another, the cause that explains most of it first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import PoseDataset
from posebench.scoring.matching.detections import Detections, ResultColumns
from posebench.scoring.matching.metrics import MATCH_METRICS
from posebench.scoring.matching.truth import GroundTruth
from posebench.scoring.metrics import matched_table, table_values
from posebench.scoring.signs.grids import grid_of
from posebench.scoring.signs.linear import Undone, linear_causes
from posebench.scoring.signs.paired import PosePairs, mean_gap, nearest_pairs
from posebench.scoring.signs.sign import Sign

_AP = "AP"
# What is undone must take away this much of the distance to be worth a line.
_TELLS = 0.1
# A cause that explains so much leaves nothing for boxes, which follow the poses.
_ALL = 0.9
# Keypoints closer than this many pixels are equal but for the digits of a file.
_EQUAL = 0.01
# A flip test lowers the scores of most poses by a little, and takes away what lies to one side.
_LOWER, _MOSTLY, _LITTLE, _ASIDE = 0.8, 0.55, 0.3, 0.5


@dataclass(frozen=True, eq=False)
class ReadFile:
    """A results file as columns, and what to call it."""

    name: str
    columns: ResultColumns


def signs_between(
    dataset: PoseDataset, truth: GroundTruth, one: ReadFile, other: ReadFile
) -> tuple[Sign, ...]:
    """Return what would make the second file equal to the first, what explains most first."""
    own, theirs = one.columns.detections, other.columns.detections
    pairs = nearest_pairs(own, theirs)
    before = mean_gap(own, theirs, pairs)
    found = list(_score_signs(one, other, pairs))
    if before > 0:
        undone = [*_relabelled(dataset, one, other)]
        undone += linear_causes(one.columns, other.columns, (one.name, other.name))
        for each in undone:
            explains = 1 - mean_gap(own, each.poses) / before
            if explains > _TELLS:
                ap = average_precision(dataset, truth, each.poses)
                found.append(Sign(each.cause, each.text, explains, ap))
        if all((sign.explains or 0.0) < _ALL for sign in found):
            found += _box_signs(one, other, pairs)
        found += _grid_signs(one, other)
    return _each_cause_once(sorted(found, key=lambda sign: sign.rank))


def _each_cause_once(signs: Sequence[Sign]) -> tuple[Sign, ...]:
    """Return the first sign of each cause: of two that explain the same, the simpler one."""
    first: dict[str, Sign] = {}
    for sign in signs:
        first.setdefault(sign.cause, sign)
    return tuple(first.values())


def average_precision(dataset: PoseDataset, truth: GroundTruth, poses: Detections) -> float | None:
    """Return the AP of poses; those of images that the data set lacks do not count."""
    known = np.isin(poses.image_ids, truth.image_ids)
    table = matched_table(truth, poses.subset(known), dataset.kind)
    return table_values(table, MATCH_METRICS[dataset.kind])[_AP]


def _relabelled(dataset: PoseDataset, one: ReadFile, other: ReadFile) -> Iterator[Undone]:
    """Yield causes that leave the numbers as they are and move them elsewhere."""
    theirs = other.columns.detections
    order = list(dataset.keypoints.flip_indices)
    swapped = replace(
        theirs,
        keypoints=theirs.keypoints[:, order],
        keypoint_scores=theirs.keypoint_scores[:, order],
    )
    yield Undone("left and right", f"{other.name} has left and right swapped", swapped)
    turned = replace(theirs, keypoints=theirs.keypoints[..., ::-1])
    yield Undone("x and y", f"{other.name} has x and y swapped", turned)
    whole = np.rint(one.columns.detections.keypoints)
    if np.array_equal(theirs.keypoints, np.rint(theirs.keypoints)) and len(whole) == len(theirs):
        text = f"{other.name} has whole pixels alone, {one.name} has fractions"
        pairs = nearest_pairs(one.columns.detections, theirs)
        poses = theirs.keypoints.copy()
        rounded = whole[pairs.one] == poses[pairs.other]
        exact = one.columns.detections.keypoints[pairs.one]
        poses[pairs.other] = np.where(rounded, exact, poses[pairs.other])
        yield Undone("rounding", text, replace(theirs, keypoints=poses))
    yield from _renamed_images(one, other)


def _renamed_images(one: ReadFile, other: ReadFile) -> Iterator[Undone]:
    """Yield what becomes of poses if they belong to the images that the first file has them in."""
    own, theirs = one.columns.detections, other.columns.detections
    if not len(own) or not len(theirs):
        return
    ids = np.unique(own.image_ids)
    shift = int(theirs.image_ids.min() - own.image_ids.min())
    if shift:
        text = f"the image ids of {other.name} are those of {one.name} {shift:+d}"
        yield Undone("image ids", text, replace(theirs, image_ids=theirs.image_ids - shift))
    for step in (-1, 1):
        place = np.searchsorted(ids, theirs.image_ids) + step
        known = np.isin(theirs.image_ids, ids) & (place >= 0) & (place < len(ids))
        moved = np.where(known, ids[np.clip(place, 0, len(ids) - 1)], theirs.image_ids)
        where = "after" if step < 0 else "before"
        text = f"{other.name} has each pose one image {where} that of {one.name}"
        yield Undone("image ids", text, replace(theirs, image_ids=moved))
    if len(own) == len(theirs):
        text = f"the image ids of {other.name} do not belong to its poses"
        poses = _by_equal_poses(own, theirs)
        if poses is not None:
            yield Undone("image ids", text, poses)


def _by_equal_poses(own: Detections, theirs: Detections) -> Detections | None:
    """Return poses under the image ids that equal poses have in the first file."""
    keys = [np.round(each.keypoints.reshape(len(each), -1), 1) for each in (own, theirs)]
    images = {row.tobytes(): image for row, image in zip(keys[0], own.image_ids, strict=True)}
    rows = zip(keys[1], theirs.image_ids, strict=True)
    found = [images.get(row.tobytes(), image) for row, image in rows]
    moved = np.array(found, dtype=np.int64)
    return None if np.array_equal(moved, theirs.image_ids) else replace(theirs, image_ids=moved)


def _score_signs(one: ReadFile, other: ReadFile, pairs: PosePairs) -> Iterator[Sign]:
    """Yield signs in the scores of poses and keypoints."""
    own, theirs = one.columns.detections, other.columns.detections
    if not len(pairs.one):
        return
    gaps = np.abs(own.keypoints[pairs.one] - theirs.keypoints[pairs.other]).max(axis=(1, 2))
    scores = own.scores[pairs.one], theirs.scores[pairs.other]
    points = own.keypoint_scores[pairs.one], theirs.keypoint_scores[pairs.other]
    if (gaps <= _EQUAL).all():
        if not np.allclose(*scores, rtol=1e-4, atol=1e-6):
            share = float(np.mean(~np.isclose(*scores, rtol=1e-4, atol=1e-6)))
            text = f"poses are equal and {_percent(share)} of their scores are not (rescoring)"
            yield Sign("instance scores", text)
        return
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = points[1].mean(axis=1) / points[0].mean(axis=1)
    ratio = ratio[np.isfinite(ratio)]
    for names, values in (((one.name, other.name), ratio), ((other.name, one.name), 1 / ratio)):
        higher = float(np.mean(values > 1)) if len(values) else 0.0
        little = float(np.median(values)) - 1 if len(values) else 0.0
        aside, level = _sideways(own, theirs, pairs)
        enough = higher >= (_MOSTLY if aside else _LOWER)
        if enough and 0 < little < _LITTLE and level:
            text = (
                f"keypoint scores of {names[1]} are higher in {_percent(higher)} of the poses, by "
                f"{_percent(little)}, and its keypoints lie no higher or lower: {names[1]} lacks "
                f"the flip test of {names[0]}, or {names[0]} saw other crops"
            )
            yield Sign("flip test", text)


def _sideways(own: Detections, theirs: Detections, pairs: PosePairs) -> tuple[bool, bool]:
    """Tell whether poses lie to one side, and whether they lie no higher or lower.

    A map whose pixels are aligned at the left moves keypoints to one side, and a flip test takes
    the mean of both sides.
    """
    gaps = theirs.keypoints[pairs.other] - own.keypoints[pairs.one]
    relative = gaps / pairs.side[:, None, None]
    middle = np.abs(np.median(relative, axis=(0, 1)))
    spread = np.median(np.abs(relative), axis=(0, 1))
    return bool(middle[0] > _ASIDE * spread[0]), bool(middle[1] <= _ASIDE * spread[1] + 1e-9)


def _box_signs(one: ReadFile, other: ReadFile, pairs: PosePairs) -> Iterator[Sign]:
    """Yield signs of other boxes, or of duplicates that one file has kept."""
    own, theirs = one.columns, other.columns
    alone = len(own) + len(theirs) - 2 * len(pairs.one)
    share = alone / max(len(own) + len(theirs), 1)
    counted = f"{len(own)} poses in {one.name}, {len(theirs)} in {other.name}"
    gaps = np.abs(own.detections.keypoints[pairs.one] - theirs.detections.keypoints[pairs.other])
    same = float(np.mean(gaps.max(axis=(1, 2)) <= _EQUAL)) if len(pairs.one) else 0.0
    if same > 0.99 and share > 0:
        text = f"the poses that both have are equal, {counted}: one has kept duplicates (OKS-NMS)"
        yield Sign("NMS", text)
        return
    moved = _moved_boxes(own, theirs, pairs)
    if moved is not None and moved > 0.05:
        text = f"{_percent(moved)} of the boxes differ, {counted}"
        yield Sign("boxes", text)
    elif moved is None and share > 0.05:
        text = f"{_percent(share)} of the poses are in one file alone, {counted}"
        yield Sign("boxes", text)


def _moved_boxes(own: ResultColumns, theirs: ResultColumns, pairs: PosePairs) -> float | None:
    """Return the share of boxes that differ by more than a hundredth of their side."""
    if own.bbox_xywh is None or theirs.bbox_xywh is None or not len(pairs.one):
        return None
    one, other = own.bbox_xywh[pairs.one], theirs.bbox_xywh[pairs.other]
    side: NDArray[np.float64] = np.maximum(one[:, 2:].max(axis=1), 1.0)
    return float(np.mean(np.abs(one - other).max(axis=1) > 0.01 * side))


def _grid_signs(one: ReadFile, other: ReadFile) -> Sequence[Sign]:
    """Return a sign if the two files lie on different grids, or only one lies on any."""
    grids = [grid_of(file.columns) for file in (one, other)]
    if grids[0] == grids[1]:
        return ()
    said = [
        f"{file.name}: {'no grid (DARK, UDP, expectation or regression)' if g is None else g}"
        for file, g in zip((one, other), grids, strict=True)
    ]
    return (Sign("decoder", "; ".join(said)),)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
