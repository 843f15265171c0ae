"""Evaluate checkpoints over input sizes and resize policies on one data set.

Plans every cell first, so that what cannot run is known before any inference, then runs the cells
of several checkpoints together. A cell that fails is a result with its reason; the others go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.averages import LAST
from posebench.checkpoints.findings import WEIGHTS, keypoints_value
from posebench.errors import DataError, UnsupportedExecutionError
from posebench.networks.backbones import describe
from posebench.networks.model import Network
from posebench.networks.policies import apply_policy
from posebench.networks.spec import spec_to_mapping
from posebench.prediction.crop_batches import crop_batches
from posebench.prediction.engines import execute, optimise
from posebench.prediction.execution import CALIBRATION_CROPS, Execution, Parallelism, Progress
from posebench.prediction.kept_parts import delete_parts
from posebench.prediction.kept_predictions import CachedPredictions, write_predictions
from posebench.prediction.predict import CellPredictions, PreparedCell
from posebench.prediction.segments import predict_in_segments
from posebench.results.cell import CellResult, CheckpointFacts, Status
from posebench.running.cells import Grid, PlannedCell, Storage, plan_cell, plan_cells, reason_of
from posebench.running.passes import pass_name
from posebench.running.scored import FinishedCell, score_cell
from posebench.running.sources import CheckpointSource
from posebench.running.workload import Workload

_log = logging.getLogger(__name__)


def run_pass(
    sources: Sequence[CheckpointSource],
    workload: Workload,
    grid: Grid,
    progress: Progress,
    storage: Storage | None = None,
) -> Iterator[tuple[CheckpointSource, Iterator[FinishedCell]]]:
    """Run checkpoints together and yield each with a result for each of its cells, in order.

    A checkpoint's results are to be taken before the next one's. What is in `storage` is not run
    again, and what runs is kept there. Whatever goes wrong in a cell is its `reason`; a
    checkpoint that cannot be loaded has a single result.
    """
    parts: list[tuple[CheckpointSource, list[PlannedCell] | FinishedCell]] = []
    for source in sources:
        try:
            parts.append((source, _plan(source, workload, grid, storage or Storage())))
        except Exception as error:
            reason = reason_of(error, source.name)
            failed = result_without_cells(source, workload, "failed", reason)
            parts.append((source, FinishedCell(failed)))
    planned = [plan for _, part in parts if isinstance(part, list) for plan in part]
    advance = partial(progress, pass_name(source.name for source in sources))
    finished = run_planned(planned, workload, grid.parallelism, advance)
    for source, part in parts:
        if isinstance(part, FinishedCell):
            yield source, iter((part,))
        else:
            yield source, islice(finished, sum(len(plan.results) for plan in part))


def _plan(
    source: CheckpointSource, workload: Workload, grid: Grid, storage: Storage
) -> list[PlannedCell]:
    """Load a checkpoint and plan its cells, in the order asked for."""
    checkpoint = load_checkpoint(source.path, source.spec_file)
    facts = checkpoint_facts(checkpoint, source.name)
    return [
        plan_cell(checkpoint, facts, cell, workload, grid, storage)
        for cell in plan_cells(checkpoint.spec, grid)
    ]


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
        predict_in_segments(
            [
                (plan.cell, [plan.files[name] for name in plan.cell.decoders] if plan.files else [])
                for plan in planned
                if plan.cell is not None
            ],
            workload.dataset,
            workload.instances,
            parallelism=parallelism,
            progress=advance,
        )
    )
    # All of them before the first is scored, for that takes time too.
    predicted = [
        (result, _outcome(result, plan, outcomes) if result.status == "ok" else None, plan)
        for plan in planned
        for result in plan.results
    ]
    for result, outcome, plan in predicted:
        if outcome is None:
            yield FinishedCell(result)
            continue
        file = plan.files.get(str(result.protocol.decoder))
        kept = file.path if file is not None and file.path.is_file() else None
        yield replace(score_cell(result, outcome, workload), predictions=kept)


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
        else:
            delete_parts(file)
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
    # The one choice between two sets of weights in a file that its hash does not tell.
    weights = {WEIGHTS: LAST} if checkpoint.last_step else {}
    return CheckpointFacts(
        name=name,
        sha256=checkpoint.sha256,
        publisher=checkpoint.publisher,
        paradigm=spec.paradigm,
        backbone=describe(spec.backbone),
        trained_size=spec.input_size,
        parameters=checkpoint.parameters,
        spec={**spec_to_mapping(spec), "keypoints": keypoints_value(spec.keypoints), **weights},
    )


def exit_code(results: Sequence[CellResult]) -> int:
    """Return 3 if a cell failed or was skipped, else 0; `unsupported` is an answer."""
    return 3 if any(result.status in ("failed", "skipped") for result in results) else 0
