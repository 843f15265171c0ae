"""How far each kind of keypoint lies from its label: PCK and end-point error.

Each labelled person is measured against the detection of best OKS in its image, matched or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.pairing import best_detections
from posebench.scoring.matching.truth import GroundTruth

PCK_THRESHOLDS = (0.05, 0.1, 0.2)
# Ronchi & Perona 2017: a detection less similar than this is not of that person.
FOUND_OKS = 0.1
ALL_KEYPOINTS = "all"


@dataclass(frozen=True, eq=False)
class KeypointDistances:
    """Distances of the keypoints of P persons to their best detection.

    `person` (P,) rows of the truth; `pixels` (P, K) is NaN where not labelled and infinite
    where the image has no detection; `side` (P,) the longer box side in pixels; `oks` (P,) of
    the best detection, 0 without one.
    """

    person: NDArray[np.int64]
    pixels: NDArray[np.float64]
    side: NDArray[np.float64]
    oks: NDArray[np.float64]

    @property
    def relative(self) -> NDArray[np.float64]:
        """Distances over the longer box side (P, K)."""
        return self.pixels / self.side[:, None]


@dataclass(frozen=True)
class KeypointMetrics:
    """Metrics of one kind of keypoint, or of all.

    `pck` maps a threshold to the share of `labelled` keypoints within that part of the longer box
    side; those of missed persons are not within any. `endpoint_error` is the mean and
    `median_error` the median distance in pixels over the `found` keypoints: those of persons with a
    detection of OKS 0.1 or more. Both are None if there are none.
    """

    name: str
    labelled: int
    found: int
    pck: Mapping[float, float | None]
    endpoint_error: float | None
    median_error: float | None


def keypoint_distances(truth: GroundTruth, detections: Detections) -> KeypointDistances:
    """Measure every person that counts, has a labelled keypoint and a box that is not empty."""
    labelled = truth.visibility > 0
    side = truth.bbox_xywh[:, 2:].max(axis=1, initial=0)
    person = np.flatnonzero(~truth.ignored & labelled.any(axis=1) & (side > 0))
    best = best_detections(truth, detections)
    row, pixels = best.row[person], np.full((len(person), labelled.shape[1]), np.inf)
    some = row >= 0
    offsets = detections.keypoints[row[some]] - truth.keypoints[person[some]]
    with np.errstate(over="ignore"):
        pixels[some] = np.linalg.norm(offsets, axis=2)
    pixels[~labelled[person]] = np.nan
    return KeypointDistances(person, pixels, side[person], best.oks[person])


def keypoint_metrics(
    distances: KeypointDistances,
    names: Sequence[str],
    wanted: NDArray[np.bool_] | None = None,
) -> tuple[KeypointMetrics, ...]:
    """Return the metrics of all keypoints together and then of each of `names` (K).

    `wanted` (P, K) tells which keypoints count, for example those that are not occluded.
    """
    counted = ~np.isnan(distances.pixels)
    if wanted is not None:
        counted &= wanted
    everything = np.ones(len(names), dtype=bool)
    columns = [everything, *np.eye(len(names), dtype=bool)]
    return tuple(
        _metrics(name, distances, counted & column)
        for name, column in zip((ALL_KEYPOINTS, *names), columns, strict=True)
    )


def _metrics(
    name: str, distances: KeypointDistances, counted: NDArray[np.bool_]
) -> KeypointMetrics:
    relative = distances.relative[counted]
    found = distances.pixels[counted & (distances.oks >= FOUND_OKS)[:, None]]
    return KeypointMetrics(
        name=name,
        labelled=int(counted.sum()),
        found=len(found),
        pck=pck(relative),
        endpoint_error=float(found.mean()) if len(found) else None,
        median_error=float(np.median(found)) if len(found) else None,
    )


def pck(relative: NDArray[np.float64]) -> dict[float, float | None]:
    """Return the share of distances (L,) at most each threshold, None without any."""
    return {
        threshold: float((relative <= threshold).mean()) if relative.size else None
        for threshold in PCK_THRESHOLDS
    }
