"""Rendered training scenes in one memory-mapped file, shared by every run on the machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.synthetic import SPLITS, render_scene, renderer_name
from posebench.files.cache import cached_folder
from posebench.suites.training_data import RenderedData, TrainingData


@dataclass(frozen=True)
class SceneStore:
    """Images end to end in one byte array, and the P persons on them.

    `shapes` (S, 2) height and width, `offsets` (S,) into `pixels`; `scene` (P,) index of each
    person's image, `keypoints` (P, 17, 3), `bbox_xyxy` (P, 4), both in image pixels.
    """

    pixels: NDArray[np.uint8]
    shapes: NDArray[np.int64]
    offsets: NDArray[np.int64]
    scene: NDArray[np.int64]
    keypoints: NDArray[np.float32]
    bbox_xyxy: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.scene)

    def image(self, person: int) -> NDArray[np.uint8]:
        """Return the (H, W, 3) BGR image that `person` is on."""
        scene = int(self.scene[person])
        height, width = (int(side) for side in self.shapes[scene])
        start = int(self.offsets[scene])
        return self.pixels[start : start + height * width * 3].reshape(height, width, 3)


def load_scenes(data: TrainingData, progress: Callable[[int, int], None]) -> SceneStore:
    """Render the training scenes, or open them where an earlier run has left them."""
    assert isinstance(data, RenderedData)
    name = f"training-{renderer_name()}-{data.level}-{data.scenes}"
    folder = cached_folder(name, lambda work: _render(work, data, progress))
    with np.load(folder / "persons.npz") as arrays:
        fields = {key: arrays[key] for key in arrays.files}
    pixels = np.memmap(folder / "pixels.bin", dtype=np.uint8, mode="r")
    return SceneStore(pixels=pixels, **fields)


def _render(folder: Path, data: RenderedData, progress: Callable[[int, int], None]) -> None:
    shapes: list[tuple[int, int]] = []
    columns: dict[str, list[Any]] = {"scene": [], "keypoints": [], "bbox_xyxy": []}
    with (folder / "pixels.bin").open("wb") as stream:
        for index in range(data.scenes):
            scene = render_scene(SPLITS["train"].seed, index, data.level)
            stream.write(np.ascontiguousarray(scene.image).tobytes())
            shapes.append(scene.image.shape[:2])
            for person in scene.persons:
                x, y, width, height = person.bbox_xywh
                columns["scene"].append(index)
                columns["keypoints"].append(person.keypoints)
                columns["bbox_xyxy"].append((x, y, x + width, y + height))
            progress(index + 1, data.scenes)
    sizes = np.array([height * width * 3 for height, width in shapes], dtype=np.int64)
    np.savez(
        folder / "persons.npz",
        shapes=np.array(shapes, dtype=np.int64),
        offsets=np.cumsum(sizes) - sizes,
        scene=np.array(columns["scene"], dtype=np.int64),
        keypoints=np.array(columns["keypoints"], dtype=np.float32),
        bbox_xyxy=np.array(columns["bbox_xyxy"], dtype=np.float32),
    )
