"""An effect of trainings as they are: its interval over new images, from bootstrap replicates.

Counting replicates beyond a margin gives no p-value below 2 / (B + 1): of more than 25 claims, none
could pass Holm's rule with 1000 of them. Where none lies beyond the margin, the p-value is that of
Student's t, scaled so that the replicates' interval ends where the t's does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.scoring.statistics.intervals import (
    CONFIDENCE,
    Bounds,
    p_value,
    percentile_interval,
)
from posebench.scoring.statistics.seeds_and_images import SampledEffect
from posebench.scoring.statistics.student import t_quantile, t_tail

# 1000 replicates say nothing of the shape of a tail further out.
_SMALLEST_P = 1e-6
# The ends of an interval of fewer rest on two of them, too few to draw a line through.
_FEWEST_FOR_A_TAIL = 100


@dataclass(frozen=True, eq=False)
class ImageSample:
    """An effect, its replicates (B,) of image resamples, and the size of the smallest data set."""

    value: float
    replicates: NDArray[np.float64]
    images: int

    def interval(self) -> Bounds | None:
        """Return the central 95 % of the replicates, None without any."""
        return percentile_interval(self.replicates)

    def p_value(self, margin: float) -> float | None:
        """Return the two-sided p-value of an effect at `margin`, None without replicates."""
        counted = p_value(self.replicates - margin)
        known = self.replicates[~np.isnan(self.replicates)]
        beyond = min(np.count_nonzero(known <= margin), np.count_nonzero(known >= margin))
        ends = self.interval()
        if counted is None or ends is None or beyond or len(known) < _FEWEST_FOR_A_TAIL:
            return counted
        middle = float(np.median(known))
        reach = abs((ends[0] if margin < middle else ends[1]) - middle)
        if reach == 0:
            return counted
        freedom = self._freedom
        t = t_quantile(1 - CONFIDENCE, freedom) * abs(middle - margin) / reach
        return min(counted, max(t_tail(t, freedom), _SMALLEST_P))

    def detectable(self) -> float | None:
        """Return the distance from a margin that is told at 5 % in four cases of five.

        It is None where the replicates do not vary.
        """
        known = self.replicates[~np.isnan(self.replicates)]
        variance = float(known.var(ddof=1)) if len(known) > 1 else 0.0
        if variance == 0:
            return None
        return SampledEffect(self.value, 0.0, variance, None, self._freedom).detectable()

    @property
    def _freedom(self) -> int:
        return max(min(self.images, len(self.replicates)) - 1, 1)
