"""JPEG files for benchmarks, of noise that decodes like photographs, with boxes of persons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HEIGHT, WIDTH = 480, 640
PEOPLE_PER_IMAGE = (2, 2, 2, 3)


def write_images(folder: Path, count: int, seed: int = 0) -> Path:
    """Write images that take as long to decode as photographs, and return their annotations."""
    rng = np.random.default_rng(seed)
    bases = [_noise(rng) for _ in range(12)]
    (folder / "val").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    persons: list[dict[str, Any]] = []
    for key in range(1, count + 1):
        one, other = rng.choice(len(bases), 2, replace=False)
        shift = tuple(rng.integers(0, (HEIGHT, WIDTH)))
        pixels = np.clip(bases[one] + np.roll(bases[other], shift, (0, 1)), 0, 255)
        name = f"{key:012}.jpg"
        quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
        cv2.imwrite(str(folder / "val" / name), pixels.astype(np.uint8), quality)
        images.append({"id": key, "file_name": name, "width": WIDTH, "height": HEIGHT})
        persons += [
            _person(rng, key, len(persons) + index)
            for index in range(PEOPLE_PER_IMAGE[key % len(PEOPLE_PER_IMAGE)])
        ]
    document = {
        "images": images,
        "annotations": persons,
        "categories": [{"id": 1, "name": "person"}],
    }
    annotations = folder / "annotations.json"
    annotations.write_text(json.dumps(document), encoding="utf-8")
    return annotations


def _noise(rng: np.random.Generator) -> np.ndarray:
    """Return noise that is stronger where it is coarser, as in photographs."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.float32)
    for step, strength in ((160, 30), (40, 18), (10, 10), (4, 6), (1, 3)):
        shape = (-(-HEIGHT // step), -(-WIDTH // step), 3)
        coarse = rng.normal(0, strength, shape).astype(np.float32)
        pixels += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return pixels + 64


def _person(rng: np.random.Generator, image: int, number: int) -> dict[str, object]:
    height = float(rng.uniform(60, 400))
    width = height * float(rng.uniform(0.3, 0.8))
    left, top = float(rng.uniform(0, WIDTH - width)), float(rng.uniform(0, HEIGHT - height))
    points = np.c_[rng.uniform(left, left + width, 17), rng.uniform(top, top + height, 17)]
    return {
        "id": number + 1,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [round(value, 2) for value in (left, top, width, height)],
        "area": round(width * height * 0.6, 2),
        "num_keypoints": 17,
        "keypoints": np.c_[points.astype(int), np.full(17, 2)].ravel().tolist(),
    }
