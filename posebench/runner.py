"""Evaluate checkpoints over input sizes and resize policies on one data set.

Plans every cell first, so that what cannot run is known before any inference, then runs a
checkpoint's cells together. A cell that fails is a result with its reason; the others go on.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posebench.backbones import describe
from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.findings import keypoints_value
from posebench.codecs import HeatmapCodec
from posebench.datasets.coco import PoseDataset
from posebench.errors import CheckpointError, PosebenchError, UnsupportedSizeError, UsageError
from posebench.evaluation.protocol import evaluate
from posebench.keypoints import KeypointSet
from posebench.model import count_gflops
from posebench.policies import Policy, apply_policy, canonical_policy
from posebench.predict import CellPredictions, PreparedCell, predict
from posebench.results import CellResult, CheckpointFacts, Status
from posebench.sizes import InputSize
from posebench.spec import ModelSpec, spec_to_mapping
from posebench.workload import Workload

_log = logging.getLogger(__name__)
_FACTOR = re.compile(r"(\d+\.?\d*|\.\d+)x")


@dataclass(frozen=True)
class Grid:
    """The cells asked for: sizes as written (`native`, `256x192`, `0.5x`) × policies.

    Raises `UsageError` for a size that is none of these.
    """

    sizes: tuple[str, ...] = ("native",)
    policies: tuple[Policy, ...] = ("native",)
    flip_test: bool | None = None
    batch_size: int = 32

    def __post_init__(self) -> None:
        for text in self.sizes:
            _check_size_text(text)


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint file, its name in results, and the YAML that overrules what it says."""

    path: Path
    name: str
    spec_file: Path | None = None


@dataclass(frozen=True)
class FinishedCell:
    """A result and, where it is `ok`, the COCO-results entries behind it."""

    result: CellResult
    coco_results: list[dict[str, object]] | None = None


Progress = Callable[[str, int, int], None]


def _check_size_text(text: str) -> None:
    if text == "native" or _FACTOR.fullmatch(text):
        return
    try:
        InputSize.parse(text)
    except UsageError as error:
        raise UsageError(
            error.message,
            hint="Write height x width in pixels, native, or a factor: 256x192,native,0.5x.",
        ) from None


def resolve_size(text: str, trained: InputSize) -> InputSize:
    """Turn `native`, `HxW` or a factor such as `0.5x` into a size; raise `UsageError`."""
    if text == "native":
        return trained
    if _FACTOR.fullmatch(text):
        return trained.scaled(float(text[:-1]))
    return InputSize.parse(text)


def plan_cells(spec: ModelSpec, grid: Grid) -> list[tuple[InputSize, Policy]]:
    """Return the distinct (size, policy) cells of one checkpoint, in the order asked for."""
    sizes = [resolve_size(text, spec.input_size) for text in grid.sizes]
    cells = [
        (size, canonical_policy(spec, size, policy)) for size in sizes for policy in grid.policies
    ]
    return list(dict.fromkeys(cells))


def run_checkpoint(
    source: CheckpointSource, workload: Workload, grid: Grid, progress: Progress
) -> Iterator[FinishedCell]:
    """Load one checkpoint and yield a result for each of its cells, in the order planned.

    Whatever goes wrong in a cell is its `reason`; one that cannot be loaded has a single result.
    """
    try:
        checkpoint = load_checkpoint(source.path, source.spec_file)
        cells = plan_cells(checkpoint.spec, grid)
    except Exception as error:
        reason = _reason(error, source.name)
        yield FinishedCell(result_without_cells(source, workload, "failed", reason))
        return
    facts = _facts(checkpoint, source.name)
    planned = [_plan(checkpoint, facts, cell, workload, grid.flip_test) for cell in cells]
    done, total = 0, len(workload.instances)

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(source.name, done, total)

    outcomes = iter(
        predict(
            [cell for _, cell in planned if cell is not None],
            workload.dataset,
            workload.instances,
            batch_size=grid.batch_size,
            progress=advance,
        )
    )
    for result, cell in planned:
        yield FinishedCell(result) if cell is None else _score(result, next(outcomes), workload)


def result_without_cells(
    source: CheckpointSource, workload: Workload, status: Status, reason: str
) -> CellResult:
    """Return the one result of a checkpoint that was not loaded."""
    facts = CheckpointFacts(name=source.name)
    return CellResult(facts, None, None, status, workload.protocol, reason)


def _facts(checkpoint: Checkpoint, name: str) -> CheckpointFacts:
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


def _check_keypoints(predicted: KeypointSet, dataset: PoseDataset) -> None:
    """Raise `CheckpointError` unless the checkpoint predicts what the data set labels."""
    labelled = dataset.keypoints
    hint = "Choose a checkpoint trained for this keypoint set, or another --dataset."
    if len(predicted) != len(labelled):
        raise CheckpointError(
            f"The checkpoint predicts {len(predicted)} keypoints ({predicted.name}), "
            f"{dataset.name} labels {len(labelled)} ({labelled.name}).",
            hint=hint,
        )
    pairs = zip(predicted.keypoints, labelled.keypoints, strict=True)
    for index, (one, other) in enumerate(pairs):
        # Names that the other set does not have may be other words for the same thing.
        if one != other and one in labelled.keypoints:
            raise CheckpointError(
                f"Keypoint {index} of the checkpoint is {one} ({predicted.name}), that of "
                f"{dataset.name} is {other} ({labelled.name}).",
                hint=hint,
            )


def _plan(
    checkpoint: Checkpoint,
    facts: CheckpointFacts,
    cell: tuple[InputSize, Policy],
    workload: Workload,
    flip_test: bool | None,
) -> tuple[CellResult, PreparedCell | None]:
    """Return the cell's result so far and the network to run, or `None` if it cannot run."""
    (size, policy), spec = cell, checkpoint.spec
    flip_test = spec.flip.test if flip_test is None else flip_test
    protocol = replace(
        workload.protocol,
        flip_test=flip_test,
        decoder=spec.codec.decoder if isinstance(spec.codec, HeatmapCodec) else "simcc",
        crop="udp" if spec.crop.udp else "classic",
        crop_padding=spec.crop.padding,
    )
    result = CellResult(facts, size, policy, "ok", protocol)
    try:
        _check_keypoints(spec.keypoints, workload.dataset)
        adapted = apply_policy(checkpoint.network, size, policy)
        result = replace(result, gflops=count_gflops(adapted, adapted.input_size))
    except UnsupportedSizeError as error:
        return replace(result, status="unsupported", reason=_one_line(error)), None
    except Exception as error:
        return replace(result, status="failed", reason=_reason(error, facts.name)), None
    return result, PreparedCell(adapted, spec.codec, size, flip_test)


def _score(result: CellResult, outcome: CellPredictions, workload: Workload) -> FinishedCell:
    """Loop 2: predictions to metrics."""
    try:
        if outcome.predictions is None:
            raise outcome.failure or CheckpointError("There are no predictions.")
        scored = evaluate(workload.dataset, outcome.predictions, workload.scoring)
    except Exception as error:
        reason = _reason(error, result.cell_id)
        return FinishedCell(replace(result, status="failed", reason=reason))
    count = len(workload.instances)
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


def _reason(error: Exception, what: str) -> str:
    """Return why something failed in one line; log where, for `--debug`."""
    _log.debug("%s failed", what, exc_info=error)
    if isinstance(error, PosebenchError):
        return _one_line(error)
    return f"internal error, {type(error).__name__}: {_one_line(error)} (--debug shows where)"


def _one_line(error: Exception) -> str:
    """Return an error and its hint in one line."""
    return " ".join(str(error).split())
