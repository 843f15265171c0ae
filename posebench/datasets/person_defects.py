"""What can be wrong in single annotations of persons in a COCO-format keypoint file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from posebench.datasets.findings import (
    Finding,
    Level,
    are_numbers,
    finding,
    has_length,
    is_integer,
    is_number,
)
from posebench.keypoints import KEYPOINT_SETS, KeypointSet

Row = dict[str, Any]
Test = tuple[Level, str, Callable[[Row], bool]]


def keypoint_defects(rows: list[Row], keypoints: KeypointSet, kind: str) -> list[Finding]:
    """Return what is wrong in the persons' keypoints and their counts."""
    length = 3 * len(keypoints)
    wanted = f"3 x {len(keypoints)} values, as keypoint set {keypoints.name!r} wants"
    misfit = [row for row in rows if not has_length(row.get("keypoints", [0] * length), length)]
    found = finding(
        "error",
        f"Persons whose `keypoints` are not {wanted}",
        map(_named, misfit),
        sets_with({len(row["keypoints"]) // 3 for row in misfit if _is_list(row["keypoints"])}),
    )
    full = [row for row in rows if has_length(row.get("keypoints"), length)]
    usable, broken = _split(full, "keypoints", length)
    found += _flag_defects(rows)
    found += finding(
        "error",
        "Persons with keypoints that are not finite numbers (NaN, infinite or text)",
        map(_named, broken),
    )
    return found + _found(
        usable,
        (
            "warning",
            "Persons with visibility flags other than 0, 1 and 2",
            lambda row: not {0, 1, 2}.issuperset(row["keypoints"][2::3]),
        ),
        _count_test(kind),
    )


def _flag_defects(rows: list[Row]) -> list[Finding]:
    """Return what is wrong in the fields that say whether a person counts."""
    return _found(
        rows,
        ("error", "Persons without `keypoints`", lambda row: "keypoints" not in row),
        (
            "error",
            "Persons whose `iscrowd` is neither 0 nor 1",
            lambda row: (
                type(row.get("iscrowd", 0)) not in (int, bool)
                or row.get("iscrowd", 0) not in (0, 1)
            ),
        ),
        (
            "error",
            "Persons whose `num_keypoints` is not a whole number",
            lambda row: not is_integer(row.get("num_keypoints", 0)),
        ),
        (
            "warning",
            "Persons without `num_keypoints` (counted from the visibility flags)",
            lambda row: "num_keypoints" not in row,
        ),
    )


def box_defects(
    rows: list[Row], images: Mapping[Any, Row], length: int, *, needs_area: bool
) -> list[Finding]:
    """Return what is wrong in the persons' boxes and areas, and what lies outside the image.

    `images` maps an id to its entry; `length` is that of a sound `keypoints` list.
    """
    boxed, boxless = _split(rows, "bbox", 4)
    found = finding(
        "error",
        "Persons whose `bbox` is missing or is not four finite numbers",
        map(_named, boxless),
    )
    found += _found(
        rows,
        (
            "error",
            "Persons whose `area` is missing, negative or not a number",
            lambda row: needs_area and not (is_number(row.get("area")) and row["area"] >= 0),
        ),
    )
    located = [row for row in rows if is_integer(row.get("image_id"))]
    placed = [row for row in located if _has_size(images.get(row["image_id"]))]
    boxed_ids = {id(row) for row in boxed}
    found += _found(
        [row for row in placed if id(row) in boxed_ids],
        (
            "warning",
            "Persons whose `bbox` has no area",
            lambda row: row["bbox"][2] <= 0 or row["bbox"][3] <= 0,
        ),
        (
            "warning",
            "Persons whose `bbox` lies outside the image",
            lambda row: _box_outside(row["bbox"], images[row["image_id"]]),
        ),
    )
    return found + _found(
        _split(placed, "keypoints", length)[0],
        (
            "warning",
            "Persons with labelled keypoints outside the image",
            lambda row: _points_outside(row["keypoints"], images[row["image_id"]]),
        ),
    )


def sets_with(counts: set[int]) -> str | None:
    """Name the built-in keypoint sets of this many keypoints, as a hint."""
    names = [name for name, item in KEYPOINT_SETS.items() if len(item) in counts]
    return f"Built-in keypoint sets that would fit: {', '.join(names)}." if names else None


def _found(rows: list[Row], *tests: Test) -> list[Finding]:
    return [
        item
        for level, what, is_bad in tests
        for item in finding(level, what, [_named(row) for row in rows if is_bad(row)])
    ]


def _split(rows: list[Row], key: str, length: int) -> tuple[list[Row], list[Row]]:
    """Return the rows whose `key` is a list of `length` finite numbers, and the others."""
    sound: list[Row] = []
    others: list[Row] = []
    for row in rows:
        (sound if are_numbers(row.get(key), length) else others).append(row)
    return sound, others


def _count_test(kind: str) -> Test:
    """Return the test of `num_keypoints` against the visibility flags for this kind of data."""
    if kind == "crowdpose":
        # CrowdPose counts by other rules, but 0 always marks a person to ignore.
        return (
            "note",
            "Persons with labelled keypoints that `num_keypoints` 0 tells to ignore",
            lambda row: row.get("num_keypoints") == 0 and _flagged(row) > 0,
        )
    return (
        "warning",
        "Persons whose `num_keypoints` is not the number of visibility flags above 0",
        lambda row: "num_keypoints" in row and row["num_keypoints"] != _flagged(row),
    )


def _named(row: Row) -> str:
    return f"annotation {row.get('id')}"


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _flagged(row: Row) -> int:
    return sum(flag > 0 for flag in row["keypoints"][2::3])


def _has_size(image: Row | None) -> bool:
    return image is not None and is_number(image.get("width")) and is_number(image.get("height"))


def _box_outside(bbox: list[float], image: Row) -> bool:
    x, y, w, h = bbox
    return bool(x >= image["width"] or y >= image["height"] or x + w <= 0 or y + h <= 0)


def _points_outside(values: list[float], image: Row) -> bool:
    xs, ys = values[0::3], values[1::3]
    if min(xs) >= 0 <= min(ys) and max(xs) <= image["width"] and max(ys) <= image["height"]:
        return False
    return any(
        flag > 0 and not (0 <= x <= image["width"] and 0 <= y <= image["height"])
        for x, y, flag in zip(xs, ys, values[2::3], strict=True)
    )
