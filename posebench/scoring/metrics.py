"""The numbers that predictions are scored by: `METRICS` lists each once, by its name.

Each is a recipe of a per-image table, so that its bootstrap replicates need no new matching.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from posebench.datasets.rules import Kind
from posebench.scoring.diagnosis.confidence import BINS
from posebench.scoring.keypoint_metrics import PCK_THRESHOLDS
from posebench.scoring.localisation import Localisation, median_error, share_within
from posebench.scoring.matching.metrics import MATCH_METRICS
from posebench.scoring.statistics.image_table import (
    CalibrationMetric,
    ErrorMetric,
    ImageTable,
    Recipe,
)
from posebench.scoring.statistics.weighted_calibration import calibration_values
from posebench.scoring.units import POINTS, Unit

Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Metric:
    """What a metric is made of, the unit it is shown in, and which way is better if any.

    `most` is the largest possible value, which exposes damaged files.
    """

    recipe: Recipe
    unit: Unit = POINTS
    better: Better | None = "higher"
    most: float = 1.0


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        **{recipe.name: Metric(recipe) for kind in MATCH_METRICS.values() for recipe in kind},
        **{
            f"PCK@{threshold:g}": Metric(ErrorMetric(f"PCK@{threshold:g}", threshold))
            for threshold in PCK_THRESHOLDS
        },
        "median error": Metric(ErrorMetric("median error"), better="lower", most=math.inf),
        "ECE": Metric(CalibrationMetric("ECE", BINS), better="lower"),
    }
)


_RECIPES = tuple(metric.recipe for metric in METRICS.values())
ERROR_METRICS = tuple(recipe for recipe in _RECIPES if isinstance(recipe, ErrorMetric))
CALIBRATION_METRICS = tuple(recipe for recipe in _RECIPES if isinstance(recipe, CalibrationMetric))


def recipes_of(kind: Kind) -> tuple[Recipe, ...]:
    """Return the recipes of all metrics of a kind of data."""
    return (*MATCH_METRICS[kind], *ERROR_METRICS, *CALIBRATION_METRICS)


def localisation_metrics(found: Localisation) -> dict[str, float | None]:
    """Return `ERROR_METRICS` by name, None if the data has nothing to measure."""
    return {
        recipe.name: median_error(found)
        if recipe.threshold is None
        else share_within(found, recipe.threshold)
        for recipe in ERROR_METRICS
    }


def calibration_metrics(table: ImageTable) -> dict[str, float | None]:
    """Return `CALIBRATION_METRICS` by name, None where most scores are no probabilities."""
    once = np.ones((1, table.images), dtype=np.int32)
    values = calibration_values([table], CALIBRATION_METRICS)(once)[0, 0].tolist()
    names = (recipe.name for recipe in CALIBRATION_METRICS)
    return {n: None if np.isnan(v) else v for n, v in zip(names, values, strict=True)}
