"""The record of one evaluated cell, with the whole protocol behind its numbers. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from posebench.datasets.categories import PERSON
from posebench.datasets.checks.findings import Level
from posebench.datasets.corruptions.names import NO_CORRUPTION
from posebench.files.environment import environment
from posebench.files.records import mapping_from_record
from posebench.files.writing import write_json
from posebench.networks.names import UNSTATED_DECODERS
from posebench.networks.sizes import InputSize
from posebench.prediction.execution import usual_engine
from posebench.results.speed import Speed
from posebench.suites.transforms import NO_TRANSFORM

SCHEMA_VERSION = 3
# Files of schema 1 have neither intervals nor official metrics: both are read as None.
READABLE_SCHEMAS = (1, 2, SCHEMA_VERSION)
Status = Literal["ok", "failed", "unsupported", "skipped"]


@dataclass(frozen=True)
class CheckpointFacts:
    """What was evaluated. Fields are `None` where the file could not be read.

    `spec` is the whole `ModelSpec`, because a `--spec` file may overrule what the checkpoint says.
    `training` is the recipe that posebench trained it by, of files that it trained itself.
    """

    name: str
    sha256: str | None = None
    publisher: str | None = None
    paradigm: str | None = None
    backbone: str | None = None
    trained_size: InputSize | None = None
    parameters: int | None = None
    spec: Mapping[str, Any] | None = None
    training: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Protocol:
    """Everything besides the model that moves AP.

    `sigmas` and `area_rule` are those of OKS; `scored_keypoints` says how many of a checkpoint's
    keypoints are scored, if the data set labels fewer; the box filters are `None` with ground-truth
    boxes; `boxes_left_out` says in words what else the boxes file held; `engine` ran the network
    (`eager` did, if a file does not say); `precision` is that of the network and of the decoded
    outputs; `images_sha256` is the hash of the images' content, in their order. `category` is the
    id of the one that was evaluated, `EVERY` of all together; `exif` and `allow_resized` are those
    of `ImageReading`, and `box_shift` and `box_scale` those of `BoxChange`. `transform` is a text
    of `suites.transforms`, and `calibration_crops` says how many of the first crops told the ranges
    of its activations. `corruption` is a text of `datasets.corruptions`.
    Files from before 0.2 have no hash, and were made of category 1 with the defaults.
    """

    dataset: str
    annotations_sha256: str
    keypoints: str
    sigmas: tuple[float, ...]
    area_rule: str
    boxes: str
    boxes_sha256: str | None
    min_box_score: float | None
    box_nms: float | None
    max_boxes: int | None
    boxes_left_out: tuple[str, ...]
    images: int
    instances: int
    flip_test: bool | None
    decoder: str | None
    crop: str | None
    crop_padding: float | None
    rescoring: str
    keypoint_threshold: float
    nms: str
    nms_threshold: float
    evaluator: str
    engine: str | None = "eager"
    device: str = "cpu"
    precision: str = "fp32"
    scored_keypoints: str | None = None
    images_sha256: str | None = None
    category: int = PERSON
    exif: str = "apply"
    allow_resized: bool = False
    transform: str = NO_TRANSFORM
    calibration_crops: int | None = None
    box_shift: tuple[float, float] = (0.0, 0.0)
    box_scale: float = 1.0
    record: str | None = None
    corruption: str = NO_CORRUPTION


@dataclass(frozen=True)
class RunSettings:
    """Settings that move the speed of a run, but no score.

    `torch_threads` are those of all lanes together; `batch_size` is None where networks that run
    together were tried for theirs.
    """

    torch_threads: int
    batch_size: int | None
    lanes: int
    workers: int
    device: str


@dataclass(frozen=True)
class Intervals:
    """Intervals of a result's metrics, `low` to `high`, from resamples of the images."""

    level: float
    method: str
    replicates: int
    seed: int
    low: dict[str, float | None]
    high: dict[str, float | None]


@dataclass(frozen=True)
class OfficialMetrics:
    """What an official evaluator says of the same predictions, fractions 0-1."""

    evaluator: str
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class CellFinding:
    """Something odd in what a result was made of: its data, or its checkpoint.

    `kind` is the finding's name in docs/checks.md, `count` says how many rows have it.
    """

    about: Literal["data", "checkpoint"]
    level: Level
    kind: str
    text: str
    count: int = 1
    hint: str | None = None


@dataclass(frozen=True)
class CellResult:
    """One checkpoint at one input size under one policy.

    A checkpoint that could not be loaded has one result without size and policy, because its cells
    are unknown. `metrics` holds the values of `scoring.METRICS` by name, unrounded (`None`: no such
    instances); `intervals` and `official` tell how far to trust them, and are `None` if not asked
    for; `gflops` counts multiply-accumulates of one forward pass; instances per second are end to
    end with the flip test, and `speed` is what `posebench bench` measured; `findings` say what is
    odd in the data and the checkpoint (files from before 0.2 have none).
    """

    checkpoint: CheckpointFacts
    size: InputSize | None
    policy: str | None
    status: Status
    protocol: Protocol
    reason: str | None = None
    gflops: float | None = None
    metrics: dict[str, float | None] | None = None
    intervals: Intervals | None = None
    official: OfficialMetrics | None = None
    instances_per_second: float | None = None
    speed: Speed | None = None
    findings: tuple[CellFinding, ...] = ()

    @property
    def network_id(self) -> str:
        """File-name-safe identity, within a run, of all that one run of a network answers."""
        name = self.checkpoint.name.replace("/", "__").replace("\\", "__")
        ways = (self.unusual_execution, self.transform, self.corruption)
        parts = (name, str(self.size), self.policy, *ways)
        return "_".join(part for part in parts if part is not None)

    @property
    def unusual_execution(self) -> str | None:
        """Engine and precision, such as `openvino_bf16`, or None if they are the usual ones."""
        family = (self.checkpoint.spec or {}).get("backbone", {}).get("family")
        usual = (None, usual_engine(family))
        precision = self.protocol.precision.partition(",")[0]
        if self.protocol.engine in usual and precision == "fp32":
            return None
        return f"{self.protocol.engine}_{precision}"

    @property
    def transform(self) -> str | None:
        """What was done to the network before it ran, or None if nothing was."""
        transform = self.protocol.transform
        return None if transform == NO_TRANSFORM else transform

    @property
    def corruption(self) -> str | None:
        """What was done to the images, or None if nothing was."""
        corruption = self.protocol.corruption
        return None if corruption == NO_CORRUPTION else corruption

    @property
    def has_own_decoder(self) -> bool | None:
        """Whether the decoder is the checkpoint's own, or None if one of the two is not known."""
        codec = (self.checkpoint.spec or {}).get("codec", {})
        if not codec or self.protocol.decoder is None:
            return None
        own = codec.get("decoder", UNSTATED_DECODERS.get(codec.get("kind", ""), "argmax"))
        return bool(self.protocol.decoder == own)


def with_all_metrics(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain data of a result with PCK and median error among its metrics.

    Results files up to schema 2, and cells of schema 1, store them separately.
    """
    moved = {name: value for name, value in plain.items() if name not in ("pck", "median_error")}
    if plain.get("metrics") is not None and plain.get("pck") is not None:
        shares = {f"PCK@{limit}": share for limit, share in plain["pck"].items()}
        error = {"median error": plain.get("median_error")}
        moved["metrics"] = {**plain["metrics"], **shares, **error}
    return moved


def write_results(
    path: Path,
    results: Sequence[CellResult],
    settings: RunSettings,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write results with their protocol and environment as JSON, by way of a temporary name.

    `more` is plain data that goes beside the results.
    """
    document = {
        "schema_version": SCHEMA_VERSION,
        "environment": environment(),
        "settings": mapping_from_record(settings),
        "results": [mapping_from_record(result) for result in results],
        **(more or {}),
    }
    write_json(path, document)
