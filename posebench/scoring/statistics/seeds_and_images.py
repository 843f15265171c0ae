"""An effect's interval over new training seeds and new images (Banerjee 1960), arrays in and out.

Each trained seed s has an effect D_s and image-bootstrap replicates R[s, b], with equal draws b for
all n seeds. Two variances of the mean of D_s are told apart:

    seeds   A = sum (D_s - D)^2 / (n (n - 1))                                          n - 1
    images  C = max(0, Var_b(mean_s R) - sum_s Var_b(R_s - mean R) / (n (n - 1)))      images - 1

with their degrees of freedom. A holds the images' noise that each seed has to itself; what is taken
from C is that noise, which A counts already. The half-width at level a is
sqrt(t(a, n - 1)^2 A + t(a, images - 1)^2 C), and the interval misses with probability a at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.statistics.intervals import CONFIDENCE, POWER, Bounds
from posebench.scoring.statistics.student import falling_root, t_quantile

LEAST_SEEDS = 3
"""With two seeds the factor of their spread is 12.7: nothing can be told."""
ENDLESS_SEEDS = 0
# Smaller than anybody asks for, and what the arithmetic still tells from 0.
_SMALLEST_P = 1e-15


@dataclass(frozen=True, eq=False)
class Stratum:
    """Trainings that share nothing with other strata's seeds.

    `values` (n,) are the effects of the seeds, `replicates` (n, B) those of image resamples, the
    same B for all seeds and strata. The effect is the sum of the strata's means times `weight`.
    """

    values: NDArray[np.float64]
    replicates: NDArray[np.float64]
    weight: float = 1.0


@dataclass(frozen=True)
class SampledEffect:
    """An effect and its variances from new seeds and from new images, with degrees of freedom.

    `seed_freedom` is None where seeds were not sampled: then the interval is that of these very
    trainings. `seeds` is their number if they lie in one stratum, and None otherwise.
    """

    value: float
    seed_variance: float
    image_variance: float
    seed_freedom: int | None
    image_freedom: int
    seeds: int | None = None

    def half_width(self, level: float = 1 - CONFIDENCE) -> float:
        """Return half of the interval that misses with probability `level`."""
        images = t_quantile(level, self.image_freedom) * math.sqrt(self.image_variance)
        if self.seed_freedom is None:
            return images
        seeds = t_quantile(level, self.seed_freedom) * math.sqrt(self.seed_variance)
        return math.hypot(seeds, images)

    def interval(self) -> Bounds:
        """Return the 95 % interval."""
        half = self.half_width()
        return self.value - half, self.value + half

    def p_value(self, margin: float) -> float:
        """Return the two-sided p-value of an effect at `margin`: the level that ends there."""
        distance = abs(self.value - margin)
        if distance == 0:
            return 1.0
        if self.seed_variance == 0 and self.image_variance == 0:
            return _SMALLEST_P

        def too_wide(logarithm: float) -> float:
            half = self.half_width(math.exp(logarithm))
            return math.log(half / distance)

        lowest, highest = math.log(_SMALLEST_P), math.log1p(-1e-9)
        return math.exp(falling_root(too_wide, lowest, highest))

    def detectable(self, seeds: int | None = None) -> float | None:
        """Return the distance from a margin that is told at 5 % in four cases of five.

        With `seeds` it is that of as many seeds with the same spread, or of `ENDLESS_SEEDS`. None
        where nothing varies, and of other seeds where these do not lie in one stratum.
        """
        if self.seed_variance == 0 and self.image_variance == 0:
            return None
        planned = self
        if seeds is not None:
            if self.seeds is None or self.seed_freedom is None:
                return None
            share = self.seeds / seeds if seeds != ENDLESS_SEEDS else 0.0
            freedom = max(seeds - 1, 1)
            planned = replace(
                self, seed_variance=self.seed_variance * share, seed_freedom=freedom, seeds=seeds
            )
        return planned.half_width() + planned.half_width(2 * (1 - POWER))


def sampled_effect(strata: Sequence[Stratum], images: int) -> SampledEffect:
    """Return the sum of the strata's means with its variances.

    `images` are those of the smallest data set. Where strata are several, their degrees of freedom
    are Satterthwaite's, rounded down. A stratum with one seed tells nothing of the seeds' variance.
    """
    known = ~np.isnan(np.concatenate([each.replicates for each in strata])).any(axis=0)
    value, means, own = 0.0, np.zeros(int(known.sum())), 0.0
    terms = list[tuple[float, int]]()
    for each in strata:
        count, replicates = len(each.values), each.replicates[:, known]
        mean = replicates.mean(axis=0)
        value += each.weight * float(each.values.mean())
        means += each.weight * mean
        if count > 1:
            square = each.weight**2 / count
            terms.append((square * float(each.values.var(ddof=1)), count - 1))
            noise = float((replicates - mean).var(axis=1, ddof=1).sum())
            own += square * noise / (count - 1)
    shared = float(means.var(ddof=1))
    image_freedom = max(min(images, len(means)) - 1, 1)
    if len(terms) < len(strata):
        return SampledEffect(value, 0.0, shared, None, image_freedom)
    return SampledEffect(
        value,
        sum(variance for variance, _ in terms),
        max(0.0, shared - own),
        _satterthwaite(terms),
        image_freedom,
        len(strata[0].values) if len(strata) == 1 else None,
    )


def _satterthwaite(terms: Sequence[tuple[float, int]]) -> int:
    """Return the degrees of freedom of a sum of variances, each with its own."""
    total = sum(variance for variance, _ in terms)
    squares = sum(variance**2 / freedom for variance, freedom in terms)
    if squares == 0:
        return min(freedom for _, freedom in terms)
    return max(math.floor(total**2 / squares + 1e-9), 1)
