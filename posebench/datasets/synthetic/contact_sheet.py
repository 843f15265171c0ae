"""A grid of scenes for a person to look at before trusting the data set."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.keypoints import COCO
from posebench.datasets.synthetic.coco import SPLITS
from posebench.datasets.synthetic.scene import SyntheticPerson, SyntheticScene, render_scene
from posebench.errors import DataError
from posebench.files.writing import naming_what_cannot_be_written, put_when_written

CELL = 240
_LEFT, _RIGHT, _MIDDLE = (80, 200, 60), (40, 110, 250), (240, 200, 60)


def contact_sheet(
    level: str, columns: int, rows: int, seed: int, draw_keypoints: bool
) -> NDArray[np.uint8]:
    """Return a (rows * CELL, columns * CELL, 3) BGR grid of the first scenes of a level.

    With `draw_keypoints`: the person's left in green, right in orange, occluded ones hollow.
    """
    sheet = np.full((rows * CELL, columns * CELL, 3), 32, np.uint8)
    for index in range(rows * columns):
        tile = _tile(render_scene(seed, index, level), draw_keypoints)
        y, x = index // columns * CELL, index % columns * CELL
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def write_contact_sheet(path: Path, *, level: str, split: str) -> None:
    """Write the first 24 scenes of a split, without and with their keypoints, as one picture."""
    sheets = [contact_sheet(level, 8, 3, SPLITS[split].seed, drawn) for drawn in (False, True)]
    try:
        _, encoded = cv2.imencode(path.suffix, np.concatenate(sheets))
    except cv2.error:
        raise DataError(f"{path} cannot be written.", hint="Name a .png or .jpg file.") from None
    with naming_what_cannot_be_written(path), put_when_written(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _tile(scene: SyntheticScene, draw_keypoints: bool) -> NDArray[np.uint8]:
    """Return a scene shrunk to fit one cell, with its people's skeletons if asked for."""
    height, width = scene.image.shape[:2]
    scale = (CELL - 4) / max(height, width)
    size = (int(width * scale), int(height * scale))
    tile = cv2.resize(scene.image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    if draw_keypoints:
        for person in scene.persons:
            _draw_person(tile, person, scale)
    return tile


def _draw_person(tile: NDArray[np.uint8], person: SyntheticPerson, scale: float) -> None:
    """Draw box, skeleton and keypoints over a shrunk image."""
    x, y, w, h = (int(value * scale) for value in person.bbox_xywh)
    cv2.rectangle(tile, (x, y), (x + w, y + h), (200, 200, 200), 1)
    places = [(int(px * scale), int(py * scale)) for px, py, _ in person.keypoints]
    seen = [int(v) for v in person.keypoints[:, 2]]
    colours = [_colour(name) for name in COCO.keypoints]
    for a, b in COCO.skeleton:
        if seen[a] and seen[b]:
            same = colours[a] if colours[a] == colours[b] else _MIDDLE
            cv2.line(tile, places[a], places[b], same, 1, cv2.LINE_AA)
    for place, v, colour in zip(places, seen, colours, strict=True):
        if v:
            cv2.circle(tile, place, 2, colour, -1 if v == 2 else 1, cv2.LINE_AA)


def _colour(name: str) -> tuple[int, int, int]:
    """Return the colour of a keypoint's side."""
    if name.startswith("left_"):
        return _LEFT
    return _RIGHT if name.startswith("right_") else _MIDDLE
