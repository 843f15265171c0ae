"""Training scenes in one memory-mapped file, shared by every run on the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.synthetic import SPLITS, render_scene, renderer_name
from posebench.files.cache import cached_folder
from posebench.files.hashing import content_key
from posebench.suites.training_data import RenderedData

Progress = Callable[[int, int], None]
Shape = tuple[int, int]


@dataclass(frozen=True)
class SceneStore:
    """Images end to end in one byte array, and the P persons on them.

    `shapes` (S, 2) height and width, `offsets` (S,) into `pixels`; `scene` (P,) index of each
    person's image, `keypoints` (P, K, 3), `bbox_xyxy` (P, 4), both in image pixels. `sha256` names
    the data that the scenes come from.
    """

    pixels: NDArray[np.uint8]
    shapes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    scene: NDArray[np.int64]
    keypoints: NDArray[np.float32]
    bbox_xyxy: NDArray[np.float32]
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.scene)

    def image(self, person: int) -> NDArray[np.uint8]:
        """Return the (H, W, 3) BGR image that `person` is on."""
        return self.scene_image(int(self.scene[person]))

    def scene_image(self, scene: int) -> NDArray[np.uint8]:
        """Return one (H, W, 3) BGR image."""
        height, width = (int(side) for side in self.shapes[scene])
        start = int(self.offsets[scene])
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)


class SceneWriter:
    """Writes a scene store to a folder, image by image."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stream = (folder / "pixels.bin").open("wb")
        self._shapes: list[Shape] = []

    def add(self, image: NDArray[np.uint8]) -> None:
        """Append an image (H, W, 3)."""
        self._stream.write(np.ascontiguousarray(image).tobytes())
        height, width = image.shape[:2]
        self._shapes.append((height, width))

    def finish(self, scene: Any, keypoints: Any, bbox_xyxy: Any) -> None:
        """Write where the images are and who is on them; see `SceneStore`."""
        self._stream.close()
        shapes = np.array(self._shapes, dtype=np.int64).reshape(-1, 2)
        sizes = shapes.prod(axis=1) * 3
        np.savez(
            self._folder / "persons.npz",
            shapes=shapes,
            offsets=np.cumsum(sizes) - sizes,
            scene=np.asarray(scene, dtype=np.int64),
            keypoints=np.asarray(keypoints, dtype=np.float32),
            bbox_xyxy=np.asarray(bbox_xyxy, dtype=np.float32),
        )


def open_scenes(folder: Path, sha256: str) -> SceneStore:
    """Open a store that a `SceneWriter` has finished."""
    with np.load(folder / "persons.npz") as arrays:
        fields = {key: arrays[key] for key in arrays.files}
    pixels = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r")
    return SceneStore(pixels=pixels, **fields, sha256=sha256)


def rendered_scenes(data: RenderedData, progress: Progress) -> SceneStore:
    """Render the training scenes, or open them where an earlier run has left them."""
    name = f"training-{renderer_name()}-{data.level}-{data.scenes}"
    folder = cached_folder(name, lambda work: _render(work, data, progress))
    return open_scenes(folder, content_key({"rendered": name}))


def _render(folder: Path, data: RenderedData, progress: Progress) -> None:
    writer = SceneWriter(folder)
    scenes: list[int] = []
    persons: list[Any] = []
    for index in range(data.scenes):
        scene = render_scene(SPLITS["train"].seed, index, data.level)
        writer.add(scene.image)
        scenes += [index] * len(scene.persons)
        persons += scene.persons
        progress(index + 1, data.scenes)
    boxes = np.array([person.bbox_xywh for person in persons], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    writer.finish(scenes, [person.keypoints for person in persons], boxes)
