"""What a scored cell keeps image by image, and the recipes of the numbers that are made of it."""

from __future__ import annotations

from dataclasses import dataclass

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


Recipe = MatchMetric | ErrorMetric


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Who matched whom in each image, and how far keypoints lie from their labels.

    `errors` is None in files of version 0.2 and before, and where persons were only matched.
    """

    matches: MatchTable
    errors: ErrorTable | None = None

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.matches.image_ids)

    def tells(self, recipe: Recipe) -> bool:
        """Tell whether the table holds what a number is made of."""
        if isinstance(recipe, MatchMetric):
            return self.matches.crowd_index is not None or recipe.subset.crowd_index is None
        if self.errors is None:
            return False
        return recipe.keypoint is None or recipe.keypoint in self.errors.keypoints
