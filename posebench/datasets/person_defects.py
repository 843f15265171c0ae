"""What can be wrong in single annotations of persons in a COCO-format keypoint file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.columns import sound_numbers
from posebench.datasets.findings import Finding, Level, finding, has_length, is_integer, is_number
from posebench.datasets.keypoints import KEYPOINT_SETS, KeypointSet

Row = dict[str, Any]
Test = tuple[Level, str, Callable[[Row], bool]]


@dataclass(frozen=True, eq=False)
class _Posed:
    """N persons with sound keypoints, and those (N, K, 3): x, y, visibility flag.

    `sizes` (N, 2) are the width and height of their images, NaN where unknown.
    """

    rows: list[Row]
    keypoints: NDArray[np.float64]
    sizes: NDArray[np.float64]


def person_defects(
    rows: list[Row],
    images: Mapping[Any, Row],
    keypoints: KeypointSet,
    *,
    needs_area: bool,
    kind: str,
) -> list[Finding]:
    """Return what is wrong in persons; `images` maps an id to its entry."""
    length = 3 * len(keypoints)
    sizes = _image_sizes(rows, images)
    sound, values = sound_numbers([row.get("keypoints") for row in rows], length)
    triplets = values.reshape(-1, len(keypoints), 3)
    posed = _Posed(list(compress(rows, sound)), triplets, sizes[sound])
    broken = list(compress(rows, ~sound))
    return [
        *_shape_defects(broken, keypoints),
        *_flag_defects(rows),
        *finding(
            "error",
            "Persons with keypoints that are not finite numbers (NaN, infinite or text)",
            (_named(row) for row in broken if has_length(row.get("keypoints"), length)),
        ),
        *_label_defects(posed, kind),
        *_box_defects(rows, sizes, needs_area=needs_area),
        *_outside_defects(posed),
    ]


def _shape_defects(rows: list[Row], keypoints: KeypointSet) -> list[Finding]:
    """Return which of the rows have lists of keypoints of the wrong length."""
    length = 3 * len(keypoints)
    misfit = [row for row in rows if not has_length(row.get("keypoints", [0] * length), length)]
    return finding(
        "error",
        f"Persons whose `keypoints` are not 3 x {len(keypoints)} values, as keypoint set "
        f"{keypoints.name!r} wants",
        map(_named, misfit),
        sets_with({len(row["keypoints"]) // 3 for row in misfit if _is_list(row["keypoints"])}),
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


def _label_defects(posed: _Posed, kind: str) -> list[Finding]:
    """Return whose visibility flags are odd, or do not fit their count."""
    flags = posed.keypoints[..., 2]
    odd: NDArray[np.bool_] = np.any(~np.isin(flags, (0, 1, 2)), axis=1)
    what = "Persons with visibility flags other than 0, 1 and 2"
    found = _marked("warning", what, posed.rows, odd)
    labelled = np.count_nonzero(flags > 0, axis=1).tolist()
    counts = [row.get("num_keypoints", n) for row, n in zip(posed.rows, labelled, strict=True)]
    if kind == "crowdpose":
        # CrowdPose counts by other rules, but 0 always marks a person to ignore.
        wrong = [count == 0 < n for count, n in zip(counts, labelled, strict=True)]
        what = "Persons with labelled keypoints that `num_keypoints` 0 tells to ignore"
        return found + _marked("note", what, posed.rows, wrong)
    wrong = [count != n for count, n in zip(counts, labelled, strict=True)]
    what = "Persons whose `num_keypoints` is not the number of visibility flags above 0"
    return found + _marked("warning", what, posed.rows, wrong)


def _box_defects(rows: list[Row], sizes: NDArray[np.float64], *, needs_area: bool) -> list[Finding]:
    """Return what is wrong in boxes and areas; `sizes` (N, 2) are the images', NaN if unknown."""
    sound, values = sound_numbers([row.get("bbox") for row in rows], 4)
    found = _marked(
        "error", "Persons whose `bbox` is missing or is not four finite numbers", rows, ~sound
    )
    found += _found(
        rows,
        (
            "error",
            "Persons whose `area` is missing, negative or not a number",
            lambda row: needs_area and not (is_number(row.get("area")) and row["area"] >= 0),
        ),
    )
    boxed = list(compress(rows, sound))
    (x, y, w, h), (width, height) = values.T, sizes[sound].T
    placed = ~np.isnan(width)
    flat = placed & ((w <= 0) | (h <= 0))
    outside = placed & ((x >= width) | (y >= height) | (x + w <= 0) | (y + h <= 0))
    found += _marked("warning", "Persons whose `bbox` has no area", boxed, flat)
    return found + _marked("warning", "Persons whose `bbox` lies outside the image", boxed, outside)


def _outside_defects(posed: _Posed) -> list[Finding]:
    points, labelled = posed.keypoints[..., :2], posed.keypoints[..., 2] > 0
    beyond = (points < 0) | (points > posed.sizes[:, None])
    outside = (beyond.any(axis=2) & labelled).any(axis=1) & ~np.isnan(posed.sizes[:, 0])
    what = "Persons with labelled keypoints outside the image"
    return _marked("warning", what, posed.rows, outside)


def _image_sizes(rows: list[Row], images: Mapping[Any, Row]) -> NDArray[np.float64]:
    """Return width and height (N, 2) of each row's image, NaN where unknown."""
    known = {key: (row["width"], row["height"]) for key, row in images.items() if _has_size(row)}
    unknown = (np.nan, np.nan)
    owners = (row["image_id"] if is_integer(row.get("image_id")) else None for row in rows)
    sizes = [known.get(owner, unknown) for owner in owners]
    return np.array(sizes, dtype=np.float64).reshape(-1, 2)


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


def _marked(level: Level, what: str, rows: list[Row], bad: Iterable[Any]) -> list[Finding]:
    return finding(level, what, map(_named, compress(rows, bad)))


def _named(row: Row) -> str:
    return f"annotation {row.get('id')}"


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _has_size(image: Row) -> bool:
    return is_number(image.get("width")) and is_number(image.get("height"))
