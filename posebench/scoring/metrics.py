"""The numbers that predictions are scored by: `METRICS` lists each once, by its name.

A metric of a match table is a recipe, so that its bootstrap replicates need no new matching;
any other is a function of a `Localisation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from posebench.scoring.localisation import Localisation, median_error, share_within
from posebench.scoring.matching.metrics import MATCH_METRICS, MatchMetric
from posebench.scoring.units import POINTS, Unit

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Metric:
    """How a metric is computed, the unit it is shown in, and which way is better if any.

    A function returns None if the data has nothing to measure. `most` is the largest possible
    value, which exposes damaged files.
    """

    compute: MatchMetric | Callable[[Localisation], float | None]
    unit: Unit = POINTS
    better: Better | None = "higher"
    most: float = 1.0


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        **{recipe.name: Metric(recipe) for kind in MATCH_METRICS.values() for recipe in kind},
        "PCK@0.05": Metric(partial(share_within, threshold=0.05)),
        "PCK@0.1": Metric(partial(share_within, threshold=0.1)),
        "PCK@0.2": Metric(partial(share_within, threshold=0.2)),
        "median error": Metric(median_error, better="lower", most=math.inf),
    }
)


def localisation_metrics(found: Localisation) -> dict[str, float | None]:
    """Return by name all metrics that are not made of a match table."""
    return {
        name: metric.compute(found)
        for name, metric in METRICS.items()
        if not isinstance(metric.compute, MatchMetric)
    }
