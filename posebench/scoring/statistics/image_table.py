"""What a scored cell keeps image by image, and the recipes of the numbers that are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.matching.matching import MatchTable
from posebench.scoring.matching.metrics import MatchMetric


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """How far the K keypoints of P persons lie from their labels.

    `keypoints` are the K names; `image` (P,) positions among the images; `errors` (P, K) distances
    over the longer box side, NaN where not labelled and infinite where the image has no detection.
    """

    keypoints: tuple[str, ...]
    image: NDArray[np.int64]
    errors: NDArray[np.float32]


@dataclass(frozen=True)
class ErrorMetric:
    """The share of keypoints within `threshold` longer box sides or, without it, the median error.

    `keypoint` is the name of the only keypoint that counts, None if all do.
    """

    name: str
    threshold: float | None = None
    keypoint: str | None = None


@dataclass(frozen=True)
class CalibrationMetric:
    """The expected calibration error of scores against OKS, in `bins` of equal width over 0-1.

    It is the mean over detections of |mean score - mean OKS| of their bin. Scores outside count as
    0 or 1; there is no error if more than half are.
    """

    name: str
    bins: int


@dataclass(frozen=True)
class DistanceMetric:
    """A metric by the distance of keypoints from their labels, relative to `scale`.

    A `share` counts the keypoints nearer than `threshold`, an `area` is the mean share at 20 even
    thresholds from 0, a `mean` is that of the distances. It is the mean of those of each kind of
    keypoint or, if `pooled`, that of all labels together. `keypoints` are the only ones that count.
    """

    name: str
    scale: str
    measure: Literal["share", "area", "mean"]
    threshold: float = 0.0
    keypoints: tuple[str, ...] | None = None
    pooled: bool = False


Recipe = MatchMetric | ErrorMetric | CalibrationMetric | DistanceMetric


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Who matched whom in each image, how far keypoints lie from their labels, and OKS.

    `oks` (D,) is that of the matches' detections with the most similar person of their image, 0
    without one, NaN where they do not count. `errors` and `oks` are None in files of version 0.2
    and before, and where persons were only matched. `parts` are the matches by each part of a whole
    body, `distances` those by what they are relative to, where metrics need them. `categories` are
    the matches of each category that is evaluated together with others: metrics of matches are the
    mean of theirs, and `matches` know no categories.
    """

    matches: MatchTable
    errors: ErrorTable | None = None
    oks: NDArray[np.float32] | None = None
    parts: Mapping[str, MatchTable] = field(default_factory=dict)
    distances: Mapping[str, ErrorTable] = field(default_factory=dict)
    categories: Mapping[str, MatchTable] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.matches.image_ids)

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing is missing that this version keeps."""
        return self.errors is not None and self.oks is not None

    def matches_of(self, part: str | None) -> tuple[MatchTable, ...]:
        """Return who matched whom by a part of the body, or by all keypoints, in each category."""
        if part is not None:
            return (self.parts[part],)
        return tuple(self.categories.values()) or (self.matches,)

    def tells(self, recipe: Recipe) -> bool:
        """Tell whether the table holds what a number is made of."""
        if isinstance(recipe, DistanceMetric):
            return recipe.scale in self.distances
        if isinstance(recipe, MatchMetric):
            if recipe.part is not None and recipe.part not in self.parts:
                return False
            return self.matches.crowd_index is not None or recipe.subset.crowd_index is None
        if isinstance(recipe, CalibrationMetric):
            return self.oks is not None
        if self.errors is None:
            return False
        return recipe.keypoint is None or recipe.keypoint in self.errors.keypoints
