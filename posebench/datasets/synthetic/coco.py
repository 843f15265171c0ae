"""The synthetic data set as COCO or CrowdPose files on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.images.hashes import pixels_sha256, write_pixel_hashes
from posebench.datasets.keypoints import COCO, KeypointSet
from posebench.datasets.synthetic.scene import (
    LEVELS,
    RENDERER_VERSION,
    SyntheticPerson,
    SyntheticScene,
    render_scene,
)
from posebench.errors import DataError, UsageError, nearest
from posebench.files.writing import put_when_written, write_json


@dataclass(frozen=True)
class Split:
    """A split's seed and its default number of scenes."""

    seed: int
    count: int


SPLITS = MappingProxyType({"train": Split(20_240_501, 4000), "val": Split(77_001, 150)})


@dataclass(frozen=True)
class SceneRecord:
    """The facts of a scene that are kept once its image is written."""

    height: int
    width: int
    persons: tuple[SyntheticPerson, ...]
    crowd_index: float
    file_sha256: str = ""
    pixels_sha256: str = ""


def keypoints_of(person: SyntheticPerson, keypoints: KeypointSet) -> NDArray[np.float32]:
    """Return (K, 3) keypoints in the order of a set that uses names of COCO-17 or CrowdPose-14."""
    known = dict(zip(COCO.keypoints, person.keypoints, strict=True))
    known["top_head"], known["neck"] = person.head_neck
    missing = [name for name in keypoints.keypoints if name not in known]
    if missing:
        raise UsageError(
            f"Synthetic people have no keypoint {missing[0]!r}.", hint=nearest(missing[0], known)
        )
    return np.stack([known[name] for name in keypoints.keypoints]).astype(np.float32)


def coco_annotations(
    scenes: Sequence[SceneRecord], keypoints: KeypointSet, info: dict[str, Any]
) -> dict[str, Any]:
    """Return a COCO-format annotation file as plain data; image and annotation ids start at 1.

    Coordinates are rounded to 0.01 px; sets other than COCO get CrowdPose's `crowdIndex`.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, scene in enumerate(scenes, start=1):
        image: dict[str, Any] = {
            "id": number,
            "file_name": file_name(number),
            "width": scene.width,
            "height": scene.height,
        }
        if keypoints.name != COCO.name:
            image["crowdIndex"] = round(scene.crowd_index, 4)
        images.append(image)
        for person in scene.persons:
            points = keypoints_of(person, keypoints)
            annotations.append(_annotation(len(annotations) + 1, number, person, points))
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(keypoints.keypoints),
        "skeleton": [[a + 1, b + 1] for a, b in keypoints.skeleton],
    }
    return {
        "info": info,
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [category],
    }


def _annotation(
    number: int, image: int, person: SyntheticPerson, points: NDArray[np.float32]
) -> dict[str, Any]:
    """Return one COCO annotation record."""
    flat: list[float | int] = []
    for x, y, v in points:
        flat += [round(float(x), 2), round(float(y), 2), int(v)]
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "area": person.area,
        "bbox": [round(value, 2) for value in person.bbox_xywh],
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "keypoints": flat,
    }


def file_name(number: int) -> str:
    """Return COCO's image file name for an image id."""
    return f"{number:012d}.png"


def write_dataset(
    out: Path, *, split: str, level: str = "standard", count: int | None = None,
    keypoints: KeypointSet = COCO, progress: Callable[[int, int], None] | None = None,
) -> Path:  # fmt: skip
    """Render a split below `out` and return the path of its annotation file, written last.

    Images go to `out/<split>/`, with the hashes of their pixels, annotations to
    `out/annotations/person_keypoints_<split>.json`. Raises `UsageError` if the split or level is
    unknown, and `DataError` if a file cannot be written.
    """
    if split not in SPLITS:
        raise UsageError(f"There is no synthetic split {split!r}.", hint=nearest(split, SPLITS))
    if level not in LEVELS:
        raise UsageError(f"There is no level {level!r}.", hint=nearest(level, LEVELS))
    total = SPLITS[split].count if count is None else count
    if total < 1:
        raise UsageError(f"A data set of {total} images is empty.", hint="Ask for 1 or more.")
    seed = SPLITS[split].seed
    folder = out / split
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error}") from None
    records = []
    for index in range(total):
        scene = render_scene(seed, index, level)
        records.append(_write_image(folder, index + 1, scene))
        if progress is not None:
            progress(index + 1, total)
    info = {
        "description": "posebench procedural synthetic people",
        "renderer_version": RENDERER_VERSION,
        "level": level,
        "split": split,
        "seed": seed,
    }
    path = out / "annotations" / f"person_keypoints_{split}.json"
    try:
        write_pixel_hashes(folder, ((each.file_sha256, each.pixels_sha256) for each in records))
        write_json(path, coco_annotations(records, keypoints, info))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}") from None
    return path


def _write_image(folder: Path, number: int, scene: SyntheticScene) -> SceneRecord:
    """Write one scene's PNG and return its record."""
    path = folder / file_name(number)
    encoded, buffer = cv2.imencode(".png", scene.image, [cv2.IMWRITE_PNG_COMPRESSION, 3])
    data = buffer.tobytes() if encoded else b""
    try:
        with put_when_written(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error}") from None
    height, width = scene.image.shape[:2]
    hashes = hashlib.sha256(data).hexdigest(), pixels_sha256(scene.image)
    return SceneRecord(height, width, scene.persons, scene.crowd_index, *hashes)
