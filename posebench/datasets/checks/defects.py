"""Defects of a COCO-format keypoint file, as findings that name their first offenders."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from posebench.datasets.categories import annotation_rows, category_findings, category_of
from posebench.datasets.checks.findings import (
    Finding,
    finding,
    is_integer,
    is_number,
    shortened,
    shown,
    worst_first,
)
from posebench.datasets.checks.person_defects import person_defects
from posebench.datasets.keypoint_names import guess_findings, name_findings
from posebench.datasets.rules import Rules

# Pixels; no image is wider or higher.
_LARGEST = 10**7


def labelled_count(row: Mapping[str, Any]) -> int:
    """Return `num_keypoints`, or the number of flags above 0 if it is missing."""
    if "num_keypoints" in row:
        return int(row["num_keypoints"])
    return sum(1 for flag in row["keypoints"][2::3] if flag > 0)


def find_defects(raw: Mapping[str, Any], rules: Rules) -> list[Finding]:
    """Return every defect of a parsed file that has COCO's lists, worst first."""
    images = [row for row in raw["images"] if isinstance(row, dict)]
    not_objects = len(raw["images"]) - len(images)
    not_objects += sum(1 for row in raw["annotations"] if not isinstance(row, dict))
    found = []
    if not_objects:
        what = f"{not_objects} entries are not JSON objects"
        found.append(Finding("not-objects", what, not_objects))
    found += _image_defects(images, rules.kind)
    sizes = {row["id"]: row for row in images if is_integer(row.get("id"))}
    found += _reference_defects(raw, sizes, rules.kind)
    found += category_findings(raw, [category for category, _ in rules.categories])
    for category, keypoints in rules.categories:
        found += name_findings(category, keypoints)
        if rules.guessed:
            found += guess_findings(category, keypoints)
        persons = annotation_rows(raw, category.id)
        found += person_defects(
            persons,
            sizes,
            keypoints,
            needs_area=rules.area_rule == "annotation",
            kind=rules.kind,
        )
    return worst_first(found)


def _image_defects(images: list[dict[str, Any]], kind: str) -> list[Finding]:
    names = Counter(name for row in _once(images) if isinstance(name := row.get("file_name"), str))
    found = finding(
        "image-id",
        "Images without an integer id (of 64 bits)",
        (shown(row.get("id")) for row in images if not is_integer(row.get("id"))),
    )
    found += finding(
        "file-name",
        "Images without a file_name",
        (
            _image(row)
            for row in images
            if not isinstance(row.get("file_name"), str)
            or not row["file_name"]
            or "\0" in row["file_name"]
        ),
    )
    found += finding(
        "image-size",
        "Images without a positive width and height in pixels",
        (
            _image(row)
            for row in images
            if not all(
                is_number(row.get(key)) and 1 <= row[key] <= _LARGEST for key in ("width", "height")
            )
        ),
    )
    found += _twice(images)
    found += finding(
        "image-file-twice",
        "Image files listed more than once, under several ids",
        (shortened(name) for name, n in names.items() if n > 1),
    )
    if kind == "crowdpose":
        found += finding(
            "crowd-index",
            "Images without a crowdIndex, which the CrowdPose rules need",
            (_image(row) for row in images if not is_number(row.get("crowdIndex"))),
        )
    return found


def _twice(images: list[dict[str, Any]]) -> list[Finding]:
    """Return findings on images that are listed twice, with different or equal content."""
    counts = Counter(row["id"] for row in images if is_integer(row.get("id")))
    repeated = {key for key, n in counts.items() if n > 1}
    versions: dict[int, set[str]] = {key: set() for key in repeated}
    for row in images:
        if is_integer(row.get("id")) and row["id"] in repeated:
            versions[row["id"]].add(json.dumps(row, sort_keys=True))
    return [
        *finding(
            "image-id-twice",
            "Image ids used more than once",
            (key for key in repeated if len(versions[key]) > 1),
        ),
        *finding(
            "image-twice",
            "Images listed twice with equal content (counted once, as evaluators do)",
            (key for key in repeated if len(versions[key]) == 1),
        ),
    ]


def _once(images: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first image with each integer id."""
    seen: dict[int, dict[str, Any]] = {}
    for row in images:
        if is_integer(row.get("id")):
            seen.setdefault(row["id"], row)
    return list(seen.values())


def tidied(raw: Mapping[str, Any], rules: Rules) -> Mapping[str, Any]:
    """Return a file without errors with each image once and no person's `keypoints` empty.

    An empty list stands for a person without labels. Returns `raw` itself if it is tidy already.
    """
    images = _once(raw["images"])
    if len(images) == len(raw["images"]) and all(
        row.get("keypoints") for row in raw["annotations"]
    ):
        return raw
    lengths = {category.id: 3 * len(keypoints) for category, keypoints in rules.categories}

    def filled(row: dict[str, Any]) -> dict[str, Any]:
        length = lengths.get(category_of(row)) if row.get("keypoints") == [] else None
        return row if length is None else {**row, "keypoints": [0] * length}

    return {**raw, "images": images, "annotations": [filled(row) for row in raw["annotations"]]}


def _reference_defects(
    raw: Mapping[str, Any], images: Mapping[Any, Any], kind: str
) -> list[Finding]:
    rows = [row for row in raw["annotations"] if isinstance(row, dict)]
    ids = Counter(row.get("id") for row in rows if is_integer(row.get("id")))
    found = finding(
        "annotation-id",
        "Annotations without an integer id (of 64 bits)",
        (shown(row.get("id")) for row in rows if not is_integer(row.get("id"))),
    )
    found += finding(
        "annotation-id-twice",
        "Annotation ids used more than once",
        (key for key, n in ids.items() if n > 1),
    )
    found += finding(
        "unknown-image",
        "Annotations of images that are not in the file",
        (
            f"annotation {shown(row.get('id'))} (image {shown(row.get('image_id'))})"
            for row in rows
            if not is_integer(row.get("image_id")) or row["image_id"] not in images
        ),
    )
    if kind == "distance":  # which pycocotools never sees
        return found
    found += finding(
        "annotation-id-zero",
        "Annotation id 0 is in use, which pycocotools takes for unmatched; posebench renumbers",
        ("annotation 0" for row in rows if row.get("id") == 0),
    )
    return found


def _image(row: Mapping[str, Any]) -> str:
    return f"image {shown(row.get('id'))}"
