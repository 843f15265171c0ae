"""Suites: what to evaluate, as a grid that a YAML file declares. Never loads torch.

Lists are axes; a cell is one point of their product. A file or folder is meant relative to the
suite's own folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from posebench.datasets.choices import BoxChange, name_in_results
from posebench.datasets.corruptions.names import NO_CORRUPTION, parse_corruption
from posebench.errors import PosebenchError, SpecError, in_one_line
from posebench.files.records import Place
from posebench.files.yaml_records import record_from_yaml
from posebench.networks.names import DecoderChoice
from posebench.networks.sizes import check_size_text
from posebench.prediction.execution import Engine, Precision
from posebench.suites.claims import Claim, claim_defects
from posebench.suites.probes import ProbeName, ProbeSettings
from posebench.suites.trained import TrainedCheckpoints, TrainingDataEntry, defects
from posebench.suites.transforms import NO_TRANSFORM, parse_transform

PolicyName = Literal["native", "resample", "pool", "interpolate"]
FlipChoice = Literal["own"] | bool
EngineName = Literal["own", Engine]
AreaRuleName = Literal["annotation", "box"]
ExifChoice = Literal["apply", "ignore"]
AXES = (
    "checkpoints", "datasets", "boxes", "sizes", "policies", "flip", "decoders", "engines",
    "precision", "transforms", "corruptions",
)  # fmt: skip
# What takes hours or all memory without making a number better is a slip of the hand.
MOST_REPLICATES = 100_000
MOST_CROPS = 4096
_DATASET = "synthetic"
# It becomes the name of a folder.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class CheckpointEntry:
    """Checkpoints of a suite.

    `file` is a path, a pattern such as `weights/*.pth`, a zoo id or an embedded checkpoint's
    name; `name` replaces the file's own in results; `labels` are one's own, such as `pair` and
    `size`, to select and pair by; `spec` is a YAML file with what the checkpoint does not say.
    """

    file: str
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    spec: str | None = None


@dataclass(frozen=True)
class DatasetEntry:
    """A data set of a suite, by the words of `posebench eval`.

    `name` is `synthetic`, `synthetic-crowd`, one that `posebench data ls` lists, a folder or an
    annotation file, which are read and scored as `record` says: a name of that list. `label` is
    what results call it, by default the name of its folder or file. `limit` keeps
    the first images only. `category` is a name or an id, `area_rule` says
    where areas come from; `exif` and `allow_resized` say how image files become pixels.
    """

    name: str
    root: str | None = None
    split: str = "val"
    images: str | None = None
    keypoints: str | None = None
    limit: int | None = None
    category: str | int | None = None
    area_rule: AreaRuleName | None = None
    exif: ExifChoice = "apply"
    allow_resized: bool = False
    record: str | None = None
    label: str | None = None

    @property
    def called(self) -> str:
        """What results call the data."""
        return name_in_results(self.name, self.label)


@dataclass(frozen=True)
class BoxesEntry:
    """Boxes to crop: `gt`, or a file of detected boxes and which of them to keep.

    All are moved by `shift` (x, y), fractions of a box's own sides, and scaled by `scale`.
    """

    file: str = "gt"
    min_score: float = 0.0
    nms_threshold: float | None = None
    max_per_image: int | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    @property
    def change(self) -> BoxChange:
        """What becomes of the boxes; raises `UsageError` if no person would be left in them."""
        return BoxChange(self.shift, self.scale)


@dataclass(frozen=True)
class ScoringEntry:
    """What turns predictions into numbers; the defaults are MMPose's.

    `replicates` resamples of the images, drawn from `seed`, make intervals, 0 for none; `official`
    asks pycocotools or xtcocotools for their numbers as well.
    """

    rescoring: Literal["bbox_keypoint", "bbox_rle", "bbox", "keypoint"] = "bbox_keypoint"
    keypoint_threshold: float = 0.2
    nms: Literal["hard", "soft", "none"] = "hard"
    nms_threshold: float = 0.9
    replicates: int = 1000
    seed: int = 0
    interval: Literal["percentile", "bca"] = "percentile"
    official: bool = False


@dataclass(frozen=True)
class Suite:
    """A declared grid and the claims it puts to the test.

    It has `checkpoints`, which are evaluated on `datasets`, or `trained` ones, or both.
    `sizes` are `native`, `256x192` (height x width) or `0.5x`; `flip` is `own` (as the
    checkpoint says), true or false; the engine `own` is torch, or an exported file's runtime;
    `transforms` are `none` and texts of `suites.transforms`, such as `w4` and `prune-50`;
    `corruptions` are `none` and texts of `datasets.corruptions`, such as `blur-3`;
    `claims` are ids of the shipped claims, YAML files, or claims written out. `probes` run on every
    checkpoint and data set; with probes, `sizes` may be empty, so that nothing is evaluated
    besides.
    """

    name: str
    description: str = ""
    checkpoints: tuple[str | CheckpointEntry, ...] = ()
    datasets: tuple[str | DatasetEntry, ...] = (_DATASET,)
    boxes: tuple[str | BoxesEntry, ...] = ("gt",)
    sizes: tuple[str, ...] = ("native",)
    policies: tuple[PolicyName, ...] = ("native",)
    flip: tuple[FlipChoice, ...] = ("own",)
    decoders: tuple[DecoderChoice, ...] = ("own",)
    engines: tuple[EngineName, ...] = ("own",)
    precision: tuple[Precision, ...] = ("fp32",)
    transforms: tuple[str, ...] = (NO_TRANSFORM,)
    corruptions: tuple[str, ...] = (NO_CORRUPTION,)
    scoring: ScoringEntry = ScoringEntry()
    batch_size: int | None = None
    claims: tuple[str | Claim, ...] = ()
    trained: TrainedCheckpoints | None = None
    probes: tuple[ProbeName, ...] = ()
    probing: ProbeSettings = field(default_factory=ProbeSettings)

    @property
    def factors(self) -> tuple[str, ...]:
        """The paths of the recipe in which trained arms may differ."""
        return () if self.trained is None else self.trained.factors

    @property
    def checkpoint_entries(self) -> tuple[CheckpointEntry, ...]:
        """The checkpoints, each as a record."""
        return tuple(CheckpointEntry(e) if isinstance(e, str) else e for e in self.checkpoints)

    @property
    def declared_datasets(self) -> tuple[DatasetEntry, ...]:
        """The data sets that `checkpoints` are evaluated on, each as a record."""
        entries = self.datasets if self.checkpoints else ()
        return tuple(DatasetEntry(e) if isinstance(e, str) else e for e in entries)

    @property
    def dataset_entries(self) -> tuple[DatasetEntry, ...]:
        """All data sets, each as a record: the declared ones, and those of trained checkpoints."""
        trained = () if self.trained is None else self.trained.data_entries
        found = (*self.declared_datasets, *(evaluation_entry(entry) for entry in trained))
        return tuple(dict.fromkeys(found))

    @property
    def boxes_entries(self) -> tuple[BoxesEntry, ...]:
        """The boxes, each as a record."""
        return tuple(BoxesEntry(e) if isinstance(e, str) else e for e in self.boxes)


def evaluation_entry(data: TrainingDataEntry) -> DatasetEntry:
    """Return the data set that checkpoints trained on some data are evaluated on."""
    entry = DatasetEntry(
        data.folder or data.label,
        split=data.evaluate.split,
        keypoints=data.keypoints,
        limit=data.evaluate.limit,
        category=data.category,
    )
    return entry if entry.called == data.label else replace(entry, label=data.label)


def check_name(name: str) -> str | None:
    """Return why a name cannot be that of a folder, None if it can."""
    fits = _NAME.fullmatch(name) is not None
    return None if fits else f"name {name!r} must be of letters, digits, '.', '_' and '-'."


def load_suite(path: Path) -> Suite:
    """Read a suite; raise `SpecError` that names the line and, for a key, the nearest valid one."""
    suite, file = record_from_yaml(Suite, path)
    for place, text, hint in claim_defects(suite.claims):
        raise file.misfit(("claims", *place), text, hint)
    for place, text in _defects(suite):
        raise file.misfit(place, text)
    return suite


def check_suite(suite: Suite) -> None:
    """Raise `SpecError` for the first defect of a suite that is made in memory."""
    for _, text, hint in claim_defects(suite.claims):
        raise SpecError(text, hint=hint)
    for _, text in _defects(suite):
        raise SpecError(text)


def _defects_of_sources(suite: Suite) -> Iterator[tuple[Place, str]]:
    """Yield what is wrong with where a suite's checkpoints come from."""
    if suite.trained is None:
        return
    if not suite.checkpoints and suite.datasets != (_DATASET,):
        what = "datasets are for `checkpoints`; trained ones are evaluated on their own data."
        yield ("datasets",), what
    for place, text in defects(suite.trained):
        yield ("trained", *place), text


def _check_boxes(boxes: str | BoxesEntry) -> None:
    if isinstance(boxes, BoxesEntry):
        _ = boxes.change


_CHECKS: Mapping[str, Callable[[Any], object]] = {
    "sizes": check_size_text,
    "transforms": parse_transform,
    "corruptions": parse_corruption,
    "boxes": _check_boxes,
}


def _defects(suite: Suite) -> Iterator[tuple[Place, str]]:
    """Yield place and reason of what the schema cannot say."""
    problem = check_name(suite.name)
    if problem is not None:
        yield ("name",), problem
    yield from _defects_of_sources(suite)
    for axis in AXES:
        allowed = (axis == "checkpoints" and suite.trained) or (axis == "sizes" and suite.probes)
        if not getattr(suite, axis) and not allowed:
            yield (axis,), f"{axis} is empty, which leaves no cells."
    for axis in (*AXES, "claims", "probes"):
        values = getattr(suite, axis)
        for index, value in enumerate(values):
            if value in values[:index]:
                yield (axis, index), f"{axis} lists {value!r} twice."
    for axis, check in _CHECKS.items():
        for index, value in enumerate(getattr(suite, axis)):
            try:
                check(value)
            except PosebenchError as error:
                yield (axis, index), in_one_line(error)
    names = [entry.name for entry in suite.checkpoint_entries if entry.name is not None]
    for index, entry in enumerate(suite.checkpoint_entries):
        if entry.name is not None and names.count(entry.name) > 1:
            yield ("checkpoints", index, "name"), f"{entry.name!r} is the name of two checkpoints."
    for index, dataset in enumerate(suite.dataset_entries):
        if dataset.limit is not None and dataset.limit < 1:
            yield ("datasets", index, "limit"), "limit must be 1 or more."
    if suite.batch_size is not None and not 1 <= suite.batch_size <= MOST_CROPS:
        yield ("batch_size",), f"batch_size must lie between 1 and {MOST_CROPS}."
    if not 0 <= suite.scoring.replicates <= MOST_REPLICATES:
        yield ("scoring",), f"replicates must lie between 0 and {MOST_REPLICATES}."
    if suite.scoring.seed < 0:
        yield ("scoring",), "seed must not be negative."
    if not 0 < suite.scoring.nms_threshold <= 1:
        what = f"nms_threshold is {suite.scoring.nms_threshold}, and OKS lies between 0 and 1."
        yield ("scoring", "nms_threshold"), f"{what} To turn OKS-NMS off, set nms to none."
    if not math.isfinite(suite.scoring.keypoint_threshold):
        what = f"keypoint_threshold is {suite.scoring.keypoint_threshold}, which is not a number."
        yield ("scoring", "keypoint_threshold"), what
