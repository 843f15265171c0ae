"""Annotation files of known data sets as COCO's: boxes and keypoints where scoring looks for them.

Each form is what MMPose 1.3.2's data set of that name makes of the file
(`mmpose/datasets/datasets/*/`), whose pixels count from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from posebench.datasets.checks.findings import Finding
from posebench.datasets.known.mpii import head_boxes_file, read_mpii, read_release
from posebench.datasets.known.record import Form
from posebench.errors import DataError
from posebench.files.hashing import sha256_of
from posebench.files.json_file import read_json

Row = dict[str, Any]
Raw = dict[str, Any]
PARTS = ("foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
"""Fields of COCO-WholeBody's annotations and results that follow `keypoints`, in order."""
# What a face's scale counts in.
_PIXEL_STD = 200.0
_FREIHAND_SIDE = 224
_HALPE_BODY = 26
# Numbers that a body's 17 keypoints take.
_BODY = 51


def read_annotations(path: Path, form: Form, images: Path | None) -> tuple[Any, str]:
    """Read an annotation file as COCO's form; return it and the SHA-256 of all it rests on.

    `images` is the folder of its images, if it is known. Raises `DataError` if a file is missing or
    damaged.
    """
    if path.suffix == ".mat" and path.is_file():
        if form != "mpii":
            raise DataError(
                f"{path} is a .mat file.",
                hint="MPII's release is read with --record mpii (--dataset mpii in score).",
            )
        return read_release(path, images), sha256_of(path)
    raw, digest = read_json(path, "annotation file")
    raw, others = in_form(raw, form, path, images), files_beside(form, path)
    return raw, sha256_of(path, *others) if others else digest


def form_findings(path: Path, form: Form, raw: Mapping[str, Any]) -> list[Finding]:
    """Return a finding on a file that does not say which images are those of validation."""
    if form != "mpii" or path.suffix != ".mat":
        return []
    what = (
        f"{path.name} does not list validation images: all {len(raw['images'])} images whose "
        "joints are published are evaluated"
    )
    hint = "Published numbers are of MMPose's mpii_val.json; with it, this file tells head boxes."
    return [Finding("split-unknown", what, len(raw["images"]), hint=hint)]


def in_form(raw: Any, form: Form, path: Path, images: Path | None) -> Any:
    """Return a parsed file as COCO's form; what is no such file comes back as it is.

    `path` is the file's, and `images` the folder of its images, if it is known. Raises `DataError`
    if a file that belongs to it is missing or damaged.
    """
    if form == "mpii" and isinstance(raw, list):
        return read_mpii(raw, path, images)
    if form not in _ROWS or not isinstance(raw, dict):
        return raw
    if not all(isinstance(raw.get(key), list) for key in ("images", "annotations")):
        return raw
    return _ROWS[form](raw)


def files_beside(form: Form, path: Path) -> tuple[Path, ...]:
    """Return the files that the numbers of an annotation file rest on besides itself."""
    heads = head_boxes_file(path)
    return (heads,) if form == "mpii" and heads.is_file() else ()


def joined(row: Mapping[str, Any]) -> Row:
    """Return a whole body's row with all 133 keypoints as one list, if its parts are lists."""
    lists: list[Any] = [row.get(name) for name in ("keypoints", *PARTS)]
    if not all(isinstance(part, list) for part in lists) or len(lists[0]) > _BODY:
        return dict(row)
    return {**row, "keypoints": [number for part in lists if part for number in part]}


def _each(change: Callable[[Row], Row | None]) -> Callable[[Raw], Raw]:
    """Return a form that changes each annotation, or drops it."""

    def form(raw: Raw) -> Raw:
        rows = [change(row) if isinstance(row, dict) else row for row in raw["annotations"]]
        return {**raw, "annotations": [row for row in rows if row is not None], **_unnamed(raw)}

    return form


def _unnamed(raw: Raw) -> Raw:
    """Return the file's categories without names of keypoints: they are of another form."""
    if not isinstance(raw.get("categories"), list):
        return {}
    kept = [
        {key: value for key, value in row.items() if key != "keypoints"}
        if isinstance(row, dict)
        else row
        for row in raw["categories"]
    ]
    return {"categories": kept}


def _face(row: Row) -> Row:
    center, scale = row.get("center"), row.get("scale")
    if not (isinstance(center, list) and len(center) == 2 and isinstance(scale, int | float)):
        return row
    side = scale * _PIXEL_STD
    return {**row, "bbox": [center[0] - side / 2, center[1] - side / 2, side, side]}


def _freihand(row: Row) -> Row:
    return {**row, "bbox": [0, 0, _FREIHAND_SIDE, _FREIHAND_SIDE]}


def _halpe(row: Row) -> Row:
    points = row.get("keypoints")
    if not isinstance(points, list) or len(points) <= 3 * _HALPE_BODY:
        return row
    return _counted({**row, "keypoints": points[: 3 * _HALPE_BODY]})


def _counted(row: Row) -> Row:
    """Return a row with the number of its keypoints that are labelled."""
    return {**row, "num_keypoints": sum(flag > 0 for flag in row["keypoints"][2::3])}


def _jhmdb(row: Row) -> Row:
    """Return a person whose pixels count from 0; those of JHMDB's files count from 1."""
    box, points = row.get("bbox"), row.get("keypoints")
    if not (isinstance(box, list) and isinstance(points, list)):
        return row
    moved = [value - (index % 3 < 2) for index, value in enumerate(points)]
    return {**row, "bbox": [box[0] - 1, box[1] - 1, *box[2:]], "keypoints": moved}


def _part(row: Row, name: str) -> Row | None:
    """Return a face or hand as an annotation of its own, None if it is not there."""
    points = row.get(f"{name}_kpts")
    if not row.get(f"{name}_valid") or not points or max(points) <= 0:
        return None
    taken: Row = {
        key: row[key] for key in ("id", "image_id", "category_id", "iscrowd") if key in row
    }
    return _counted({**taken, "bbox": row.get(f"{name}_box"), "keypoints": points})


def _hands(raw: Raw) -> Raw:
    """Return the hands of a whole-body file, numbered as MMPose does: by image, left ones first."""
    by_image: dict[Any, list[Row]] = {}
    for row in raw["annotations"]:
        by_image.setdefault(row.get("image_id"), []).append(row)
    ids = sorted(image["id"] for image in raw["images"])
    hands = [
        hand
        for key in ids
        for row in by_image.get(key, [])
        if not row.get("iscrowd")
        for hand in (_part(row, "lefthand"), _part(row, "righthand"))
        if hand is not None
    ]
    numbered = [{**hand, "id": number} for number, hand in enumerate(hands)]
    return {**raw, "annotations": numbered, **_unnamed(raw)}


_ROWS: Mapping[Form, Callable[[Raw], Raw]] = {
    "face": _each(_face),
    "freihand": _each(_freihand),
    "halpe26": _each(_halpe),
    "jhmdb": _each(_jhmdb),
    "wholebody": _each(joined),
    "wholebody-face": _each(lambda row: _part(row, "face")),
    "wholebody-hand": _hands,
}
