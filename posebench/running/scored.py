"""Predictions of a cell to its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import CheckpointError
from posebench.prediction.predict import Outcome
from posebench.results.cell import CellResult, Intervals, OfficialMetrics
from posebench.running.reasons import reason_of
from posebench.running.workload import Workload
from posebench.scoring.evaluate import Evaluation, evaluate
from posebench.scoring.matching.metrics import Metrics
from posebench.scoring.statistics.estimates import Estimate, Resampling
from posebench.scoring.statistics.image_table import ImageTable, Recipe
from posebench.scoring.statistics.intervals import CONFIDENCE


@dataclass(frozen=True)
class FinishedCell:
    """A result and, if it is `ok`, what is behind it.

    `evaluation` has what was scored, `table` what its numbers are made of, `keypoints` each
    keypoint's PCK@0.1 by name, `predictions` those before NMS, `replicates` (B,) of the number that
    the data are known by.
    """

    result: CellResult
    evaluation: Evaluation | None = None
    table: ImageTable | None = None
    keypoints: Mapping[str, float | None] = field(default_factory=dict)
    predictions: Path | None = None
    replicates: Mapping[Recipe, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def coco_results(self) -> list[dict[str, Any]] | None:
        """The COCO-results entries that were scored."""
        return None if self.evaluation is None else self.evaluation.results


def score_cell(result: CellResult, outcome: Outcome, workload: Workload) -> FinishedCell:
    """Return the result of a cell's predictions: loop 2, predictions to metrics."""
    try:
        if outcome.predictions is None:
            raise outcome.failure or CheckpointError("There are no predictions.")
        scored = evaluate(workload.dataset, outcome.predictions, workload.scoring, workload.checks)
    except Exception as error:
        reason = reason_of(error, result.network_id)
        return FinishedCell(replace(result, status="failed", reason=reason))
    count = len(workload.instances)
    done = replace(
        result,
        metrics=dict(scored.metrics.values),
        intervals=_intervals(scored.estimates, workload.checks.resampling),
        official=_official(scored.official),
        instances_per_second=count / outcome.seconds if outcome.seconds > 0 else None,
    )
    return FinishedCell(done, scored, scored.table, scored.keypoints, replicates=scored.replicates)


def _intervals(
    estimates: dict[str, Estimate] | None, resampling: Resampling | None
) -> Intervals | None:
    if estimates is None or resampling is None:
        return None
    return Intervals(
        level=CONFIDENCE,
        method=resampling.interval,
        replicates=resampling.replicates,
        seed=resampling.seed,
        low={name: estimate.low for name, estimate in estimates.items()},
        high={name: estimate.high for name, estimate in estimates.items()},
    )


def _official(metrics: Metrics | None) -> OfficialMetrics | None:
    return OfficialMetrics(metrics.evaluator, dict(metrics.values)) if metrics else None
