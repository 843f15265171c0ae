"""COCO-format keypoint data: records, loading, and the ground-truth instance list.

The instance list is MMPose 1.3.2's (`datasets/datasets/base/base_coco_style_dataset.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.categories import (
    Category,
    annotation_rows,
    every_category,
    only_category,
)
from posebench.datasets.checks.defects import find_defects, labelled_count, tidied
from posebench.datasets.checks.findings import Finding
from posebench.datasets.choices import AreaRule, Kind
from posebench.datasets.images.rules import ImageReading
from posebench.datasets.keypoints import KeypointSet
from posebench.datasets.known.forms import form_findings, read_annotations
from posebench.datasets.known.record import Distances, Form, KnownDataset
from posebench.datasets.rules import LoadOptions, Rules, check_structure, part_findings, rules_of
from posebench.errors import DataError

# Share of its box that a person is assumed to fill if its annotation has no area (xtcocotools,
# MMPose).
BOX_AREA_SHARE = 0.53


@dataclass(frozen=True)
class ImageRecord:
    """One image; `width` and `height` in pixels, as its annotation file has them."""

    id: int
    path: Path
    width: int
    height: int


@dataclass(frozen=True)
class PoseDataset:
    """Images with their annotated persons, or animals: those of one category, or of all together.

    `kind` chooses the evaluator's rules. `area_rule` says where a person's area comes from: its
    annotation, or 0.53 times its box (CrowdPose). `annotations_sha256` is that of the whole file,
    even if `images` is only a part. `raw` is the parsed file, cut to `images`, and must not be
    changed. `findings` are defects of the file that do not prevent scoring. `reading` says how its
    image files become pixels. `known` is the record that it was read by, if it is a known data set.
    `together` are the categories of a file that are evaluated together, of which `category` is the
    name.
    """

    name: str
    kind: Kind
    annotations: Path
    annotations_sha256: str
    images: tuple[ImageRecord, ...]
    keypoints: KeypointSet
    area_rule: AreaRule
    raw: Mapping[str, Any] = field(repr=False, compare=False)
    findings: tuple[Finding, ...] = field(default=(), repr=False, compare=False)
    category: Category = field(default_factory=Category)
    reading: ImageReading = field(default_factory=ImageReading)
    known: KnownDataset | None = None
    together: tuple[Category, ...] = ()

    @property
    def distances(self) -> Distances | None:
        """The metrics by distance that it is scored by, if by any."""
        return None if self.known is None else self.known.distances

    @property
    def persons(self) -> list[dict[str, Any]]:
        """The annotations of its category, or of all that are together, in file order."""
        return annotation_rows(self.raw, *(each.id for each in self.together or (self.category,)))

    @property
    def categories(self) -> tuple[PoseDataset, ...]:
        """A data set for each category that is evaluated together with others, else itself."""
        if not self.together:
            return (self,)
        return tuple(replace(self, category=each, together=()) for each in self.together)

    def boxes_of(self, image_id: int) -> NDArray[np.float64]:
        """Return the boxes (P, 4), x, y, w, h, of an image's persons, crowds left out."""
        return np.array(self._boxes_by_image.get(image_id, []), dtype=np.float64).reshape(-1, 4)

    @cached_property
    def _boxes_by_image(self) -> Mapping[int, list[list[float]]]:
        found: dict[int, list[list[float]]] = {}
        for row in self.persons:
            if not row.get("iscrowd"):
                found.setdefault(row["image_id"], []).append(row["bbox"][:4])
        return found


@dataclass(frozen=True, eq=False)
class Instances:
    """N persons to run a model on.

    `image_index` (N,) points into the data set's `images`; `ids` (N,) are annotation ids (ground
    truth) or running numbers (detections); `bbox_xyxy` (N, 4) float32 in pixels; `bbox_scores` (N,)
    float32; `keypoints` (N, K, 3) float32 with x, y, visibility flag, for ground truth only.
    `left_out` says in words what else a boxes file held.
    """

    image_index: NDArray[np.int64]
    ids: NDArray[np.int64]
    bbox_xyxy: NDArray[np.float32]
    bbox_scores: NDArray[np.float32]
    keypoints: NDArray[np.float32] | None = None
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class ParsedAnnotations:
    """An annotation file, the rules it is evaluated by, and all findings on it."""

    path: Path
    raw: Mapping[str, Any] = field(repr=False)
    sha256: str
    rules: Rules
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> list[Finding]:
        """The findings that make scores meaningless or impossible."""
        return [item for item in self.findings if item.level == "error"]


def parse_annotations(
    path: Path, options: LoadOptions, images: Path | None = None
) -> ParsedAnnotations:
    """Read a COCO-format keypoint annotation file and find what is wrong with it.

    A known data set's file may have another form, which asks for the folder of its images. Raises
    `DataError` if the file is not in this format, and `UsageError` if it lacks the category.
    """
    form: Form = "coco" if options.known is None else options.known.form
    raw, digest = read_annotations(path, form, images)
    check_structure(path, raw)
    rules = rules_of(path, raw, options)
    found = (
        *find_defects(raw, rules),
        *part_findings(raw, rules.kind),
        *form_findings(path, form, raw),
    )
    return ParsedAnnotations(path, raw, digest, rules, found)


def load_categories(
    path: Path, images: Path, options: LoadOptions | None = None
) -> tuple[PoseDataset, ...]:
    """Read a COCO-format keypoint annotation file, as one data set for each category.

    `images` is the folder of its images. Raises `DataError` if a defect would make scores
    meaningless.
    """
    options = options or LoadOptions()
    return datasets_of(parse_annotations(path, options, images), images, options)


def datasets_of(
    parsed: ParsedAnnotations, images: Path, options: LoadOptions
) -> tuple[PoseDataset, ...]:
    """Return the data sets, one for each category.

    Raises `DataError` if a finding on the file is an error.
    """
    path, errors = parsed.path, parsed.errors
    if errors:
        more = f" ({len(errors) - 1} more kinds of error.)" if len(errors) > 1 else ""
        raise DataError(
            f"The annotation file {path} cannot be used. {errors[0]}{more}",
            hint=errors[0].hint or f"`posebench data check {path}` lists everything.",
        )
    raw = tidied(parsed.raw, parsed.rules)
    records = tuple(
        ImageRecord(row["id"], images / row["file_name"], int(row["width"]), int(row["height"]))
        for row in raw["images"]
    )
    return tuple(
        PoseDataset(
            name=options.name or path.stem,
            kind=parsed.rules.kind,
            annotations=path,
            annotations_sha256=parsed.sha256,
            images=records,
            keypoints=keypoints,
            area_rule=parsed.rules.area_rule,
            raw=raw,
            findings=parsed.findings,
            category=category,
            reading=options.reading,
            known=options.known,
        )
        for category, keypoints in parsed.rules.categories
    )


def load_annotations(
    path: Path,
    images: Path,
    *,
    name: str | None = None,
    keypoints: KeypointSet | None = None,
    kind: Kind | None = None,
    area_rule: AreaRule | None = None,
) -> PoseDataset:
    """Read a COCO-format keypoint annotation file of one category; see `LoadOptions`.

    Raises `DataError` if a defect would make scores meaningless.
    """
    return load_dataset(path, images, LoadOptions(name, keypoints, kind, area_rule))


def load_dataset(path: Path, images: Path, options: LoadOptions) -> PoseDataset:
    """Read the only category of a file, or the requested one.

    Of a known data set whose categories are evaluated together, it has all of them. Raises
    `UsageError` if there are several and none was requested.
    """
    found = load_categories(path, images, options)
    if options.known is not None and options.known.every_category and len(found) > 1:
        together = tuple(dataset.category for dataset in found)
        return replace(found[0], category=every_category(len(found)), together=together)
    only_category([dataset.category for dataset in found], path)
    return found[0]


def annotation_area(row: Mapping[str, Any], rule: AreaRule) -> float:
    """Return a person's area in square pixels by the area rule."""
    if rule == "annotation":
        return float(row["area"])
    return float(row["bbox"][2]) * float(row["bbox"][3]) * BOX_AREA_SHARE


def ground_truth_instances(dataset: PoseDataset) -> Instances:
    """Return the persons that MMPose evaluates with ground-truth boxes, in its order.

    Boxes are clipped to the image, but those of known data sets that say otherwise. Left out are
    crowds, persons without labelled keypoints, and boxes that are empty after clipping. Raises
    `DataError` if nobody is left.
    """
    clip = dataset.known is None or dataset.known.clip_boxes
    by_image: dict[int, list[dict[str, Any]]] = {image.id: [] for image in dataset.images}
    for row in dataset.persons:
        by_image[row["image_id"]].append(row)
    found = [
        (index, row["id"], bbox, keypoints)
        for index, image in enumerate(dataset.images)
        for row in by_image[image.id]
        for bbox, keypoints in [_box_and_pose(row, image if clip else None)]
        if _is_instance(row, bbox, keypoints)
    ]
    if not found:
        raise DataError(f"{dataset.annotations} has no person with labelled keypoints.")
    index, ids, boxes, keypoints = zip(*found, strict=True)
    return Instances(
        image_index=np.asarray(index, dtype=np.int64),
        ids=np.asarray(ids, dtype=np.int64),
        bbox_xyxy=np.stack(boxes),
        bbox_scores=np.ones(len(found), dtype=np.float32),
        keypoints=np.stack(keypoints),
    )


def _box_and_pose(
    row: Mapping[str, Any], clip_to: ImageRecord | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the box (4,), clipped to an image if there is one, and keypoints (K, 3), float32."""
    x, y, w, h = row["bbox"]
    corners = np.array([x, y, x + w, y + h], dtype=np.float64)
    if clip_to is not None:
        corners = np.clip(corners, 0, [clip_to.width - 1, clip_to.height - 1] * 2)
    keypoints = np.asarray(row["keypoints"], dtype=np.float32).reshape(-1, 3)
    return corners.astype(np.float32), keypoints


def _is_instance(
    row: Mapping[str, Any], bbox: NDArray[np.float32], keypoints: NDArray[np.float32]
) -> bool:
    """Tell whether MMPose's filter keeps this annotation."""
    if row.get("iscrowd") or labelled_count(row) == 0:
        return False
    width, height = bbox[2:] - bbox[:2]
    return bool(width > 0 and height > 0 and keypoints[:, :2].max() > 0)
