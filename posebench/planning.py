"""Plan the cells of one checkpoint: what runs, what cannot and why, before any inference."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path

import posebench
from posebench.checkpoints import Checkpoint
from posebench.codecs import Codec, Decoder, DecoderChoice, check_decoder, chosen_decoders
from posebench.datasets.coco import PoseDataset
from posebench.errors import (
    CheckpointError,
    EvaluationError,
    PosebenchError,
    SpecError,
    UnsupportedSizeError,
    UsageError,
)
from posebench.keypoints import KeypointSet, keypoints_to_score
from posebench.model import count_gflops
from posebench.policies import Policy, apply_policy, canonical_policy
from posebench.predict import PreparedCell
from posebench.raw_outputs import PRECISION, RawFolder, RawRecord, raw_folder, read_record
from posebench.records import mapping_from_record
from posebench.results import CellResult, CheckpointFacts
from posebench.sizes import InputSize
from posebench.spec import ModelSpec
from posebench.workload import Workload

_log = logging.getLogger(__name__)
_FACTOR = re.compile(r"(\d+\.?\d*|\.\d+)x")


@dataclass(frozen=True)
class Grid:
    """The cells asked for: sizes as written (`native`, `256x192`, `0.5x`) × policies × decoders.

    Raises `UsageError` for a size that is none of these.
    """

    sizes: tuple[str, ...] = ("native",)
    policies: tuple[Policy, ...] = ("native",)
    flip_test: bool | None = None
    batch_size: int = 32
    decoders: tuple[DecoderChoice, ...] = ("own",)

    def __post_init__(self) -> None:
        for text in self.sizes:
            _check_size_text(text)


@dataclass(frozen=True)
class PlannedCell:
    """One result for each decoder, so far, and the network to run for those that are `ok`."""

    results: tuple[CellResult, ...]
    cell: PreparedCell | None


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


def plan_cell(
    checkpoint: Checkpoint,
    facts: CheckpointFacts,
    cell: tuple[InputSize, Policy],
    workload: Workload,
    grid: Grid,
    raw: Path | None,
) -> PlannedCell:
    """Return the cell's results so far and what is to run, if anything can."""
    (size, policy), spec = cell, checkpoint.spec
    flip_test = spec.flip.test if grid.flip_test is None else grid.flip_test
    protocol = replace(
        workload.protocol,
        flip_test=flip_test,
        crop="udp" if spec.crop.udp else "classic",
        crop_padding=spec.crop.padding,
        precision=PRECISION if raw is not None else workload.protocol.precision,
    )
    result = CellResult(facts, size, policy, "ok", protocol)
    adapted, kept, scored = None, None, None
    try:
        scored = _scored_keypoints(spec.keypoints, workload.dataset)
        if scored is not None:
            said = f"{len(scored)} of {len(spec.keypoints)} by name"
            result = replace(result, protocol=replace(protocol, scored_keypoints=said))
        adapted = apply_policy(checkpoint.network, size, policy)
        kept = None if raw is None else _raw_folder(raw, result, workload)
        if kept is not None and kept.is_complete:
            gflops = read_record(kept).gflops
        else:
            gflops = count_gflops(adapted, adapted.input_size)
            kept = kept and replace(kept, record=replace(kept.record, gflops=gflops))
        result = replace(result, gflops=gflops)
    except UnsupportedSizeError as error:
        result = replace(result, status="unsupported", reason=one_line(error))
    except Exception as error:
        result = replace(result, status="failed", reason=reason_of(error, facts.name))
    decoders = chosen_decoders(spec.codec, grid.decoders)
    results = tuple(_with_decoder(result, spec.codec, decoder) for decoder in decoders)
    usable = tuple(
        decoder for decoder, own in zip(decoders, results, strict=True) if own.status == "ok"
    )
    if adapted is None or not usable:
        return PlannedCell(results, None)
    prepared = PreparedCell(adapted, spec.codec, size, flip_test, usable, kept, scored)
    return PlannedCell(results, prepared)


def _with_decoder(result: CellResult, codec: Codec, decoder: Decoder) -> CellResult:
    """Return the result of one decoder, `unsupported` where the codec's outputs are not for it."""
    result = replace(result, protocol=replace(result.protocol, decoder=decoder))
    if result.status != "ok":
        return result
    try:
        check_decoder(codec, decoder)
    except EvaluationError as error:
        return replace(result, status="unsupported", reason=one_line(error))
    return result


def _raw_folder(parent: Path, result: CellResult, workload: Workload) -> RawFolder:
    """Return where the cell's outputs belong: everything that moves one is in `identity`."""
    facts, protocol = result.checkpoint, result.protocol
    identity = {
        "posebench": posebench.__version__,
        "checkpoint_sha256": facts.sha256,
        "spec": facts.spec,
        "size": str(result.size),
        "policy": result.policy,
        "flip_test": protocol.flip_test,
        "annotations_sha256": protocol.annotations_sha256,
        "boxes_sha256": protocol.boxes_sha256,
    }
    description = {"checkpoint": facts.name, "protocol": mapping_from_record(protocol)}
    record = RawRecord(identity, description)
    return raw_folder(parent, result.network_id, record, workload.dataset, workload.instances)


def _scored_keypoints(predicted: KeypointSet, dataset: PoseDataset) -> tuple[int, ...] | None:
    """Return which keypoints are scored, None for all; raise `CheckpointError` if they differ."""
    try:
        return keypoints_to_score(predicted, dataset.keypoints)
    except SpecError as error:
        hint = "Choose a checkpoint trained for this keypoint set, or another --dataset."
        raise CheckpointError(error.message, hint=hint) from None


def reason_of(error: Exception, what: str) -> str:
    """Return why something failed in one line; log where, for `--debug`."""
    _log.debug("%s failed", what, exc_info=error)
    if isinstance(error, PosebenchError):
        return one_line(error)
    return f"internal error, {type(error).__name__}: {one_line(error)} (--debug shows where)"


def one_line(error: Exception) -> str:
    """Return an error and its hint in one line."""
    return " ".join(str(error).split())
