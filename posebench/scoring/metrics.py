"""The numbers that predictions are scored by: `METRICS` lists each once, by its name.

Each is a recipe of a per-image table, so that its bootstrap replicates need no new matching.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from posebench.datasets.choices import Kind
from posebench.datasets.known.record import Distances
from posebench.scoring.diagnosis.confidence import BINS
from posebench.scoring.distances.measuring import distance_recipes
from posebench.scoring.distances.recipes import DISTANCE_METRICS
from posebench.scoring.keypoint_metrics import PCK_THRESHOLDS
from posebench.scoring.localisation import Localisation, median_error, share_within
from posebench.scoring.matching.accumulate import summarise
from posebench.scoring.matching.detections import Detections
from posebench.scoring.matching.matching import KIND_RULES, match
from posebench.scoring.matching.metrics import MATCH_METRICS, MatchMetric, mean_of_categories
from posebench.scoring.matching.truth import GroundTruth
from posebench.scoring.statistics.image_table import (
    CalibrationMetric,
    DistanceMetric,
    ErrorMetric,
    ImageTable,
    Recipe,
)
from posebench.scoring.statistics.weighted_calibration import calibration_values
from posebench.scoring.statistics.weighted_distances import distance_value
from posebench.scoring.units import POINTS, Unit
from posebench.scoring.whole_body.parts import match_parts, ranked_as_whole

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
        **{name: Metric(recipe) for name, recipe in DISTANCE_METRICS.items()},
        "NME": Metric(DISTANCE_METRICS["NME"], better="lower", most=math.inf),
        "EPE": Metric(DISTANCE_METRICS["EPE"], Unit("px", decimals=2), "lower", math.inf),
    }
)


_RECIPES = tuple(metric.recipe for metric in METRICS.values())
ERROR_METRICS = tuple(recipe for recipe in _RECIPES if isinstance(recipe, ErrorMetric))
CALIBRATION_METRICS = tuple(recipe for recipe in _RECIPES if isinstance(recipe, CalibrationMetric))


def recipes_of(kind: Kind, distances: Distances | None) -> tuple[Recipe, ...]:
    """Return the recipes of all metrics of a kind of data, the main one first.

    The data's metrics by distance come before those that all data have. Where no OKS is defined,
    scores cannot be held against it.
    """
    calibrated = () if kind == "distance" else CALIBRATION_METRICS
    return (*scored_by(kind, distances), *ERROR_METRICS, *calibrated)


def scored_by(kind: Kind, distances: Distances | None) -> tuple[MatchMetric | DistanceMetric, ...]:
    """Return the recipes of the numbers that a kind of data is published with."""
    return (*MATCH_METRICS[kind], *distance_recipes(distances))


def matched_table(truth: GroundTruth, detections: Detections, kind: Kind) -> ImageTable:
    """Return who matched whom by the rules of a kind of data, and by each part of whole bodies."""
    rules = KIND_RULES[kind]
    if kind != "wholebody":
        return ImageTable(match(truth, detections, rules))
    whole = match(truth, ranked_as_whole(detections), rules)
    return ImageTable(whole, parts=match_parts(truth, detections, rules))


def table_values(
    table: ImageTable, recipes: Sequence[MatchMetric | DistanceMetric]
) -> dict[str, float | None]:
    """Return metrics by name, None where the data have nobody of that kind.

    Where several categories are evaluated together, they are the mean over those that have one.
    """
    found: dict[str, float | None] = {}
    matched = [recipe for recipe in recipes if isinstance(recipe, MatchMetric)]
    for part in dict.fromkeys(recipe.part for recipe in matched):
        own = [recipe for recipe in matched if recipe.part == part]
        found |= mean_of_categories([summarise(each, own) for each in table.matches_of(part)])
    distant = (recipe for recipe in recipes if isinstance(recipe, DistanceMetric))
    return found | {recipe.name: distance_value(table, recipe) for recipe in distant}


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
