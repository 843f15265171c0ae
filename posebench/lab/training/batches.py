"""Augmented training batches, the same for every model of a pair.

Order and draws come from the recipe's seed, the epoch and the person alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.lab.training.scenes import SceneStore
from posebench.networks.sizes import InputSize
from posebench.prediction.geometry import boxes_to_center_scale
from posebench.suites.recipe import Augmentation, Recipe


@dataclass(frozen=True)
class TrainingBatch:
    """`crops` (N, H, W, 3) BGR, `keypoints` (N, K, 2) in crop pixels, `visible` (N, K) bool."""

    crops: NDArray[np.uint8]
    keypoints: NDArray[np.float32]
    visible: NDArray[np.bool_]


def training_batches(store: SceneStore, recipe: Recipe, first_step: int) -> Iterator[TrainingBatch]:
    """Yield the batches of every step from `first_step` to the recipe's last."""
    size = recipe.optimisation.batch_size
    shuffled_epoch, order = -1, np.empty(0, dtype=np.int64)
    for step in range(first_step, recipe.steps):
        rows = []
        for sample in range(step * size, (step + 1) * size):
            epoch, position = divmod(sample, len(store))
            if epoch != shuffled_epoch:
                order = np.random.default_rng([recipe.seed, epoch]).permutation(len(store))
                shuffled_epoch = epoch
            person = int(order[position])
            rng = np.random.default_rng([recipe.seed, epoch, person])
            rows.append(_augmented_crop(store, person, recipe, rng))
        crops, keypoints, visible = zip(*rows, strict=True)
        yield TrainingBatch(np.stack(crops), np.stack(keypoints), np.stack(visible))


def _augmented_crop(
    store: SceneStore, person: int, recipe: Recipe, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    size, augmentation = recipe.model.input_size, recipe.augmentation
    padding = recipe.model.crop.padding
    center, scale = boxes_to_center_scale(store.bbox_xyxy[person : person + 1], size, padding)
    matrix = _random_matrix(center[0], scale[0], size, augmentation, rng)
    image = store.image(person)
    crop = cv2.warpAffine(image, matrix, (size.width, size.height), flags=cv2.INTER_LINEAR)
    labelled = store.keypoints[person]
    keypoints = labelled[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    visible = labelled[:, 2] > 0
    if rng.random() < augmentation.flip_probability:
        crop = crop[:, ::-1]
        keypoints[:, 0] = size.width - 1 - keypoints[:, 0]
        order = list(recipe.model.keypoints.flip_indices)
        keypoints, visible = keypoints[order], visible[order]
    crop = _random_light(np.ascontiguousarray(crop, dtype=np.uint8), augmentation, rng)
    return crop, keypoints.astype(np.float32), visible


def _random_matrix(
    center: NDArray[np.float32],
    scale: NDArray[np.float32],
    size: InputSize,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the (2, 3) map from image to crop pixels, turned, scaled and shifted at random."""
    turned = rng.random() < augmentation.rotation_probability
    angle = np.deg2rad(augmentation.rotation_degrees) * rng.uniform(-1, 1) * turned
    factor = size.width / (scale[0] * rng.uniform(*augmentation.scale))
    shift = rng.uniform(-1, 1, size=2) * augmentation.shift * scale
    rotation = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.array([size.width / 2, size.height / 2])
    return np.concatenate([rotation, (middle - rotation @ (center + shift))[:, None]], axis=1)


def _random_light(
    crop: NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change contrast about mid-grey, brightness, and each channel a little."""
    gain = 1 + augmentation.contrast * rng.uniform(-1, 1)
    channel_gain = gain * (1 + 0.3 * augmentation.contrast * rng.uniform(-1, 1, size=3))
    offset = 128 * (augmentation.brightness * rng.uniform(-1, 1) + 1 - channel_gain)
    table = np.arange(256)[:, None] * channel_gain + offset
    lookup = np.clip(table + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(crop, lookup[None]))
