"""The rules that an annotation file is evaluated by: categories, keypoints, evaluator, areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posebench.datasets.categories import Category, choose_categories
from posebench.datasets.checks.findings import Finding
from posebench.datasets.choices import AreaRule, Kind
from posebench.datasets.images.rules import ImageReading
from posebench.datasets.keypoint_names import guess_keypoints
from posebench.datasets.keypoints import KEYPOINT_SETS, KeypointSet
from posebench.datasets.known.forms import PARTS
from posebench.datasets.known.record import KnownDataset
from posebench.errors import DataError

# Keypoints of data sets whose publishers annotate no areas.
_WITHOUT_AREA = {"aic", "exlpose", "crowdpose"}


@dataclass(frozen=True)
class Rules:
    """The categories to evaluate with their keypoints, the evaluator, and the source of areas.

    `guessed` says that nobody named the keypoints.
    """

    categories: Sequence[tuple[Category, KeypointSet]]
    kind: Kind
    area_rule: AreaRule
    guessed: bool = True


@dataclass(frozen=True)
class LoadOptions:
    """What a user says about an annotation file; None leaves a field to the file itself.

    By default, `keypoints` follows from the category's keypoint names and their number; `kind` is
    `crowdpose` if the images have a crowdIndex, not all 0, and CrowdPose's 14 keypoints;
    `area_rule` is `box` for `crowdpose`, and for the keypoints of AI Challenger and ExLPose without
    any area. `known` says all of this, and how the file reads. `category` is an id or a name.
    """

    name: str | None = None
    keypoints: KeypointSet | None = None
    kind: Kind | None = None
    area_rule: AreaRule | None = None
    category: str | None = None
    reading: ImageReading = field(default_factory=ImageReading)
    known: KnownDataset | None = None


def rules_of(path: Path, raw: Mapping[str, Any], options: LoadOptions) -> Rules:
    """Return the rules of a parsed file with COCO's lists; it decides what `options` leave open.

    Raises `DataError` if its keypoints fit no known set, and `UsageError` if it lacks the category.
    """
    known = options.known
    told = options.keypoints or (known and KEYPOINT_SETS[known.keypoints])
    chosen = [
        (category, told or guess_keypoints(path, raw, category))
        for category in choose_categories(raw, options.category)
    ]
    kind_told = options.kind or (known and known.kind)
    kinds = {kind_told or guess_kind(raw, keypoints) for _, keypoints in chosen}
    if len(kinds) > 1:
        raise DataError(
            f"{path} has categories of several evaluators: {', '.join(sorted(kinds))}.",
            hint="Name one with --category.",
        )
    (kind,) = kinds
    rule_told = options.area_rule or (known and known.area_rule)
    rule = rule_told or _usual_area_rule(raw, kind, [keypoints for _, keypoints in chosen])
    return Rules(chosen, kind, rule, guessed=told is None)


def _usual_area_rule(raw: Mapping[str, Any], kind: Kind, sets: Sequence[KeypointSet]) -> AreaRule:
    """Return the default source of areas, which is that of the data set's publishers."""
    if kind == "crowdpose":
        return "box"
    without = {keypoints.name for keypoints in sets} <= _WITHOUT_AREA
    has_area = any(isinstance(row, dict) and "area" in row for row in raw["annotations"])
    return "box" if without and not has_area else "annotation"


def part_findings(raw: Mapping[str, Any], kind: Kind) -> list[Finding]:
    """Return a finding if a file labels whole bodies, of which the body alone is scored."""
    whole = [row for row in raw["annotations"] if isinstance(row, dict) and row.keys() >= {*PARTS}]
    if kind != "coco" or not whole:
        return []
    what = f"{len(whole)} annotations also label feet, faces and hands: the body alone is scored"
    hint = "The data set coco-wholebody scores them all (--dataset, or --record in eval)."
    return [Finding("parts-left-out", what, len(whole), hint=hint)]


def check_structure(path: Path, raw: Any) -> None:
    """Raise `DataError` unless `raw` has COCO's lists of images and annotations."""
    hint = "A COCO file is an object with the lists `images`, `annotations` and `categories`."
    if isinstance(raw, list):
        raise DataError(
            f"{path} is not a COCO annotation file: it holds a list, like a file of results or "
            "of detected boxes.",
            hint=hint,
        )
    if not isinstance(raw, dict):
        raise DataError(f"{path} is not a COCO annotation file.", hint=hint)
    for key in ("images", "annotations"):
        if not isinstance(raw.get(key), list):
            raise DataError(
                f"{path} is not a COCO annotation file: it has no list {key!r}.", hint=hint
            )
    if not raw["images"]:
        raise DataError(f"The annotation file {path} lists no images.")


def guess_kind(raw: Mapping[str, Any], keypoints: KeypointSet) -> Kind:
    """Return `crowdpose` for its 14 keypoints, with a crowdIndex on every image and not all 0.

    A file whose images all have 0 only fills in the field, as ExLPose's does: strata of it would be
    empty.
    """
    indices = [row.get("crowdIndex") if isinstance(row, dict) else None for row in raw["images"]]
    crowded = None not in indices and any(indices)
    return "crowdpose" if crowded and keypoints.name == "crowdpose" else "coco"
