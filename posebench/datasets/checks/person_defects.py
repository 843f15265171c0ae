"""Defects of single persons' annotations in a COCO-format keypoint file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.checks.area_defects import area_defects
from posebench.datasets.checks.findings import (
    FARTHEST,
    Finding,
    finding,
    has_length,
    is_integer,
    is_number,
    person_name,
)
from posebench.datasets.checks.readings import (
    box_reading_by_poses,
    fractions_everywhere,
    keypoint_reading_by_boxes,
)
from posebench.datasets.columns import sound_numbers
from posebench.datasets.keypoint_names import sets_with
from posebench.datasets.keypoints import KeypointSet

Row = dict[str, Any]
Test = tuple[str, str, Callable[[Row], bool]]


@dataclass(frozen=True, eq=False)
class _Posed:
    """N persons with sound keypoints, and those (N, K, 3): x, y, visibility flag.

    `sizes` (N, 2) are the width and height of their images, `boxes` (N, 4) x, y, w, h; both are
    NaN where unknown.
    """

    rows: list[Row]
    keypoints: NDArray[np.float64]
    sizes: NDArray[np.float64]
    boxes: NDArray[np.float64]


def person_defects(
    rows: list[Row],
    images: Mapping[Any, Row],
    keypoints: KeypointSet,
    *,
    needs_area: bool,
    kind: str,
) -> list[Finding]:
    """Return findings on persons; `images` maps an id to its entry."""
    length = 3 * len(keypoints)
    sizes = _image_sizes(rows, images)
    sound, values = _near_numbers([row.get("keypoints") for row in rows], length)
    triplets = values.reshape(-1, len(keypoints), 3)
    boxed, known = _near_numbers([row.get("bbox") for row in rows], 4)
    boxes = np.full((len(rows), 4), np.nan)
    boxes[boxed] = known
    posed = _Posed(list(compress(rows, sound)), triplets, sizes[sound], boxes[sound])
    broken = [row for row in compress(rows, ~sound) if not _stands_for_nobody(row)]
    return [
        *_shape_defects(broken, keypoints),
        *finding(
            "keypoints-empty",
            "Persons without labels whose `keypoints` are an empty list",
            (person_name(row) for row in rows if _stands_for_nobody(row)),
        ),
        *_flag_defects(rows, kind),
        *finding(
            "keypoints-numbers",
            "Persons with keypoints that are not finite numbers (NaN, text, beyond 1e9)",
            (person_name(row) for row in broken if has_length(row.get("keypoints"), length)),
        ),
        *_label_defects(posed, kind),
        *_box_defects(rows, boxes, sizes),
        *(area_defects(rows, boxes, list(map(is_posed, rows))) if needs_area else []),
        *_outside_defects(posed),
        *_readings(posed),
    ]


def _near_numbers(
    lists: Sequence[Any], width: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return `sound_numbers` without the rows whose numbers lie beyond any image."""
    sound, values = sound_numbers(lists, width)
    if values.size == 0 or max(values.max(), -values.min()) <= FARTHEST:
        return sound, values
    near = (np.abs(values) <= FARTHEST).all(axis=1)
    sound[sound] = near
    return sound, values[near]


def _shape_defects(rows: list[Row], keypoints: KeypointSet) -> list[Finding]:
    """Return findings on rows whose list of keypoints has the wrong length."""
    length = 3 * len(keypoints)
    misfit = [row for row in rows if not has_length(row.get("keypoints", [0] * length), length)]
    return finding(
        "keypoints-length",
        f"Persons whose `keypoints` are not 3 x {len(keypoints)} values, as keypoint set "
        f"{keypoints.name!r} wants",
        map(person_name, misfit),
        sets_with({len(row["keypoints"]) // 3 for row in misfit if _is_list(row["keypoints"])})
        or None,
    )


def _flag_defects(rows: list[Row], kind: str) -> list[Finding]:
    """Return findings on the fields that say whether a person counts."""
    found = _found(
        rows,
        ("keypoints-missing", "Persons without `keypoints`", lambda row: "keypoints" not in row),
        (
            "iscrowd",
            "Persons whose `iscrowd` is neither 0 nor 1",
            lambda row: (
                type(row.get("iscrowd", 0)) not in (int, bool)
                or row.get("iscrowd", 0) not in (0, 1)
            ),
        ),
        (
            "num-keypoints",
            "Persons whose `num_keypoints` is not a whole number",
            lambda row: (
                not is_integer(row.get("num_keypoints", 0)) or row["num_keypoints"] < 0
                if "num_keypoints" in row
                else False
            ),
        ),
    )
    if kind == "distance":  # which asks for no count
        return found
    what = "Persons without `num_keypoints` (counted from the visibility flags)"
    return found + _found(
        rows, ("num-keypoints-missing", what, lambda row: "num_keypoints" not in row)
    )


def _label_defects(posed: _Posed, kind: str) -> list[Finding]:
    """Return findings on visibility flags that are odd or disagree with their count."""
    flags = posed.keypoints[..., 2]
    odd: NDArray[np.bool_] = np.any(~np.isin(flags, (0, 1, 2)), axis=1)
    what = "Persons with visibility flags other than 0, 1 and 2"
    found = _marked("visibility-flags", what, posed.rows, odd)
    labelled = np.count_nonzero(flags > 0, axis=1).tolist()
    counts = [row.get("num_keypoints", n) for row, n in zip(posed.rows, labelled, strict=True)]
    if kind == "crowdpose":
        # CrowdPose counts by other rules, but 0 always marks a person to ignore.
        wrong = [count == 0 < n for count, n in zip(counts, labelled, strict=True)]
        what = "Persons with labelled keypoints but `num_keypoints` 0, so that they are ignored"
        return found + _marked("num-keypoints-ignores", what, posed.rows, wrong)
    if kind == "wholebody":
        return found  # its count is that of the body's keypoints alone
    counted = sum(
        row.get("iscrowd") != 1 and n != 0 for row, n in zip(posed.rows, counts, strict=True)
    )
    if counted and not any(labelled):
        what = (
            f"No keypoint of {counted} persons has a flag above 0, so similarity asks only whether "
            "keypoints lie in or near the box"
        )
        found.append(Finding("labels-none", what, counted))
    wrong = [count != n for count, n in zip(counts, labelled, strict=True)]
    what = "Persons whose `num_keypoints` is not the number of visibility flags above 0"
    return found + _marked("num-keypoints-differs", what, posed.rows, wrong)


def _box_defects(
    rows: list[Row], boxes: NDArray[np.float64], sizes: NDArray[np.float64]
) -> list[Finding]:
    """Return findings on boxes (N, 4) in images of `sizes` (N, 2); NaN where unknown."""
    what = "Persons whose `bbox` is missing or is not four finite numbers"
    (x, y, w, h), (width, height) = boxes.T, sizes.T
    placed = ~np.isnan(width)
    flat = placed & ((w <= 0) | (h <= 0))
    outside = placed & ((x >= width) | (y >= height) | (x + w <= 0) | (y + h <= 0))
    return [
        *_marked("box-missing", what, rows, np.isnan(x)),
        *_marked("box-empty", "Persons whose `bbox` has no area", rows, flat),
        *_marked("box-outside", "Persons whose `bbox` lies outside the image", rows, outside),
    ]


def _readings(posed: _Posed) -> list[Finding]:
    """Return findings on boxes and keypoints that another reading fits better."""
    sound = ~np.isnan(posed.boxes[:, 0])
    triplets, boxes, sizes = posed.keypoints[sound], posed.boxes[sound], posed.sizes[sound]
    found = []
    for kind, what in (
        ("fractions", fractions_everywhere(triplets, boxes)),
        ("box-reading", box_reading_by_poses(boxes, triplets, sizes)),
        ("keypoints-reading", keypoint_reading_by_boxes(triplets, boxes, sizes)),
    ):
        if what is not None:
            found.append(Finding(kind, what, len(boxes)))
    return found


def _outside_defects(posed: _Posed) -> list[Finding]:
    points, labelled = posed.keypoints[..., :2], posed.keypoints[..., 2] > 0
    beyond = (points < 0) | (points > posed.sizes[:, None])
    outside = (beyond.any(axis=2) & labelled).any(axis=1) & ~np.isnan(posed.sizes[:, 0])
    what = "Persons with labelled keypoints outside the image"
    return _marked("keypoints-outside", what, posed.rows, outside)


def _image_sizes(rows: list[Row], images: Mapping[Any, Row]) -> NDArray[np.float64]:
    """Return width and height (N, 2) of each row's image, NaN where unknown."""
    known = {key: (row["width"], row["height"]) for key, row in images.items() if _has_size(row)}
    unknown = (np.nan, np.nan)
    owners = (row["image_id"] if is_integer(row.get("image_id")) else None for row in rows)
    sizes = [known.get(owner, unknown) for owner in owners]
    return np.array(sizes, dtype=np.float64).reshape(-1, 2)


def _found(rows: list[Row], *tests: Test) -> list[Finding]:
    return [
        item
        for kind, what, is_bad in tests
        for item in finding(kind, what, [person_name(row) for row in rows if is_bad(row)])
    ]


def _marked(kind: str, what: str, rows: list[Row], bad: Iterable[Any]) -> list[Finding]:
    return finding(kind, what, map(person_name, compress(rows, bad)))


def _stands_for_nobody(row: Row) -> bool:
    """Tell whether a person's `keypoints` are empty and no other field claims any."""
    return row.get("keypoints") == [] and row.get("num_keypoints", 0) == 0


def is_posed(row: Row) -> bool:
    """Tell whether an annotation is of one person with labelled keypoints."""
    return not row.get("iscrowd") and row.get("num_keypoints", 1) != 0


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _has_size(image: Row) -> bool:
    return is_number(image.get("width")) and is_number(image.get("height"))
