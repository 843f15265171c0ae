"""Folders with a file for each image, as OpenPose, openpifpaf and MMPose's demos write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from posebench.datasets.keypoints import COCO
from posebench.errors import DataError
from posebench.files.json_file import read_json

Row = dict[str, Any]
# What the tools append to an image's name, the longest first.
_ENDINGS = (".predictions.json", "_keypoints.json", ".json")
# OpenPose's BODY_25 and COCO models: where COCO's 17 keypoints stand, by how many they have
# (`poseParametersRender.hpp`).
OPENPOSE_ORDERS: Mapping[int, tuple[int, ...]] = MappingProxyType(
    {
        25: (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11),
        18: (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10),
    }
)


def files_of(path: Path) -> list[Path]:
    """Return the files that results lie in: the file itself, or those of a folder."""
    return sorted(path.glob("*.json")) if path.is_dir() else [path]


def rows_of_folder(folder: Path) -> list[Row]:
    """Return the results of a folder, each with its image's name as `image_id`.

    Raises `DataError` if there is no such file, or one holds something else.
    """
    files = files_of(folder)
    if not files:
        raise DataError(
            f"{folder} is a folder without .json files.",
            hint="Give a results file, or a folder with a file for each image.",
        )
    return [row for file in files for row in _rows_of(file)]


def _rows_of(file: Path) -> Iterator[Row]:
    ending = next(each for each in _ENDINGS if file.name.endswith(each))
    name = file.name.removesuffix(ending)
    held, _ = read_json(file, "results of an image")
    people = held
    if isinstance(held, dict):
        people = held.get("people", held.get("instance_info", held.get("predictions")))
    if not isinstance(people, list) or not all(isinstance(person, dict) for person in people):
        raise DataError(
            f"{file} holds no list of persons.",
            hint="Known are the files of OpenPose (people), openpifpaf and MMPose, one an image.",
        )
    for person in people:
        row = {"image_id": name, "category_id": 0, **person}
        if "pose_keypoints_2d" in person:
            row["keypoints"] = _from_openpose(file, person["pose_keypoints_2d"])
        elif "keypoint_scores" in person:
            # MMPose's demos write corners.
            row.pop("bbox", None)
        yield row


def _from_openpose(file: Path, numbers: Any) -> list[Any]:
    """Return OpenPose's keypoints in COCO's order."""
    order = OPENPOSE_ORDERS.get(len(numbers) // 3) if isinstance(numbers, list) else None
    if order is None or len(numbers) % 3:
        raise DataError(
            f"{file} has persons of other keypoints than OpenPose's BODY_25 and COCO models.",
            hint=f"Wanted are 25 or 18 times x, y, score; {len(COCO)} of them are COCO's.",
        )
    return [number for place in order for number in numbers[3 * place : 3 * place + 3]]
