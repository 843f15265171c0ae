"""OKS-NMS, hard and soft, equal to MMPose 1.3.2's `evaluation/functional/nms.py`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from posebench.errors import EvaluationError

NmsRule = Literal["hard", "soft", "none"]
NMS_RULES: tuple[NmsRule, ...] = ("hard", "soft", "none")
SOFT_MAX_DETECTIONS = 20
# Poses of an image whose pairs are held at once: 2 MB of COCO's keypoints.
_AT_ONCE = 100


def oks_between(
    index: int,
    others: NDArray[np.int64],
    keypoints: NDArray[Any],
    areas: NDArray[Any],
    sigmas: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return the OKS of pose `index` with `others`, over all K keypoints and the mean area.

    `keypoints` (N, K, 2) and `areas` (N,) in pixels, `sigmas` (K,). The OKS is float32, as the
    reference stores it, because its threshold decides on that value.
    """
    return _oks(index, others, keypoints, areas, sigmas)


def _oks(
    ones: int | NDArray[np.int64],
    others: NDArray[np.int64],
    keypoints: NDArray[Any],
    areas: NDArray[Any],
    sigmas: NDArray[np.float32],
) -> NDArray[np.float32]:
    offsets = keypoints[others] - keypoints[ones]
    offsets *= offsets
    squared = offsets[..., 0] + offsets[..., 1]  # a sum along an axis of two takes twice as long
    area = (areas[ones] + areas[others]) / 2 + np.spacing(1)
    distance = squared / (sigmas * 2) ** 2 / area[:, None] / 2
    similarity: NDArray[np.float32] = np.exp(-distance).mean(axis=1).astype(np.float32)
    return similarity


def oks_nms(
    keypoints: NDArray[Any],
    scores: NDArray[Any],
    areas: NDArray[Any],
    sigmas: NDArray[np.float32],
    threshold: float = 0.9,
) -> NDArray[np.int64]:
    """Return the positions of one image's poses to keep, best first.

    A pose is dropped if its OKS with a kept one is above `threshold`. `keypoints` (N, K, 2),
    `scores` (N,), `areas` (N,), `sigmas` (K,). Of equal scores the last comes first.
    """
    order = _best_first(scores)
    if len(order) > _AT_ONCE:
        return _one_by_one(order, keypoints, areas, sigmas, threshold)
    better, worse = _pairs(len(order))
    overlap = _oks(order[better], order[worse], keypoints, areas, sigmas)
    # What is not comparable goes, as in the reference.
    near = np.flatnonzero(~(overlap <= threshold))
    dropped = set[int]()
    for one, other in zip(better[near].tolist(), worse[near].tolist(), strict=True):
        if one not in dropped:
            dropped.add(other)
    return np.delete(order, list(dropped)) if dropped else order


def _one_by_one(
    order: NDArray[np.int64],
    keypoints: NDArray[Any],
    areas: NDArray[Any],
    sigmas: NDArray[np.float32],
    threshold: float,
) -> NDArray[np.int64]:
    """Do as `oks_nms` for poses of which there are too many to hold the OKS of all pairs."""
    kept = []
    while order.size:
        first, rest = order[0], order[1:]
        kept.append(first)
        order = rest[oks_between(int(first), rest, keypoints, areas, sigmas) <= threshold]
    return np.asarray(kept, dtype=np.int64)


@lru_cache(maxsize=256)
def _pairs(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of `count` positions, the smaller one first, in order."""
    one, other = np.triu_indices(count, 1)
    return one, other


def soft_oks_nms(
    keypoints: NDArray[Any],
    scores: NDArray[Any],
    areas: NDArray[Any],
    sigmas: NDArray[np.float32],
    threshold: float = 0.9,
) -> NDArray[np.int64]:
    """Return the positions of at most 20 poses of one image to keep, in order of decayed score.

    Scores decay by exp(-OKS² / `threshold`) with each pose taken. Shapes as in `oks_nms`. The
    decayed scores only choose and order: the reference reports the original ones.
    """
    order = _best_first(scores)
    decayed = np.asarray(scores, dtype=np.float64)[order]
    kept: list[int] = []
    while order.size and len(kept) < SOFT_MAX_DETECTIONS:
        first, rest = order[0], order[1:]
        kept.append(int(first))
        overlap = oks_between(int(first), rest, keypoints, areas, sigmas)
        decayed = decayed[1:] * np.exp(-(overlap**2) / threshold)
        again = _best_first(decayed)
        order, decayed = rest[again], decayed[again]
    return np.asarray(kept, dtype=np.int64)


def apply_nms(
    rule: NmsRule,
    keypoints: NDArray[Any],
    scores: NDArray[Any],
    areas: NDArray[Any],
    sigmas: NDArray[np.float32],
    threshold: float,
) -> NDArray[np.int64]:
    """Return the positions of one image's poses that the rule keeps; `none` keeps the order."""
    if rule == "none":
        return np.arange(len(scores), dtype=np.int64)
    if not 0 < threshold <= 1:
        raise EvaluationError(f"An OKS-NMS threshold of {threshold} is not in (0, 1].")
    suppress = oks_nms if rule == "hard" else soft_oks_nms
    return suppress(keypoints, scores, areas, sigmas, threshold)


def _best_first(scores: NDArray[Any]) -> NDArray[np.int64]:
    """Order as the reference's `argsort()[::-1]` does for the lists where it is stable."""
    return np.argsort(scores, kind="stable")[::-1].astype(np.int64)
