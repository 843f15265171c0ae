"""What is known of a public data set: where its files lie, how they read, what it is scored by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

from posebench.datasets.choices import AreaRule, Kind
from posebench.errors import UsageError, nearest

Form = Literal[
    "coco", "face", "freihand", "halpe26", "jhmdb", "mpii",
    "wholebody", "wholebody-face", "wholebody-hand",
]  # fmt: skip
_FOLDER = Path(__file__).parent
_SUFFIX = ".yaml"


@dataclass(frozen=True)
class Layout:
    """Where a data set's files lie.

    `folders` are names of its folder below a data root. `annotations` and `images` are paths in
    that folder, tried in order, in which `{split}` stands for the part, or for what `splits` calls
    it, and `{year}` for the same with COCO's year.
    """

    folders: tuple[str, ...]
    annotations: tuple[str, ...]
    images: tuple[str, ...]
    splits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Distances:
    """Metrics by the distance of keypoints from their labels, as MMPose defines them.

    `metrics` are names of `scoring.METRICS`, the main one first. `face_size` is what NME is
    relative to: the distance of two keypoints, or the longer side of the box; `torso` are the two
    keypoints of PCK(torso).
    """

    metrics: tuple[str, ...]
    face_size: tuple[str, str] | Literal["box"] | None = None
    torso: tuple[str, str] | None = None


@dataclass(frozen=True)
class KnownDataset:
    """A public data set and the protocol that its published numbers follow.

    `keypoints` is a built-in set, whose constants are explained by `sigmas`. `kind` says by which
    evaluator it is scored, and `distances` by which distances, if by any. `boxes` are those of
    published numbers, in words. `form` says how its annotation files differ from COCO's, and
    `clip_boxes` whether boxes end at the image's border. With `every_category`, all categories are
    evaluated together, and a number is the mean over them. `source` says where all this is from.
    """

    name: str
    title: str
    keypoints: str
    sigmas: str
    kind: Kind
    area_rule: AreaRule
    boxes: str
    layout: Layout
    licence: str
    home: str
    source: str
    form: Form = "coco"
    every_category: bool = False
    clip_boxes: bool = True
    distances: Distances | None = None
    note: str | None = None


@lru_cache
def known_names() -> tuple[str, ...]:
    """Return the names of all known data sets, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob(f"*{_SUFFIX}")))


@lru_cache
def known_dataset(name: str) -> KnownDataset:
    """Return what is known of a data set.

    Raises `UsageError` if its name is not known.
    """
    from posebench.files.yaml_records import record_from_yaml

    if name not in known_names():
        raise UsageError(
            f"There is no data set {name!r}.",
            hint=nearest(name, known_names()) + " `posebench data ls` lists them.",
        )
    return record_from_yaml(KnownDataset, _FOLDER / f"{name}{_SUFFIX}")[0]
