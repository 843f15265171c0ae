"""From predictions to metrics: rescoring, OKS-NMS, matching, intervals, localisation error.

The order and the defaults are those of MMPose 1.3.2's `CocoMetric`; the numbers are those of
pycocotools, and of xtcocotools for CrowdPose and COCO-WholeBody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.categories import category_of
from posebench.datasets.choices import Kind
from posebench.datasets.coco import PoseDataset
from posebench.datasets.known.forms import joined
from posebench.errors import EvaluationError
from posebench.prediction.predictions import Predictions, check_finite, group_by_image
from posebench.scoring.diagnosis.confidence import counted_oks
from posebench.scoring.distances.measuring import Found, distance_tables
from posebench.scoring.localisation import detections_of, localise, share_by_keypoint
from posebench.scoring.matching.detections import (
    ResultColumns,
    join_columns,
    result_columns,
)
from posebench.scoring.matching.matching import KIND_RULES, MatchTable, match
from posebench.scoring.matching.metrics import Metrics
from posebench.scoring.matching.truth import ground_truth
from posebench.scoring.metrics import (
    calibration_metrics,
    localisation_metrics,
    matched_table,
    recipes_of,
    scored_by,
    table_values,
)
from posebench.scoring.nms import NmsRule, apply_nms
from posebench.scoring.official import score_official
from posebench.scoring.rescoring import Rescoring, rescore
from posebench.scoring.results_json import chosen_columns, to_coco_results
from posebench.scoring.statistics.estimates import Estimate, Resampling, resample
from posebench.scoring.statistics.image_table import ImageTable, Recipe
from posebench.scoring.whole_body.parts import RESULT_LAYOUT, split

# How results name what scored them; versions are in their environment.
EVALUATORS: Mapping[Kind, str] = MappingProxyType(
    {
        "coco": "posebench, COCO rules",
        "crowdpose": "posebench, CrowdPose rules",
        "wholebody": "posebench, COCO-WholeBody rules",
        "distance": "posebench, distances as in MMPose",
    }
)


@dataclass(frozen=True)
class ScoringOptions:
    """How predictions become scored results: everything that moves AP after decoding."""

    rescoring: Rescoring = "bbox_keypoint"
    keypoint_threshold: float = 0.2
    nms: NmsRule = "hard"
    nms_threshold: float = 0.9


def scoring_of(dataset: PoseDataset, options: ScoringOptions) -> ScoringOptions:
    """Return options that suit the data: where every person has one pose, none is a duplicate."""
    return replace(options, nms="none") if dataset.kind == "distance" else options


@dataclass(frozen=True)
class ScoreChecks:
    """Checks given beside the numbers: intervals, and the official evaluator's numbers."""

    resampling: Resampling | None = None
    official: bool = False


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The metrics of one set of predictions, and what of them was scored.

    `table` is what they are made from, image by image; `estimates` are the metrics with their
    intervals, and `official` those of pycocotools or xtcocotools, if asked for. `keypoints` maps a
    keypoint's name to its PCK@0.1. `replicates` (B,) are those of the main metric, if there are
    estimates.
    """

    metrics: Metrics
    keypoints: dict[str, float | None]
    chosen: Chosen
    table: ImageTable
    estimates: dict[str, Estimate] | None = None
    official: Metrics | None = None
    replicates: Mapping[Recipe, NDArray[np.float64]] = field(default_factory=dict)

    @cached_property
    def results(self) -> list[dict[str, Any]]:
        """The COCO results that were scored."""
        return self.chosen.rows()


@dataclass(frozen=True, eq=False)
class Chosen:
    """The predictions that rescoring and OKS-NMS leave: those at positions `keep`, in that order.

    `scores` (N,) are those of all predictions; `category` is that of all, or that of each id.
    """

    predictions: Predictions
    scores: NDArray[Any]
    keep: NDArray[np.int64]
    category: int | Mapping[int, int]
    whole_body: bool = False

    def rows(self) -> list[dict[str, Any]]:
        """Return them as COCO results; whole bodies have COCO-WholeBody's lists and no box."""
        rows = to_coco_results(self.predictions, self.scores, self.keep, self.category)
        if not self.whole_body:
            return rows
        return [{key: value for key, value in split(row).items() if key != "bbox"} for row in rows]

    def columns(self) -> ResultColumns:
        """Return them as columns, equal to those of the rows.

        Raises `EvaluationError` if numbers cannot be scored.
        """
        joints = self.predictions.keypoints.shape[1]
        if not len(self.keep):
            return join_columns([], joints)
        if not self.whole_body:
            return chosen_columns(self.predictions, self.scores, self.keep, self.category)
        found = result_columns(list(map(joined, self.rows())), joints, RESULT_LAYOUT)
        if found is None:
            raise EvaluationError("The predictions hold numbers that cannot be scored.")
        return found


def evaluate(
    dataset: PoseDataset,
    predictions: Predictions,
    options: ScoringOptions | None = None,
    checks: ScoreChecks | None = None,
) -> Evaluation:
    """Rescore, suppress duplicates, and score against the data set.

    Localisation is measured on all predictions, before NMS. Raises `EvaluationError` if predictions
    are not finite or do not fit the data set.
    """
    checks = checks or ScoreChecks()
    selected = select(dataset, predictions, options or ScoringOptions())
    columns = selected.columns()
    found = columns.of(dataset.category.id)
    truth, localisation = ground_truth(dataset), localise(dataset, predictions)
    everything = Found(detections_of(predictions), predictions.ids.astype(np.int64))
    table = replace(
        matched_table(truth, found, dataset.kind),
        errors=localisation.table(),
        oks=counted_oks(truth, found, KIND_RULES[dataset.kind]).astype(np.float32),
        distances=distance_tables(dataset, truth, everything),
        categories=category_matches(dataset, columns),
    )
    values = {
        **table_values(table, scored_by(dataset.kind, dataset.distances)),
        **localisation_metrics(localisation),
        **({} if dataset.kind == "distance" else calibration_metrics(table)),
    }
    estimates, replicates = None, dict[Recipe, NDArray[np.float64]]()
    if checks.resampling is not None:
        recipes = recipes_of(dataset.kind, dataset.distances)
        sampled = resample([table], recipes, checks.resampling)
        estimates = sampled.estimates(0, values)
        replicates[recipes[0]] = sampled.replicates[0, :, 0]
    return Evaluation(
        metrics=Metrics(values, EVALUATORS[dataset.kind]),
        keypoints=share_by_keypoint(localisation),
        chosen=selected,
        table=table,
        estimates=estimates,
        official=score_official(dataset, selected.rows()) if checks.official else None,
        replicates=replicates,
    )


def category_matches(dataset: PoseDataset, columns: ResultColumns) -> dict[str, MatchTable]:
    """Return who matched whom in each category that is evaluated together with others."""
    if not dataset.together:
        return {}
    return {
        str(each.category.id): match(
            ground_truth(each), columns.of(each.category.id), KIND_RULES[each.kind]
        )
        for each in dataset.categories
    }


def select_results(
    dataset: PoseDataset, predictions: Predictions, options: ScoringOptions
) -> list[dict[str, Any]]:
    """Return the COCO results that rescoring and OKS-NMS make of predictions.

    Images come in order of first appearance, and the results of an image best first (by id without
    NMS). Those of whole bodies have COCO-WholeBody's lists and, as in MMPose, no box. Raises
    `EvaluationError` as `evaluate` does.
    """
    return select(dataset, predictions, options).rows()


def select(dataset: PoseDataset, predictions: Predictions, options: ScoringOptions) -> Chosen:
    """Return the predictions that `select_results` returns as rows.

    Raises `EvaluationError` as `evaluate` does.
    """
    if len(predictions) and predictions.keypoints.shape[1] != len(dataset.keypoints):
        raise EvaluationError(
            f"The predictions have {predictions.keypoints.shape[1]} keypoints, {dataset.name} "
            f"has {len(dataset.keypoints)}.",
            hint="Evaluate this checkpoint on data with its own keypoints.",
        )
    category = dataset.category.id if not dataset.together else categories_of(dataset)
    found = _choose(predictions, dataset.keypoints.sigmas, options, category)
    return replace(found, whole_body=dataset.kind == "wholebody")


def categories_of(dataset: PoseDataset) -> dict[int, int]:
    """Return the category of each annotation by its id."""
    return {row["id"]: category_of(row) for row in dataset.persons}


def chosen_results(
    predictions: Predictions,
    sigmas: Sequence[float],
    options: ScoringOptions,
    category: int | Mapping[int, int],
) -> list[dict[str, Any]]:
    """Return the COCO results of `select_results`, of predictions whose sigmas (K,) are known.

    `category` is that of all results, or that of each id; OKS-NMS does not ask for it, as in
    MMPose. Raises `EvaluationError` if predictions are not finite.
    """
    return _choose(predictions, sigmas, options, category).rows()


def _choose(
    predictions: Predictions,
    sigmas: Sequence[float],
    options: ScoringOptions,
    category: int | Mapping[int, int],
) -> Chosen:
    check_finite(predictions)
    scores = rescore(
        options.rescoring,
        predictions.bbox_scores,
        predictions.keypoint_scores,
        options.keypoint_threshold,
    )
    deviations = np.asarray(sigmas, dtype=np.float32)
    kept = [np.zeros(0, dtype=np.int64)]
    for rows in group_by_image(predictions.image_ids, predictions.ids):
        chosen = apply_nms(
            options.nms,
            predictions.keypoints[rows],
            scores[rows],
            predictions.areas[rows],
            deviations,
            options.nms_threshold,
        )
        kept.append(rows[chosen])
    return Chosen(predictions, scores, np.concatenate(kept), category)
