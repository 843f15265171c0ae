"""What can be wrong in a COCO-format keypoint file, as findings with their first offenders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from posebench.datasets.findings import LEVELS, Finding, finding, is_integer, is_number, shown
from posebench.datasets.keypoints import KeypointSet
from posebench.datasets.person_defects import person_defects, sets_with

# The category id of people in COCO, and the only one that MMPose evaluates.
PERSON = 1
_SAME_NAME = {"head": "top_head"}


class KeypointNames:
    """Keypoint names of a category, to compare with a `KeypointSet`."""

    def __init__(self, names: list[str]) -> None:
        self.names = [_SAME_NAME.get(name, name) for name in names]

    def fit(self, keypoints: KeypointSet) -> bool:
        """Tell whether these are the set's names in its order."""
        return self.names == list(keypoints.keypoints)

    def permute(self, keypoints: KeypointSet) -> bool:
        """Tell whether these are the set's names in another order."""
        return not self.fit(keypoints) and sorted(self.names) == sorted(keypoints.keypoints)


def annotation_rows(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the annotations of category 1, in file order."""
    return [
        row
        for row in raw["annotations"]
        if isinstance(row, dict) and row.get("category_id", PERSON) == PERSON
    ]


def category_keypoints(raw: Mapping[str, Any]) -> list[str] | None:
    """Return the keypoint names that category 1 lists, or None."""
    categories = raw.get("categories")
    for row in categories if isinstance(categories, list) else []:
        if isinstance(row, dict) and row.get("id") == PERSON:
            names = row.get("keypoints")
            if isinstance(names, list) and names:
                return [str(name) for name in names]
    return None


def labelled_count(row: Mapping[str, Any]) -> int:
    """Return `num_keypoints`, or where it is missing the number of flags above 0."""
    if "num_keypoints" in row:
        return int(row["num_keypoints"])
    return sum(1 for flag in row["keypoints"][2::3] if flag > 0)


def find_defects(
    raw: Mapping[str, Any], keypoints: KeypointSet, *, needs_area: bool, kind: str
) -> list[Finding]:
    """Return everything wrong in a parsed file that has COCO's lists, worst first."""
    images = [row for row in raw["images"] if isinstance(row, dict)]
    not_objects = len(raw["images"]) - len(images)
    not_objects += sum(1 for row in raw["annotations"] if not isinstance(row, dict))
    found = []
    if not_objects:
        found.append(Finding("error", f"{not_objects} entries are not JSON objects", not_objects))
    found += _image_defects(images, kind)
    sizes = {row.get("id"): row for row in images if is_integer(row.get("id"))}
    found += _reference_defects(raw, sizes)
    found += _category_defects(raw, keypoints)
    persons = annotation_rows(raw)
    found += person_defects(persons, sizes, keypoints, needs_area=needs_area, kind=kind)
    return sorted(found, key=lambda item: LEVELS.index(item.level))


def _image_defects(images: list[dict[str, Any]], kind: str) -> list[Finding]:
    ids = Counter(row.get("id") for row in images if is_integer(row.get("id")))
    names = Counter(name for row in images if isinstance(name := row.get("file_name"), str))
    found = finding(
        "error",
        "Images without an integer id",
        (shown(row.get("id")) for row in images if not is_integer(row.get("id"))),
    )
    found += finding(
        "error",
        "Images without a file_name",
        (
            f"image {row.get('id')}"
            for row in images
            if not isinstance(row.get("file_name"), str) or not row["file_name"]
        ),
    )
    found += finding(
        "error",
        "Images without a positive width and height",
        (
            f"image {row.get('id')}"
            for row in images
            if not all(is_number(row.get(key)) and row[key] > 0 for key in ("width", "height"))
        ),
    )
    found += finding(
        "error", "Image ids used more than once", (key for key, n in ids.items() if n > 1)
    )
    found += finding(
        "warning",
        "Image files listed more than once, under several ids",
        (name for name, n in names.items() if n > 1),
    )
    if kind == "crowdpose":
        found += finding(
            "error",
            "Images without a crowdIndex, which the CrowdPose rules need",
            (f"image {row.get('id')}" for row in images if not is_number(row.get("crowdIndex"))),
        )
    return found


def _reference_defects(raw: Mapping[str, Any], images: Mapping[Any, Any]) -> list[Finding]:
    rows = [row for row in raw["annotations"] if isinstance(row, dict)]
    ids = Counter(row.get("id") for row in rows if is_integer(row.get("id")))
    found = finding(
        "error",
        "Annotations without an integer id",
        (shown(row.get("id")) for row in rows if not is_integer(row.get("id"))),
    )
    found += finding(
        "error", "Annotation ids used more than once", (key for key, n in ids.items() if n > 1)
    )
    found += finding(
        "error",
        "Annotations of images that are not in the file",
        (
            f"annotation {row.get('id')} (image {shown(row.get('image_id'))})"
            for row in rows
            if not is_integer(row.get("image_id")) or row["image_id"] not in images
        ),
    )
    found += finding(
        "note",
        "Annotation id 0 is in use, which pycocotools takes for unmatched; posebench renumbers",
        ("annotation 0" for row in rows if row.get("id") == 0),
    )
    return found


def _category_defects(raw: Mapping[str, Any], keypoints: KeypointSet) -> list[Finding]:
    rows = [row for row in raw["annotations"] if isinstance(row, dict)]
    others = Counter(
        str(row.get("category_id")) for row in rows if row.get("category_id", PERSON) != PERSON
    )
    found = []
    if rows and sum(others.values()) == len(rows):
        found.append(
            Finding(
                "error",
                f"No annotation has category_id {PERSON} (found: {', '.join(others)})",
                hint=f"posebench evaluates category {PERSON} alone, as MMPose does.",
            )
        )
    else:
        found += finding(
            "note",
            f"Annotations of categories other than {PERSON} are not evaluated",
            (f"category {key} ({n} times)" for key, n in others.items()),
        )
    categories = raw.get("categories")
    known = (
        {row.get("id") for row in categories if isinstance(row, dict)}
        if isinstance(categories, list)
        else set()
    )
    if PERSON not in known:
        found.append(Finding("warning", f"`categories` does not list category {PERSON}"))
    return found + _name_defects(category_keypoints(raw), keypoints)


def _name_defects(names: list[str] | None, keypoints: KeypointSet) -> list[Finding]:
    if names is None or KeypointNames(names).fit(keypoints):
        return []
    if len(names) != len(keypoints):
        return [
            Finding(
                "error",
                f"The category lists {len(names)} keypoints, keypoint set {keypoints.name!r} "
                f"has {len(keypoints)}",
                hint=sets_with({len(names)}),
            )
        ]
    if KeypointNames(names).permute(keypoints):
        what = f"The category lists the keypoints of {keypoints.name!r} in another order"
        return [Finding("error", what, hint="Write a keypoint set YAML in the file's order.")]
    return [
        Finding("warning", f"The category's keypoint names are not those of {keypoints.name!r}")
    ]
