"""Sigmas of OKS from repeated labels, as COCO defines them.

COCO's page on keypoint evaluation (cocodataset.org/#keypoints-eval): sigma squared is the mean of
(distance / scale) squared over repeated labels, where scale is the square root of the person's
area.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.keypoints import KEYPOINT_SETS, KeypointSet
from posebench.datasets.repeats import RepeatedLabels
from posebench.errors import DataError
from posebench.scoring.statistics.bootstrap import resampled_images
from posebench.scoring.statistics.intervals import percentile_interval

# With so many repeats, normal errors give a 95 % interval of +-10 %: 1.96 / (2 sqrt(repeats)).
ENOUGH_REPEATS = 100
_DECIMALS, _LISTED = 4, 5


@dataclass(frozen=True)
class KeypointSigma:
    """A keypoint's sigma with its 95 % interval, None without repeats.

    `persons` were labelled at least twice; `repeats` are their labels beyond the first.
    """

    keypoint: str
    sigma: float | None
    low: float | None
    high: float | None
    persons: int
    repeats: int


@dataclass(frozen=True)
class Disagreement:
    """How far the labels of a keypoint of a person lie from their mean at most.

    `distance` is in sigmas that single mistakes do not move.
    """

    image: str
    keypoint: str
    distance: float


@dataclass(frozen=True)
class SigmaEstimates:
    """Sigmas of a keypoint set, and where annotators disagree most.

    `alone` counts the persons of each file that nobody else labelled.
    """

    keypoints: KeypointSet
    sigmas: tuple[KeypointSigma, ...]
    images: int
    persons: int
    alone: tuple[int, ...]
    farthest: tuple[Disagreement, ...]
    replicates: int
    seed: int


def estimate_sigmas(labels: RepeatedLabels, replicates: int, seed: int) -> SigmaEstimates:
    """Return each keypoint's sigma with a percentile interval from resampled images.

    Of n labels of a keypoint of a person, the squared distances to their mean, each divided by the
    person's area, are added up; sigma squared is the sum over persons divided by the sum of n - 1.
    Left and right have one sigma.
    """
    squares, repeats, distances = _spread(labels)
    counted = repeats > 0
    images = len(labels.image_names)
    pooled = np.arange(len(labels.keypoints))
    for left, right in labels.keypoints.flip_pairs:
        pooled[[left, right]] = min(left, right)
    sums = np.zeros((2, images, len(pooled)))
    for source, target in enumerate(pooled):
        np.add.at(sums[0, :, target], labels.image, squares[:, source])
        np.add.at(sums[1, :, target], labels.image, repeats[:, source])
    value = _root_ratio(sums.sum(axis=1))
    rng = np.random.default_rng(seed)
    drawn = [
        _root_ratio(np.stack([weights @ each for each in sums]))
        for weights in (resampled_images(rng, images, replicates) if replicates else ())
    ]
    samples = np.concatenate(drawn) if drawn else np.zeros((0, len(pooled)))
    sigmas = []
    for index, target in enumerate(pooled):
        low, high = percentile_interval(samples[:, target]) or (None, None)
        known = np.isfinite(value[target])
        sigmas.append(
            KeypointSigma(
                keypoint=labels.keypoints.keypoints[index],
                sigma=float(value[target]) if known else None,
                low=low,
                high=high,
                persons=int(counted[:, pooled == target].any(axis=1).sum()),
                repeats=int(repeats[:, pooled == target].sum()),
            )
        )
    return SigmaEstimates(
        keypoints=labels.keypoints,
        sigmas=tuple(sigmas),
        images=images,
        persons=len(labels.areas),
        alone=labels.alone,
        farthest=_farthest(labels, distances / _usual_spread(squares, repeats, pooled)),
        replicates=replicates,
        seed=seed,
    )


def estimated_set(estimates: SigmaEstimates, name: str) -> KeypointSet:
    """Return the keypoint set with its estimated sigmas, rounded to four decimals.

    It keeps its name, unless that is a built-in set's, which has other sigmas: then it is `name`.

    Raises `DataError` if a keypoint has none, or one of 0.
    """
    rounded = []
    for each in estimates.sigmas:
        sigma = None if each.sigma is None else round(each.sigma, _DECIMALS)
        if not sigma:
            why = "was never labelled twice" if sigma is None else "was labelled alike every time"
            raise DataError(
                f"{each.keypoint} {why}, so that its sigma is not known.",
                hint="Label more persons, or write the set by hand and borrow this sigma.",
            )
        rounded.append(sigma)
    own = estimates.keypoints
    name = name if own.name in KEYPOINT_SETS else own.name
    return KeypointSet(name, own.keypoints, tuple(rounded), own.flip_pairs, own.skeleton)


def _spread(
    labels: RepeatedLabels,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Return squared distances to the mean summed (P, K), labels beyond the first, farthest."""
    known = np.isfinite(labels.points[..., 0])
    count = known.sum(axis=0)
    points = np.where(known[..., None], labels.points, 0.0)
    mean = points.sum(axis=0) / np.maximum(count, 1)[..., None]
    squared = np.where(known, ((points - mean) ** 2).sum(axis=-1), 0.0) / labels.areas[:, None]
    return squared.sum(axis=0), np.maximum(count - 1, 0), np.sqrt(squared.max(axis=0))


def _usual_spread(
    squares: NDArray[np.float64], repeats: NDArray[np.int64], pooled: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return sigmas (K,) from medians, which single mistakes do not move; infinite without any.

    Of two labels with normal errors, the squared distances have the median ln 2 of their mean.
    """
    usual = np.full(len(pooled), np.inf)
    for target in set(pooled.tolist()):
        own = pooled == target
        known = repeats[:, own] > 0
        found = squares[:, own][known] / repeats[:, own][known]
        if len(found) and np.median(found) > 0:
            usual[own] = np.sqrt(np.median(found) / np.log(2))
    return usual


def _root_ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the square root of the first sums over the second (2, …, K), NaN without any."""
    squares, repeats = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(repeats > 0, np.sqrt(squares / repeats), np.nan))


def _farthest(labels: RepeatedLabels, distances: NDArray[np.float64]) -> tuple[Disagreement, ...]:
    order = np.argsort(-distances, axis=None, kind="stable")[:_LISTED]
    found = []
    for person, keypoint in zip(*np.unravel_index(order, distances.shape), strict=True):
        image = labels.image_names[labels.image[person]]
        name = labels.keypoints.keypoints[keypoint]
        found.append(Disagreement(image, name, float(distances[person, keypoint])))
    return tuple(found)
