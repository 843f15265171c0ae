"""Plan the runs of one network: what runs, what cannot and why, before any inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from posebench.checkpoints import Checkpoint
from posebench.datasets.coco import PoseDataset
from posebench.datasets.keypoints import KeypointSet, keypoints_to_score
from posebench.errors import (
    CheckpointError,
    EvaluationError,
    PosebenchError,
    SpecError,
    UnsupportedExecutionError,
    UnsupportedSizeError,
    in_one_line,
)
from posebench.files.environment import package_version
from posebench.files.hashing import code_sha256, content_key
from posebench.files.records import mapping_from_record
from posebench.lab.transforms import check_transform
from posebench.networks.codecs import Codec, Decoder, DecoderChoice, check_decoder, chosen_decoders
from posebench.networks.costs import count_gflops
from posebench.networks.model import PoseModel
from posebench.networks.policies import CellNetwork, Policy, apply_policy
from posebench.networks.sizes import InputSize
from posebench.prediction.engines import check_execution, own_engine
from posebench.prediction.execution import CALIBRATION_CROPS, Execution
from posebench.prediction.kept.outputs import (
    KEPT_PRECISION,
    RawFolder,
    RawRecord,
    raw_folder,
    read_record,
)
from posebench.prediction.kept.predictions import CachedFile, cached_file, noted_gflops
from posebench.prediction.predict import NetworkRun
from posebench.results.cell import CellResult, Protocol
from posebench.running.loading import checkpoint_facts, checkpoint_findings
from posebench.running.reasons import reason_of
from posebench.running.sources import CheckpointSource
from posebench.running.workload import Workload
from posebench.suites.transforms import IDENTITY, Transform

# What cuts crops, runs networks and decodes.
_LIBRARIES = ("torch", "onnxruntime", "openvino", "numpy", "opencv-python-headless")
# A network's spec or file, by its hash, with a size and a policy.
Costed = tuple[str, InputSize, Policy]


@dataclass(frozen=True)
class Storage:
    """Folders that keep what networks answer, to be read instead of running them again.

    `shared` is another folder of predictions, such as the user's cache: predictions that it has are
    copied from it, and new ones are copied to it.
    """

    raw: Path | None = None
    predictions: Path | None = None
    shared: Path | None = None


@dataclass(frozen=True)
class RunKey:
    """What tells one run of a network in a suite from every other.

    `workload` is the place of its data in the plan, `checkpoint` the name.
    """

    workload: int
    checkpoint: str
    size: InputSize
    policy: Policy
    flip_test: bool
    execution: Execution
    transform: Transform = IDENTITY


@dataclass(frozen=True)
class NetworkPlan:
    """How the network runs for cells that differ only in their decoder.

    This is everything but the network itself, so that a plan fits through a pipe; `sha256` is that
    of the file it was made for. `cost` is that of one pass of one crop, whatever the machine can
    run: giga multiply-accumulates, 1 if they cannot be counted, 0 without a network of this size.
    """

    key: RunKey
    source: CheckpointSource
    sha256: str
    codec: Codec
    scored: tuple[int, ...] | None = None
    raw: RawFolder | None = None
    files: Mapping[Decoder, CachedFile] = field(default_factory=dict)
    cost: float = 0.0

    def with_network(self, network: CellNetwork, decoders: tuple[Decoder, ...]) -> NetworkRun:
        """Return the run of a network that is ready, for some of the decoders."""
        return NetworkRun(
            network,
            self.codec,
            self.key.size,
            self.key.flip_test,
            decoders,
            self.raw,
            self.scored,
            self.key.execution.device,
            self.files,
        )


class NetworkPlanner:
    """Plans the runs of one loaded checkpoint's network.

    Each size and policy is tried once, whatever the data and engines. `counted` are the costs of
    networks that are known, by architecture, size and policy; those that are not are added. This
    machine need not have the device of networks that run `elsewhere`.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        source: CheckpointSource,
        decoders: Sequence[DecoderChoice],
        storage: Storage,
        *,
        elsewhere: bool = False,
        counted: dict[Costed, float | None] | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self.checkpoint = checkpoint
        self.facts = checkpoint_facts(checkpoint, source.name)
        self._findings = checkpoint_findings(checkpoint)
        self.decoders = chosen_decoders(checkpoint.spec.codec, tuple(decoders))
        self._source = source
        self._storage = storage
        self._adapted: dict[tuple[InputSize, Policy], CellNetwork | PosebenchError] = {}
        self._gflops = {} if counted is None else counted
        # Networks of one spec cost the same, whatever their weights; those of graphs need not.
        file = None if isinstance(checkpoint.network, PoseModel) else checkpoint.sha256
        self._architecture = content_key({"spec": self.facts.spec, "file": file})

    def plan(
        self, key: RunKey, workload: Workload
    ) -> tuple[NetworkPlan, dict[Decoder, CellResult]]:
        """Return a run's plan, and the result so far of each of its decoders."""
        spec = self.checkpoint.spec
        protocol = self._protocol(key, workload)
        found = (*workload.cell_findings, *self._findings)
        result = CellResult(self.facts, key.size, key.policy, "ok", protocol, findings=found)
        plan = NetworkPlan(key, self._source, self.checkpoint.sha256, spec.codec)
        try:
            scored = _scored_keypoints(spec.keypoints, workload.dataset)
            if scored is not None:
                said = f"{len(scored)} of {len(spec.keypoints)} by name"
                result = replace(result, protocol=replace(protocol, scored_keypoints=said))
            adapted = self._network(key.size, key.policy)
            identity = _outputs_identity(result, workload, key.transform)
            files = self._files(identity, workload)
            raw = self._raw_folder(result, identity)
            if raw is not None and raw.is_complete:
                gflops = read_record(raw).gflops
            else:
                gflops = self._cost(key, adapted, files)
                raw = raw and replace(raw, record=replace(raw.record, gflops=gflops))
            plan = replace(plan, cost=gflops or 1.0)
            check_execution(self.checkpoint.network, key.execution, elsewhere=self._elsewhere)
            check_transform(self.checkpoint.network, key.transform, key.execution, key.policy)
            result = replace(result, gflops=gflops)
            plan = replace(plan, scored=scored, raw=raw, files=files)
        except (UnsupportedSizeError, UnsupportedExecutionError) as error:
            result = replace(result, status="unsupported", reason=in_one_line(error))
        except Exception as error:
            result = replace(result, status="failed", reason=reason_of(error, self.facts.name))
        return plan, {each: _with_decoder(result, spec.codec, each) for each in self.decoders}

    def _network(self, size: InputSize, policy: Policy) -> CellNetwork:
        """Return the network at a size.

        Raises the error of the first try again.
        """
        place = size, policy
        if place not in self._adapted:
            try:
                self._adapted[place] = apply_policy(self.checkpoint.network, size, policy)
            except PosebenchError as error:
                self._adapted[place] = error
        found = self._adapted[place]
        if isinstance(found, PosebenchError):
            raise found
        return found

    def _cost(
        self, key: RunKey, network: CellNetwork, files: Mapping[Decoder, CachedFile]
    ) -> float | None:
        """Return the GFLOPs, noted in kept predictions or else counted."""
        place = self._architecture, key.size, key.policy
        if place not in self._gflops:
            noted = list(noted_gflops(files.values()))
            found = noted[0] if noted else count_gflops(network, network.input_size)
            self._gflops[place] = found
        return self._gflops[place]

    def _protocol(self, key: RunKey, workload: Workload) -> Protocol:
        """Return the workload's protocol with what checkpoint and execution decide."""
        spec, execution = self.checkpoint.spec, key.execution
        precision: str = execution.precision
        crops = min(CALIBRATION_CROPS, len(workload.instances))
        if precision == "int8":
            precision += f", calibrated on {crops} crops of the data"
        return replace(
            workload.protocol,
            flip_test=key.flip_test,
            crop="udp" if spec.crop.udp else "classic",
            crop_padding=spec.crop.padding,
            engine=execution.engine or own_engine(self.checkpoint.network),
            device=execution.device.partition(":")[0],
            precision=precision + ("" if self._storage.raw is None else KEPT_PRECISION),
            transform=str(key.transform),
            calibration_crops=None if key.transform.activation_bits is None else crops,
        )

    def _files(self, outputs: Mapping[str, Any], workload: Workload) -> dict[Decoder, CachedFile]:
        """Return the file of each decoder's predictions, or none if they are not to be kept."""
        storage = self._storage
        if storage.predictions is None:
            return {}
        keypoints = workload.dataset.keypoints.keypoints
        identity = {**outputs, "keypoints": keypoints}
        return {
            decoder: cached_file(
                storage.predictions, {**identity, "decoder": decoder}, storage.shared
            )
            for decoder in self.decoders
        }

    def _raw_folder(self, result: CellResult, outputs: Mapping[str, Any]) -> RawFolder | None:
        """Return the folder of outputs, named by all that moves them, if they are to be kept."""
        if self._storage.raw is None:
            return None
        name, protocol = result.checkpoint.name, mapping_from_record(result.protocol)
        record = RawRecord(outputs, {"checkpoint": name, "protocol": protocol})
        return raw_folder(self._storage.raw, result.network_id, record)


def _with_decoder(result: CellResult, codec: Codec, decoder: Decoder) -> CellResult:
    """Return the result of one decoder, `unsupported` if it cannot decode the codec's outputs."""
    result = replace(result, protocol=replace(result.protocol, decoder=decoder))
    if result.status != "ok":
        return result
    try:
        check_decoder(codec, decoder)
    except EvaluationError as error:
        return replace(result, status="unsupported", reason=in_one_line(error))
    return result


def _outputs_identity(
    result: CellResult, workload: Workload, transform: Transform
) -> dict[str, Any]:
    """Return what moves a network's outputs: code, libraries, network, images and boxes."""
    own = {} if transform.is_none else {"transform": mapping_from_record(transform)}
    return {
        "code_sha256": code_sha256(),
        "libraries": {name: package_version(name) for name in _LIBRARIES},
        "images_and_boxes_sha256": workload.inputs_sha256,
        "checkpoint_sha256": result.checkpoint.sha256,
        "spec": result.checkpoint.spec,
        "size": str(result.size),
        "policy": result.policy,
        "flip_test": result.protocol.flip_test,
        "engine": result.protocol.engine,
        "precision": result.protocol.precision,
        "device": result.protocol.device,
        **own,
    }


def _scored_keypoints(predicted: KeypointSet, dataset: PoseDataset) -> tuple[int, ...] | None:
    """Return which keypoints are scored, None for all.

    Raises `CheckpointError` if the data set's keypoints are not among the checkpoint's.
    """
    try:
        return keypoints_to_score(predicted, dataset.keypoints)
    except SpecError as error:
        hint = "Choose a checkpoint trained for this keypoint set, or another --dataset."
        raise CheckpointError(error.message, hint=hint) from None
