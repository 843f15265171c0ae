"""Plan the cells of one checkpoint: what runs, what cannot and why, before any inference."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from posebench.__version__ import __version__
from posebench.checkpoints import Checkpoint
from posebench.datasets.coco import PoseDataset
from posebench.datasets.keypoints import KeypointSet, keypoints_to_score
from posebench.errors import (
    CheckpointError,
    DataError,
    EvaluationError,
    PosebenchError,
    SpecError,
    UnsupportedExecutionError,
    UnsupportedSizeError,
)
from posebench.files.environment import package_version
from posebench.files.hashing import code_sha256
from posebench.files.records import mapping_from_record
from posebench.networks.codecs import Codec, Decoder, DecoderChoice, check_decoder, chosen_decoders
from posebench.networks.costs import count_gflops
from posebench.networks.model import Network
from posebench.networks.policies import Policy, apply_policy, canonical_policy
from posebench.networks.sizes import InputSize, check_size_text, resolve_size
from posebench.networks.spec import ModelSpec
from posebench.prediction.engines import check_execution, own_engine
from posebench.prediction.execution import CALIBRATION_CROPS, Execution, Parallelism
from posebench.prediction.kept_outputs import (
    KEPT_PRECISION,
    RawFolder,
    RawRecord,
    raw_folder,
    read_record,
)
from posebench.prediction.kept_predictions import (
    CachedFile,
    CachedPredictions,
    cached_file,
    read_predictions,
)
from posebench.prediction.predict import PreparedCell
from posebench.results.cell import CellResult, CheckpointFacts, Protocol, Status
from posebench.running.workload import Workload

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Grid:
    """The cells asked for: sizes as written (`native`, `256x192`, `0.5x`) × policies × decoders.

    `execution` and `parallelism` are those of all of them. Raises `UsageError` for a size that is
    none of these.
    """

    sizes: tuple[str, ...] = ("native",)
    policies: tuple[Policy, ...] = ("native",)
    flip_test: bool | None = None
    execution: Execution = field(default_factory=Execution)
    parallelism: Parallelism = field(default_factory=Parallelism)
    decoders: tuple[DecoderChoice, ...] = ("own",)

    def __post_init__(self) -> None:
        for text in self.sizes:
            check_size_text(text)


@dataclass(frozen=True)
class Storage:
    """Folders that keep what networks answer, to be read instead of running them again."""

    raw: Path | None = None
    predictions: Path | None = None


@dataclass(frozen=True)
class PlannedCell:
    """One result for each decoder, so far, and how those that are `ok` come to predictions.

    Either they are in `cached`, or the network of `cell` runs; predictions of a decoder belong
    in its one of `files`. `network` is the checkpoint's, which `cell` has under a policy;
    `execution` is how it is to run.
    """

    results: tuple[CellResult, ...]
    network: Network
    execution: Execution
    cell: PreparedCell | None = None
    files: Mapping[str, CachedFile] = field(default_factory=dict)
    cached: Mapping[str, CachedPredictions] = field(default_factory=dict)

    @property
    def place(self) -> tuple[InputSize, Policy]:
        """The size and policy of a cell that is to run."""
        size, policy = self.results[0].size, self.results[0].policy
        assert size is not None
        return size, cast("Policy", policy)

    def without_network(self, status: Status, error: Exception) -> PlannedCell:
        """Return the cell after its network turned out not to run; what is cached stays."""
        reason = reason_of(error, self.results[0].checkpoint.name)
        results = tuple(
            replace(result, status=status, reason=reason)
            if result.status == "ok" and result.protocol.decoder not in self.cached
            else result
            for result in self.results
        )
        return replace(self, results=results, cell=None)


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
    storage: Storage,
) -> PlannedCell:
    """Return the cell's results so far and what is to run, if anything can."""
    (size, policy), spec = cell, checkpoint.spec
    flip_test = spec.flip.test if grid.flip_test is None else grid.flip_test
    protocol = _protocol(checkpoint, workload, grid, kept=storage.raw is not None)
    protocol = replace(protocol, flip_test=flip_test)
    result = CellResult(facts, size, policy, "ok", protocol)
    decoders = chosen_decoders(spec.codec, grid.decoders)
    files: dict[str, CachedFile] = {}
    adapted, raw, scored, cached = None, None, None, dict[str, CachedPredictions]()
    try:
        scored = _scored_keypoints(spec.keypoints, workload.dataset)
        if scored is not None:
            said = f"{len(scored)} of {len(spec.keypoints)} by name"
            result = replace(result, protocol=replace(protocol, scored_keypoints=said))
        adapted = apply_policy(checkpoint.network, size, policy)
        check_execution(checkpoint.network, grid.execution)
        files = _cached_files(storage, result, decoders, workload)
        raw = None if storage.raw is None else _raw_folder(storage.raw, result, workload)
        cached = _read_cached(files)
        if raw is not None and raw.is_complete:
            gflops = read_record(raw).gflops
        elif cached:
            gflops = next(iter(cached.values())).gflops
        else:
            gflops = count_gflops(adapted, adapted.input_size)
            raw = raw and replace(raw, record=replace(raw.record, gflops=gflops))
        result = replace(result, gflops=gflops)
    except (UnsupportedSizeError, UnsupportedExecutionError) as error:
        result = replace(result, status="unsupported", reason=one_line(error))
    except Exception as error:
        result = replace(result, status="failed", reason=reason_of(error, facts.name))
    results = tuple(_with_decoder(result, spec.codec, decoder) for decoder in decoders)
    usable = (name for name, own in zip(decoders, results, strict=True) if own.status == "ok")
    missing = tuple(decoder for decoder in usable if decoder not in cached)
    if adapted is None or not missing:
        return PlannedCell(results, checkpoint.network, grid.execution, None, files, cached)
    prepared = PreparedCell(
        adapted, spec.codec, size, flip_test, missing, raw, scored, grid.execution.device
    )
    return PlannedCell(results, checkpoint.network, grid.execution, prepared, files, cached)


def _protocol(checkpoint: Checkpoint, workload: Workload, grid: Grid, *, kept: bool) -> Protocol:
    """Return the workload's protocol with what checkpoint and execution decide."""
    spec, execution = checkpoint.spec, grid.execution
    precision: str = execution.precision
    if precision == "int8":
        crops = min(CALIBRATION_CROPS, len(workload.instances))
        precision += f", calibrated on {crops} crops of the data"
    return replace(
        workload.protocol,
        crop="udp" if spec.crop.udp else "classic",
        crop_padding=spec.crop.padding,
        engine=execution.engine or own_engine(checkpoint.network),
        device=execution.device.partition(":")[0],
        precision=precision + (KEPT_PRECISION if kept else ""),
    )


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


def _network_identity(result: CellResult) -> dict[str, Any]:
    """Return what moves a network's outputs, besides images, boxes and code."""
    return {
        "checkpoint_sha256": result.checkpoint.sha256,
        "spec": result.checkpoint.spec,
        "size": str(result.size),
        "policy": result.policy,
        "flip_test": result.protocol.flip_test,
        "engine": result.protocol.engine,
        "precision": result.protocol.precision,
        "device": result.protocol.device,
    }


def _raw_folder(parent: Path, result: CellResult, workload: Workload) -> RawFolder:
    """Return where the cell's outputs belong: everything that moves one is in `identity`."""
    facts, protocol = result.checkpoint, result.protocol
    identity = {
        "posebench": __version__,
        **_network_identity(result),
        "annotations_sha256": protocol.annotations_sha256,
        "boxes_sha256": protocol.boxes_sha256,
    }
    description = {"checkpoint": facts.name, "protocol": mapping_from_record(protocol)}
    record = RawRecord(identity, description)
    return raw_folder(parent, result.network_id, record, workload.dataset, workload.instances)


def _cached_files(
    storage: Storage, result: CellResult, decoders: Sequence[Decoder], workload: Workload
) -> dict[str, CachedFile]:
    """Return where each decoder's predictions belong, nothing where they are not to be kept."""
    if storage.predictions is None:
        return {}
    libraries = ("torch", "onnxruntime", "openvino", "numpy", "opencv-python-headless")
    identity = {
        "code_sha256": code_sha256(),
        "libraries": {name: package_version(name) for name in libraries},
        **_network_identity(result),
        "keypoints": workload.dataset.keypoints.keypoints,
        "images_and_boxes_sha256": workload.inputs_sha256,
    }
    return {
        decoder: cached_file(storage.predictions, {**identity, "decoder": decoder})
        for decoder in decoders
    }


def _read_cached(files: Mapping[str, CachedFile]) -> dict[str, CachedPredictions]:
    """Return the predictions that are at hand; what is damaged is made again, and said so."""
    found = {}
    for decoder, file in files.items():
        try:
            kept = read_predictions(file)
        except DataError as error:
            _log.warning("%s. They are made again.", one_line(error).rstrip("."))
            continue
        if kept is not None:
            found[decoder] = kept
    return found


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
