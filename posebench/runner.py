"""Evaluate checkpoints over input sizes and resize policies on one data set.

Plans every cell first, so that what cannot run is known before any inference, then runs a
checkpoint's cells together. A cell that fails is a result with its reason; the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from posebench.backbones import describe
from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.findings import keypoints_value
from posebench.crop_batches import crop_batches
from posebench.engines import execute, optimise
from posebench.errors import CheckpointError, DataError, UnsupportedExecutionError
from posebench.evaluation.estimates import Estimate, Resampling
from posebench.evaluation.intervals import CONFIDENCE
from posebench.evaluation.matching import MatchTable
from posebench.evaluation.metrics import Metrics
from posebench.evaluation.protocol import evaluate
from posebench.execution import CALIBRATION_CROPS, Execution, Parallelism
from posebench.model import Network
from posebench.planning import Grid, PlannedCell, Storage, plan_cell, plan_cells, reason_of
from posebench.policies import apply_policy
from posebench.predict import CellPredictions, PreparedCell, predict
from posebench.prediction_cache import CachedPredictions, write_predictions
from posebench.results import (
    CellResult,
    CheckpointFacts,
    Intervals,
    OfficialMetrics,
    Status,
)
from posebench.spec import spec_to_mapping
from posebench.workload import Workload

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint file, its name in results, and the YAML that overrules what it says."""

    path: Path
    name: str
    spec_file: Path | None = None


@dataclass(frozen=True)
class FinishedCell:
    """A result and, where it is `ok`, what is behind it.

    `coco_results` are the COCO-results entries that were scored, `table` who matched whom,
    `keypoints` each keypoint's PCK@0.1 by name, `predictions` those before NMS.
    """

    result: CellResult
    coco_results: list[dict[str, object]] | None = None
    table: MatchTable | None = None
    keypoints: Mapping[str, float | None] = field(default_factory=dict)
    predictions: Path | None = None


Progress = Callable[[str, int, int], None]


def run_checkpoint(
    source: CheckpointSource,
    workload: Workload,
    grid: Grid,
    progress: Progress,
    storage: Storage | None = None,
) -> Iterator[FinishedCell]:
    """Load one checkpoint and yield a result for each of its cells, in the order planned.

    What is in `storage` is not run again, and what runs is kept there.
    Whatever goes wrong in a cell is its `reason`; one that cannot be loaded has a single result.
    """
    try:
        checkpoint = load_checkpoint(source.path, source.spec_file)
        cells = plan_cells(checkpoint.spec, grid)
    except Exception as error:
        reason = reason_of(error, source.name)
        yield FinishedCell(result_without_cells(source, workload, "failed", reason))
        return
    facts = checkpoint_facts(checkpoint, source.name)
    planned = [
        plan_cell(checkpoint, facts, cell, workload, grid, storage or Storage()) for cell in cells
    ]
    yield from run_planned(planned, workload, grid.parallelism, partial(progress, source.name))


def run_planned(
    planned: Sequence[PlannedCell],
    workload: Workload,
    parallelism: Parallelism,
    progress: Callable[[int, int], None],
) -> Iterator[FinishedCell]:
    """Run the networks of planned cells together and yield their results, in order.

    `progress` gets the number of instances that are done and of all.
    """
    done, total = 0, len(workload.instances)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    planned = ready_to_run(planned, workload, parallelism)
    outcomes = iter(
        predict(
            [plan.cell for plan in planned if plan.cell is not None],
            workload.dataset,
            workload.instances,
            parallelism=parallelism,
            progress=advance,
        )
    )
    for plan in planned:
        for result in plan.results:
            if result.status == "ok":
                outcome = _outcome(result, plan, outcomes)
                file = plan.files.get(str(result.protocol.decoder))
                kept = file.path if file is not None and file.path.is_file() else None
                yield replace(score_cell(result, outcome, workload), predictions=kept)
            else:
                yield FinishedCell(result)


def ready_to_run(
    planned: Sequence[PlannedCell], workload: Workload, parallelism: Parallelism
) -> list[PlannedCell]:
    """Return cells with their networks as the engine runs them.

    Weights are made ready once for all cells of a network; a cell that the engine cannot run is
    `unsupported`.
    """
    optimised: dict[tuple[int, Execution], Network] = {}
    ready = []
    for plan in planned:
        if plan.cell is None:
            ready.append(plan)
            continue
        key = id(plan.network), plan.execution
        try:
            if key not in optimised:
                optimised[key] = optimise(plan.network, plan.execution)
            size, policy = plan.place
            adapted = apply_policy(optimised[key], size, policy)
            calibration = partial(calibration_crops, plan.cell, workload)
            network = execute(adapted, plan.execution, parallelism, calibration)
            ready.append(replace(plan, cell=replace(plan.cell, network=network)))
        except Exception as error:
            unsupported = isinstance(error, UnsupportedExecutionError)
            ready.append(plan.without_network("unsupported" if unsupported else "failed", error))
    return ready


def calibration_crops(cell: PreparedCell, workload: Workload) -> NDArray[np.float32]:
    """Return the first crops (N, 3, H, W) of a workload as a cell's network takes them."""
    crops: list[NDArray[np.float32]] = []
    with crop_batches(
        workload.dataset, workload.instances, Parallelism(), requests=[], device=torch.device("cpu")
    ) as batches:
        for make in batches:
            crops.append(make().inputs(cell.crops)[0].numpy())
            if sum(map(len, crops)) >= CALIBRATION_CROPS:
                break
    return np.concatenate(crops)[:CALIBRATION_CROPS]


def _outcome(
    result: CellResult, plan: PlannedCell, outcomes: Iterator[CellPredictions]
) -> CellPredictions:
    """Return a cell's kept predictions, or the next of `outcomes` after keeping its predictions."""
    decoder = str(result.protocol.decoder)
    kept = plan.cached.get(decoder)
    if kept is not None:
        return CellPredictions(kept.predictions, seconds=0.0)
    outcome, file = next(outcomes), plan.files.get(decoder)
    if file is not None and outcome.predictions is not None:
        try:
            write_predictions(file, CachedPredictions(outcome.predictions, result.gflops))
        except DataError as error:
            _log.warning("Predictions are not kept: %s", error.message)
    return outcome


def result_without_cells(
    source: CheckpointSource, workload: Workload, status: Status, reason: str
) -> CellResult:
    """Return the one result of a checkpoint that was not loaded."""
    facts = CheckpointFacts(name=source.name)
    return CellResult(facts, None, None, status, workload.protocol, reason)


def checkpoint_facts(checkpoint: Checkpoint, name: str) -> CheckpointFacts:
    """Return what results say of a checkpoint."""
    spec = checkpoint.spec
    return CheckpointFacts(
        name=name,
        sha256=checkpoint.sha256,
        publisher=checkpoint.publisher,
        paradigm=spec.paradigm,
        backbone=describe(spec.backbone),
        trained_size=spec.input_size,
        parameters=checkpoint.parameters,
        spec={**spec_to_mapping(spec), "keypoints": keypoints_value(spec.keypoints)},
    )


def score_cell(result: CellResult, outcome: CellPredictions, workload: Workload) -> FinishedCell:
    """Return the result of a cell's predictions: loop 2, predictions to metrics."""
    try:
        if outcome.predictions is None:
            raise outcome.failure or CheckpointError("There are no predictions.")
        scored = evaluate(
            workload.dataset, outcome.predictions, workload.scoring, workload.evidence
        )
    except Exception as error:
        reason = reason_of(error, result.cell_id)
        return FinishedCell(replace(result, status="failed", reason=reason))
    count = len(workload.instances)
    done = replace(
        result,
        metrics=dict(scored.metrics.values),
        intervals=_intervals(scored.estimates, workload.evidence.resampling),
        official=_official(scored.official),
        pck={str(limit): share for limit, share in scored.localisation.pck.items()},
        median_error=scored.localisation.median_error,
        instances_per_second=count / outcome.seconds if outcome.seconds > 0 else None,
    )
    return FinishedCell(done, scored.results, scored.table, scored.localisation.by_keypoint)


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


def exit_code(results: Sequence[CellResult]) -> int:
    """Return 3 if a cell failed or was skipped, else 0; `unsupported` is an answer."""
    return 3 if any(result.status in ("failed", "skipped") for result in results) else 0
