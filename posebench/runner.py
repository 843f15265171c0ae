"""Evaluate checkpoints over input sizes and resize policies on one data set.

Plans every cell first, so that what cannot run is known before any inference, then runs a
checkpoint's cells together. A cell that fails is a result with its reason; the others go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posebench.backbones import describe
from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.codecs import HeatmapCodec
from posebench.datasets.coco import PoseDataset
from posebench.errors import CheckpointError, PosebenchError, UnsupportedSizeError
from posebench.evaluation.protocol import evaluate
from posebench.model import count_gflops
from posebench.policies import Policy, apply_policy, canonical_policy
from posebench.predict import CellPredictions, PreparedCell, predict
from posebench.results import CellResult, CheckpointFacts
from posebench.sizes import InputSize
from posebench.spec import ModelSpec
from posebench.workload import Workload


@dataclass(frozen=True)
class Grid:
    """The cells asked for: sizes as written (`native`, `256x192`, `0.5x`) × policies."""

    sizes: tuple[str, ...] = ("native",)
    policies: tuple[Policy, ...] = ("native",)
    flip_test: bool | None = None
    batch_size: int = 32


@dataclass(frozen=True)
class FinishedCell:
    """A result and, where it is `ok`, the COCO-results entries behind it."""

    result: CellResult
    coco_results: list[dict[str, object]] | None = None


Progress = Callable[[str, int, int], None]


def resolve_size(text: str, trained: InputSize) -> InputSize:
    """Turn `native`, `HxW` or a factor such as `0.5x` into a size; raise `UsageError`."""
    if text == "native":
        return trained
    if text.endswith("x"):
        try:
            return trained.scaled(float(text[:-1]))
        except (ValueError, OverflowError):
            pass
    return InputSize.parse(text)


def plan_cells(spec: ModelSpec, grid: Grid) -> list[tuple[InputSize, Policy]]:
    """Return the distinct (size, policy) cells of one checkpoint, in the order asked for."""
    cells: list[tuple[InputSize, Policy]] = []
    for text in grid.sizes:
        size = resolve_size(text, spec.input_size)
        for policy in grid.policies:
            cell = (size, canonical_policy(spec, size, policy))
            if cell not in cells:
                cells.append(cell)
    return cells


def run_checkpoint(
    path: Path, spec_file: Path | None, workload: Workload, grid: Grid, progress: Progress
) -> Iterator[FinishedCell]:
    """Load one checkpoint and yield a result for each of its cells, in the order planned."""
    try:
        checkpoint = load_checkpoint(path, spec_file)
        _check_keypoints(checkpoint, workload.dataset)
    except PosebenchError as error:
        facts = CheckpointFacts(name=path.stem)
        yield FinishedCell(
            CellResult(facts, None, grid.policies[0], "failed", workload.protocol, _reason(error))
        )
        return
    planned = [
        _plan(checkpoint, size, policy, workload, grid)
        for size, policy in plan_cells(checkpoint.spec, grid)
    ]
    prepared = [cell for _, cell in planned if cell is not None]
    outcomes: Iterator[CellPredictions] = iter(())
    if prepared:
        total = len(workload.instances.ids)
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            progress(checkpoint.name, done, total)

        outcomes = iter(
            predict(
                prepared,
                workload.dataset,
                workload.instances,
                batch_size=grid.batch_size,
                progress=advance,
            )
        )
    for result, cell in planned:
        yield FinishedCell(result) if cell is None else _score(result, next(outcomes), workload)


def _check_keypoints(checkpoint: Checkpoint, dataset: PoseDataset) -> None:
    """Raise `CheckpointError` unless the checkpoint predicts what the data set labels."""
    predicted, labelled = checkpoint.spec.keypoints, dataset.keypoints
    if len(predicted) != len(labelled):
        raise CheckpointError(
            f"{checkpoint.name} predicts {len(predicted)} keypoints ({predicted.name}), "
            f"{dataset.name} labels {len(labelled)} ({labelled.name}).",
            hint="Choose a checkpoint trained for this keypoint set, or another --dataset.",
        )


def _plan(
    checkpoint: Checkpoint, size: InputSize, policy: Policy, workload: Workload, grid: Grid
) -> tuple[CellResult, PreparedCell | None]:
    """Return the cell's result so far and the network to run, or `None` if it cannot run."""
    spec = checkpoint.spec
    flip_test = spec.flip.test if grid.flip_test is None else grid.flip_test
    protocol = replace(
        workload.protocol,
        flip_test=flip_test,
        decoder=spec.codec.decoder if isinstance(spec.codec, HeatmapCodec) else "simcc",
        crop="udp" if spec.crop.udp else "classic",
    )
    facts = CheckpointFacts(
        name=checkpoint.name,
        sha256=checkpoint.sha256,
        publisher=checkpoint.publisher,
        paradigm=spec.paradigm,
        backbone=describe(spec.backbone),
        trained_size=spec.input_size,
        parameters=checkpoint.parameters,
    )
    result = CellResult(facts, size, policy, "ok", protocol)
    try:
        adapted = apply_policy(checkpoint.network, size, policy)
    except UnsupportedSizeError as error:
        return replace(result, status="unsupported", reason=_reason(error)), None
    result = replace(result, gflops=count_gflops(adapted, adapted.input_size))
    return result, PreparedCell(adapted, spec.codec, size, flip_test)


def _score(result: CellResult, outcome: CellPredictions, workload: Workload) -> FinishedCell:
    """Loop 2: predictions to metrics."""
    if outcome.predictions is None:
        return FinishedCell(replace(result, status="failed", reason=_reason(outcome.failure)))
    try:
        scored = evaluate(workload.dataset, outcome.predictions, workload.scoring)
    except PosebenchError as error:
        return FinishedCell(replace(result, status="failed", reason=_reason(error)))
    count = len(workload.instances.ids)
    done = replace(
        result,
        metrics=dict(scored.metrics.values),
        pck={str(limit): share for limit, share in scored.localisation.pck.items()},
        median_error=scored.localisation.median_error,
        instances_per_second=count / outcome.seconds if outcome.seconds > 0 else None,
    )
    return FinishedCell(done, scored.results)


def exit_code(results: Sequence[CellResult]) -> int:
    """Return 3 if a cell failed or was skipped, else 0; `unsupported` is an answer."""
    return 3 if any(result.status in ("failed", "skipped") for result in results) else 0


def _reason(error: PosebenchError | None) -> str:
    """Return an error and its hint in one line."""
    return " ".join(str(error).split())
