"""What made one results file differ from another, the cause that explains most of it first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from posebench.datasets.coco import PoseDataset
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.metrics import MATCH_METRICS
from posebench.scoring.matching.truth import GroundTruth
from posebench.scoring.metrics import matched_table, table_values
from posebench.scoring.signs.grids import grid_of
from posebench.scoring.signs.linear import Undone, linear_causes
from posebench.scoring.signs.paired import PosePairs, mean_gap, nearest_pairs
from posebench.scoring.signs.relabelled import relabelled
from posebench.scoring.signs.sign import ReadFile, Sign, percent
from posebench.scoring.signs.unpaired import EQUAL, box_signs

_AP = "AP"
# What is undone must take away this much of the distance to be worth a line.
_TELLS = 0.1
# A cause that explains so much leaves nothing for boxes, which follow the poses.
_ALL = 0.9
# Causes that explain so much together make one file of the other; more than three are guesses.
_WHOLLY, _CAUSES = 0.98, 3
# A flip test lowers the scores of most poses by a little, and takes away what lies to one side.
_LOWER, _MOSTLY, _LITTLE, _ASIDE = 0.8, 0.55, 0.3, 0.5


def signs_between(
    dataset: PoseDataset, truth: GroundTruth, one: ReadFile, other: ReadFile
) -> tuple[Sign, ...]:
    """Return what would make the second file equal to the first, what explains most first."""
    own, theirs = one.columns.detections, other.columns.detections
    pairs = nearest_pairs(own, theirs)
    before = mean_gap(own, theirs, pairs)
    found = list(_score_signs(one, other, pairs))
    if before > 0:
        weighed = _weighed(dataset, one, other, before)
        undone = [(explains, each) for explains, each in weighed if explains > _TELLS]
        undone += [*_together(dataset, one, other, undone, before)]
        for explains, each in undone:
            ap = average_precision(dataset, truth, each.poses)
            found.append(Sign(each.cause, each.text, explains, ap))
            if explains > _WHOLLY:
                known = nearest_pairs(own, each.poses)
                found += _score_signs(one, _with_poses(other, each.poses), known)
        if all((sign.explains or 0.0) < _ALL for sign in found):
            found += box_signs(one, other, pairs)
        found += _grid_signs(one, other)
    return _each_cause_once(sorted(found, key=lambda sign: sign.rank))


def _weighed(
    dataset: PoseDataset, one: ReadFile, other: ReadFile, before: float
) -> Iterator[tuple[float, Undone]]:
    """Yield each cause that can be undone, and the part of the distance `before` it explains."""
    causes = (
        *relabelled(dataset, one, other),
        *linear_causes(one.columns, other.columns, (one.name, other.name)),
    )
    for each in causes:
        yield 1 - mean_gap(one.columns.detections, each.poses) / before, each


def _together(
    dataset: PoseDataset,
    one: ReadFile,
    other: ReadFile,
    alone: Sequence[tuple[float, Undone]],
    before: float,
) -> Iterator[tuple[float, Undone]]:
    """Yield what explains all where no cause alone does: up to three causes, one after the other.

    `alone` are causes and what each explains of the distance `before`.
    """
    if not alone:
        return
    explains, best = max(alone, key=lambda pair: pair[0])
    for _ in range(_CAUSES - 1):
        if explains > _WHOLLY:
            return
        weighed = _weighed(dataset, one, _with_poses(other, best.poses), before)
        rest = [(part, each) for part, each in weighed if each.cause not in best.cause]
        more, then = max(rest, key=lambda pair: pair[0], default=(0.0, best))
        best = Undone(f"{best.cause}, {then.cause}", f"{best.text}; then {then.text}", then.poses)
        if more > _WHOLLY:
            yield more, best
        if more <= explains:
            return
        explains = more


def _with_poses(file: ReadFile, poses: Detections) -> ReadFile:
    return replace(file, columns=replace(file.columns, detections=poses))


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


def _score_signs(one: ReadFile, other: ReadFile, pairs: PosePairs) -> Iterator[Sign]:
    """Yield signs in the scores of poses and keypoints."""
    own, theirs = one.columns.detections, other.columns.detections
    if not len(pairs.one):
        return
    gaps = np.abs(own.keypoints[pairs.one] - theirs.keypoints[pairs.other]).max(axis=(1, 2))
    scores = own.scores[pairs.one], theirs.scores[pairs.other]
    points = own.keypoint_scores[pairs.one], theirs.keypoint_scores[pairs.other]
    if (gaps <= EQUAL).all():
        if not np.allclose(*scores, rtol=1e-4, atol=1e-6):
            share = float(np.mean(~np.isclose(*scores, rtol=1e-4, atol=1e-6)))
            text = f"poses are equal and {percent(share)} of their scores are not (rescoring)"
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
                f"keypoint scores of {names[1]} are higher in {percent(higher)} of the poses, by "
                f"{percent(little)}, and its keypoints lie no higher or lower: {names[1]} lacks "
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
