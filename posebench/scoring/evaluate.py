"""From predictions to metrics: rescoring, OKS-NMS, matching, intervals, localisation error.

The order and the defaults are those of MMPose 1.3.2's `CocoMetric`; the numbers are those of
pycocotools, and of xtcocotools for CrowdPose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from posebench.datasets.coco import PoseDataset
from posebench.datasets.rules import Kind
from posebench.errors import EvaluationError
from posebench.prediction.predictions import Predictions, check_finite, group_by_image
from posebench.scoring.diagnosis.confidence import counted_oks
from posebench.scoring.localisation import localise, share_by_keypoint
from posebench.scoring.matching.accumulate import summarise
from posebench.scoring.matching.detections import detections_from_results, no_detections
from posebench.scoring.matching.matching import KIND_RULES, match
from posebench.scoring.matching.metrics import MATCH_METRICS, Metrics
from posebench.scoring.matching.truth import ground_truth
from posebench.scoring.metrics import calibration_metrics, localisation_metrics, recipes_of
from posebench.scoring.nms import NmsRule, apply_nms
from posebench.scoring.official import score_official
from posebench.scoring.rescoring import Rescoring, rescore
from posebench.scoring.results_json import to_coco_results
from posebench.scoring.statistics.estimates import Estimate, Resampling, resample
from posebench.scoring.statistics.image_table import ImageTable

# How results name what scored them; versions are in their environment.
EVALUATORS: Mapping[Kind, str] = MappingProxyType(
    {"coco": "posebench, COCO rules", "crowdpose": "posebench, CrowdPose rules"}
)


@dataclass(frozen=True)
class ScoringOptions:
    """How predictions become scored results: everything that moves AP after decoding."""

    rescoring: Rescoring = "bbox_keypoint"
    keypoint_threshold: float = 0.2
    nms: NmsRule = "hard"
    nms_threshold: float = 0.9


@dataclass(frozen=True)
class ScoreChecks:
    """Checks given beside the numbers: intervals, and the official evaluator's numbers."""

    resampling: Resampling | None = None
    official: bool = False


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The metrics of one set of predictions, and the COCO results that were scored.

    `table` is what they are made from, image by image; `estimates` are the metrics with their
    intervals, and `official` those of pycocotools or xtcocotools, if asked for. `keypoints` maps a
    keypoint's name to its PCK@0.1.
    """

    metrics: Metrics
    keypoints: dict[str, float | None]
    results: list[dict[str, Any]]
    table: ImageTable
    estimates: dict[str, Estimate] | None = None
    official: Metrics | None = None


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
    results = select_results(dataset, predictions, options or ScoringOptions())
    joints, category = len(dataset.keypoints), dataset.category.id
    found = detections_from_results(results, joints, category) if results else no_detections(joints)
    if found is None:
        raise EvaluationError("The predictions hold numbers that cannot be scored.")
    truth, rules = ground_truth(dataset), KIND_RULES[dataset.kind]
    matches, localisation = match(truth, found, rules), localise(dataset, predictions)
    oks = counted_oks(truth, found, rules).astype(np.float32)
    table = ImageTable(matches, localisation.table(), oks)
    values = {
        **summarise(matches, MATCH_METRICS[dataset.kind]),
        **localisation_metrics(localisation),
        **calibration_metrics(table),
    }
    estimates = None
    if checks.resampling is not None:
        sampled = resample([table], recipes_of(dataset.kind), checks.resampling)
        estimates = sampled.estimates(0, values)
    return Evaluation(
        metrics=Metrics(values, EVALUATORS[dataset.kind]),
        keypoints=share_by_keypoint(localisation),
        results=results,
        table=table,
        estimates=estimates,
        official=score_official(dataset, results) if checks.official else None,
    )


def select_results(
    dataset: PoseDataset, predictions: Predictions, options: ScoringOptions
) -> list[dict[str, Any]]:
    """Return the COCO results that rescoring and OKS-NMS make of predictions.

    Images come in order of first appearance, and the results of an image best first (by id without
    NMS). Raises `EvaluationError` as `evaluate` does.
    """
    if len(predictions) and predictions.keypoints.shape[1] != len(dataset.keypoints):
        raise EvaluationError(
            f"The predictions have {predictions.keypoints.shape[1]} keypoints, {dataset.name} "
            f"has {len(dataset.keypoints)}.",
            hint="Evaluate this checkpoint on data with its own keypoints.",
        )
    check_finite(predictions)
    scores = rescore(
        options.rescoring,
        predictions.bbox_scores,
        predictions.keypoint_scores,
        options.keypoint_threshold,
    )
    sigmas = np.asarray(dataset.keypoints.sigmas, dtype=np.float32)
    kept = [np.zeros(0, dtype=np.int64)]
    for rows in group_by_image(predictions.image_ids, predictions.ids):
        chosen = apply_nms(
            options.nms,
            predictions.keypoints[rows],
            scores[rows],
            predictions.areas[rows],
            sigmas,
            options.nms_threshold,
        )
        kept.append(rows[chosen])
    return to_coco_results(predictions, scores, np.concatenate(kept), dataset.category.id)
