"""The same persons as several annotators labelled them, one COCO-format file for each annotator."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.categories import Category, choose_categories, only_category
from posebench.datasets.coco import PoseDataset, annotation_area, load_dataset
from posebench.datasets.keypoints import KeypointSet
from posebench.datasets.rules import LoadOptions, check_structure
from posebench.errors import DataError, PosebenchError, UsageError
from posebench.files.json_file import read_json

# Boxes of two annotators that overlap less than this are taken for those of two persons.
LEAST_OVERLAP = 0.5
# Nobody knows a new set's sigmas before they are estimated, and loading uses none.
_UNKNOWN_SIGMA = 0.05
_SIDE = re.compile(r"(?<![a-z])(left|right|l|r)(?![a-z])", re.IGNORECASE)
_Row = dict[str, Any]
_File = dict[str, list[_Row]]
_Group = list[_Row | None]
_OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}


@dataclass(frozen=True, eq=False)
class RepeatedLabels:
    """P persons that several of A annotators labelled.

    `points` (A, P, K, 2) are x and y in pixels, NaN where an annotator did not label a keypoint;
    `areas` (P,) are square pixels, the mean over those who labelled the person; `image` (P,) points
    into `image_names`. `alone` counts the persons of each file that nobody else labelled.
    """

    keypoints: KeypointSet
    points: NDArray[np.float64]
    areas: NDArray[np.float64]
    image: NDArray[np.int64]
    image_names: tuple[str, ...]
    alone: tuple[int, ...]


def load_repeats(paths: Sequence[Path], options: LoadOptions) -> RepeatedLabels:
    """Read a file for each annotator, and find the same persons in them.

    Images are known by file name. A person of another file is the one in the first file whose box
    overlaps most, by 0.5 at least. Without keypoints in `options` they are those that the first
    file's category names. Raises `UsageError` for fewer than two files or two with equal content,
    and `DataError` if a file cannot be used or nobody was labelled twice.
    """
    if len(paths) < 2:
        raise UsageError(
            "Sigmas are estimated from the same persons labelled by at least two annotators.",
            hint="Give a file for each annotator. Without repeated labels, take the sigmas of a "
            "built-in set for keypoints of the same kind.",
        )
    keypoints = options.keypoints or _described_set(paths[0], options.category)
    loading = LoadOptions(
        keypoints=keypoints, area_rule=options.area_rule, category=options.category
    )
    files = [load_dataset(path, path.parent, loading) for path in paths]
    _refuse_copies(files)
    by_image = [_persons(dataset) for dataset in files]
    names, persons = _labelled_twice(by_image)
    if not persons:
        raise DataError(
            f"No person of {paths[0]} is labelled in another file.",
            hint="Images are known by `file_name`, persons by boxes that overlap by "
            f"{LEAST_OVERLAP} at least.",
        )
    areas = [
        np.mean([annotation_area(row, file.area_rule) for row, file in _known(group, files)])
        for group in persons
    ]
    images = tuple(dict.fromkeys(names))
    places = {name: index for index, name in enumerate(images)}
    points = [[_points(row, len(keypoints)) for row in group] for group in persons]
    return RepeatedLabels(
        keypoints=keypoints,
        points=np.swapaxes(np.array(points), 0, 1),
        areas=np.array(areas),
        image=np.array([places[name] for name in names]),
        image_names=images,
        alone=tuple(
            sum(map(len, file.values())) - sum(group[place] is not None for group in persons)
            for place, file in enumerate(by_image)
        ),
    )


def _labelled_twice(by_image: Sequence[_File]) -> tuple[list[str], list[_Group]]:
    """Return the image names of persons of the first file, and their rows in every file."""
    names, persons = list[str](), list[_Group]()
    for name, first in by_image[0].items():
        others = [_partners(first, file.get(name, [])) for file in by_image[1:]]
        for index, row in enumerate(first):
            group = [row, *(found.get(index) for found in others)]
            if any(group[1:]):
                names.append(name)
                persons.append(group)
    return names, persons


def mirror_pairs(names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return the index pairs of names that differ by left and right alone, or l and r."""
    places = {name: index for index, name in enumerate(names)}
    pairs = []
    for index, name in enumerate(names):
        partner = places.get(_SIDE.sub(_swapped, name, count=1), index)
        if index < partner:
            pairs.append((index, partner))
    return tuple(pairs)


def _swapped(side: re.Match[str]) -> str:
    """Return the other side, in the same case."""
    text = side.group()
    other = _OTHER_SIDE[text.casefold()]
    return other.upper() if text.isupper() else other.title() if text.istitle() else other


def _described_set(path: Path, wanted: str | None) -> KeypointSet:
    """Return the keypoints that a file's category describes, with no sigmas worth the name.

    Raises `DataError` if it names none.
    """
    raw, _ = read_json(path, "annotation file")
    check_structure(path, raw)
    category = only_category(choose_categories(raw, wanted), path)
    names = category.keypoints
    if names is None:
        raise DataError(
            f"{path}: category {category} does not name its keypoints.",
            hint="List their names as `keypoints` of the category, or give --keypoints.",
        )
    sigmas = (_UNKNOWN_SIGMA,) * len(names)
    pairs = mirror_pairs(names)
    try:
        skeleton = _skeleton(raw, category)
        return KeypointSet(category.name, names, sigmas, pairs, skeleton)
    except (PosebenchError, TypeError, ValueError, StopIteration):
        return KeypointSet(category.name, names, sigmas, pairs)


def _skeleton(raw: Mapping[str, Any], category: Category) -> tuple[tuple[int, int], ...]:
    """Return a category's skeleton; COCO counts its keypoints from 1."""
    listed = next(row for row in raw["categories"] if row.get("id") == category.id)
    return tuple((int(one) - 1, int(other) - 1) for one, other in listed.get("skeleton") or ())


def _refuse_copies(files: Sequence[PoseDataset]) -> None:
    first: dict[str, Path] = {}
    for file in files:
        known = first.setdefault(file.annotations_sha256, file.annotations)
        if known is not file.annotations:
            raise UsageError(
                f"{known} and {file.annotations} have the same content.",
                hint="Give files of different annotators: a copy would make sigmas too small.",
            )


def _persons(file: PoseDataset) -> dict[str, list[dict[str, Any]]]:
    """Return the labelled persons of each image, by the image's file name."""
    names = {row["id"]: row["file_name"] for row in file.raw["images"]}
    found: dict[str, list[dict[str, Any]]] = {}
    for row in file.persons:
        if not row.get("iscrowd") and row.get("num_keypoints") != 0 and min(row["bbox"][2:]) > 0:
            found.setdefault(names[row["image_id"]], []).append(row)
    return found


def _partners(
    first: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    """Return for persons of the first file, by place, those of another: best overlaps first."""
    overlaps = sorted(
        (
            (_overlap(one["bbox"], other["bbox"]), i, j)
            for i, one in enumerate(first)
            for j, other in enumerate(others)
        ),
        reverse=True,
    )
    found: dict[int, dict[str, Any]] = {}
    taken = set[int]()
    for overlap, i, j in overlaps:
        if overlap >= LEAST_OVERLAP and i not in found and j not in taken:
            found[i] = others[j]
            taken.add(j)
    return found


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the intersection over union of two boxes x, y, width, height."""
    sides = [
        min(one[i] + one[i + 2], other[i] + other[i + 2]) - max(one[i], other[i]) for i in (0, 1)
    ]
    shared = max(0.0, sides[0]) * max(0.0, sides[1])
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def _known(
    group: Sequence[dict[str, Any] | None], files: Sequence[PoseDataset]
) -> list[tuple[dict[str, Any], PoseDataset]]:
    return [(row, file) for row, file in zip(group, files, strict=True) if row is not None]


def _points(row: Mapping[str, Any] | None, count: int) -> NDArray[np.float64]:
    """Return an annotation's keypoints (K, 2), NaN where it labels none."""
    if row is None or not row["keypoints"]:
        return np.full((count, 2), np.nan)
    values = np.array(row["keypoints"], dtype=np.float64).reshape(count, 3)
    return np.where(values[:, 2:] > 0, values[:, :2], np.nan)
