"""MPII as MMPose has it: persons in `mpii_val.json`, their head boxes in `mpii_gt_val.mat`.

Head boxes, or all, may also come from MPII's own release. Must agree with MMPose 1.3.2's
`mmpose/datasets/datasets/body/mpii_dataset.py`. Pixels in the files count from 1, here from 0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.images.headers import read_header
from posebench.datasets.known.mpii_release import (
    RELEASE_NAME,
    heads_of,
    load_mat,
    released_persons,
)
from posebench.errors import DataError

Row = dict[str, Any]
HEAD_SIZE = "head_size"
"""The field of an annotation that PCKh is relative to, in pixels."""
# Of a head box's diagonal; SC_BIAS of the Matlab evaluation.
_HEAD_SHARE = 0.6
_PIXEL_STD = 200.0
# Boxes are moved down by this share of their side, so that they hold the feet.
_DOWN = 15 / 200
_FIELDS = ("image", "joints", "joints_vis", "center", "scale")


def read_mpii(rows: list[Any], path: Path, images: Path | None) -> Row:
    """Return MPII's persons as a file of COCO's form, each with its head size in pixels.

    An image has the size of its file in `images` or, without
    one, of what its persons fill. Raises `DataError` if a file is missing or does not fit.
    """
    return _as_coco(rows, lambda persons: _head_sizes(path, rows, len(persons)), path, images)


def read_release(path: Path, images: Path | None) -> Row:
    """Return the persons of MPII's release who stand by themselves, as `read_mpii` does.

    Raises `DataError` if it has another structure.
    """
    alone = [person for person in released_persons(path) if person.is_alone]
    heads = np.array([person.head for person in alone]).reshape(-1, 4)
    return _as_coco([each.row for each in alone], lambda _: _sizes_of(heads), path, images)


def _as_coco(
    rows: list[Any],
    sizes_of: Callable[[list[Row]], NDArray[np.float64]],
    path: Path,
    images: Path | None,
) -> Row:
    persons = [_person(path, number, row) for number, row in enumerate(rows)]
    for person, size in zip(persons, sizes_of(persons).tolist(), strict=True):
        person[HEAD_SIZE] = size
    by_image: dict[tuple[int, str], list[Row]] = {}
    for person, row in zip(persons, rows, strict=True):
        by_image.setdefault((person["image_id"], str(row["image"])), []).append(person)
    return {
        "images": [_image(*key, images, own) for key, own in sorted(by_image.items())],
        "annotations": persons,
        "categories": [{"id": 1, "name": "person"}],
    }


def head_boxes_file(path: Path) -> Path:
    """Return where head boxes lie: `mpii_gt_val.mat` beside `mpii_val.json`, else the release."""
    own = path.with_name(f"{path.stem.replace('_', '_gt_', 1)}.mat")
    releases = (folder / RELEASE_NAME for folder in (path.parent, path.parent.parent))
    return next((file for file in (own, *releases) if file.is_file()), own)


def _person(path: Path, number: int, row: Any) -> Row:
    try:
        if missing := [name for name in _FIELDS if name not in row]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        points = np.asarray(row["joints"], dtype=np.float64)
        flags = np.asarray(row["joints_vis"], dtype=np.float64)
        x, y = (float(value) for value in row["center"])
        side = float(row["scale"]) * _PIXEL_STD
        if points.shape != (16, 2) or flags.shape != (16,):
            raise ValueError("it does not have 16 joints with a flag each")
        image = int(str(row["image"]).split(".")[0])
    except (TypeError, ValueError) as error:
        raise DataError(
            f"Person {number} of {path} cannot be read: {error}.",
            hint="MMPose's mpii_val.json lists persons with image, joints, joints_vis, center and "
            "scale.",
        ) from None
    y += _DOWN * side if x != -1 else 0
    triplets = np.column_stack([points - 1, flags])
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [x - 1 - side / 2, y - 1 - side / 2, side, side],
        "keypoints": triplets.ravel().tolist(),
    }


def _sizes_of(heads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the size of heads with boxes (N, 4), x1, y1, x2, y2."""
    return np.asarray(np.linalg.norm(heads[:, 2:] - heads[:, :2], axis=1) * _HEAD_SHARE)


def _head_sizes(path: Path, rows: list[Any], count: int) -> NDArray[np.float64]:
    """Return the size of each person's head, 0.6 of its box's diagonal."""
    file = head_boxes_file(path)
    if not file.is_file():
        raise DataError(
            f"The head boxes of {path} are missing: there is no {file}.",
            hint="MMPose's page on MPII links mpii_gt_val.mat; put it beside the annotations, or "
            f"MPII's own {RELEASE_NAME}. For AP by OKS, without head sizes, write the persons in "
            "COCO's format.",
        )
    if file.name == RELEASE_NAME:
        names = [str(row["image"]) for row in rows]
        return _sizes_of(heads_of([row["joints"] for row in rows], file, names))
    boxes = np.asarray(load_mat(file, ["headboxes_src"])["headboxes_src"], dtype=np.float64)
    boxes = boxes.reshape(2, 2, -1) if boxes.size == 4 else boxes
    if boxes.shape != (2, 2, count):
        raise DataError(
            f"{file} has head boxes of shape {boxes.shape}, wanted (2, 2, {count}): one for each "
            f"person of {path}."
        )
    return np.asarray(np.linalg.norm(boxes[1] - boxes[0], axis=0) * _HEAD_SHARE)


def _image(key: int, name: str, images: Path | None, persons: list[Row]) -> Row:
    file = None if images is None else images / name
    if file is not None and file.is_file():
        header = read_header(file)
        width, height = header.width, header.height
    else:
        points = np.concatenate([np.reshape(row["keypoints"], (-1, 3)) for row in persons])
        width, height = (int(value) for value in np.ceil(points[:, :2].max(axis=0)) + 1)
    return {"id": key, "file_name": name, "width": max(width, 1), "height": max(height, 1)}
