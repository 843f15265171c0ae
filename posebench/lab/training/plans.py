"""What each training batch shows: persons, crops, flips and light, drawn from the seed alone.

Everything follows from the recipe's seed, the epoch, the person and the step, never from the
model: all arms of an experiment see the same data in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.boxes import BoxChange, changed_boxes
from posebench.lab.training.scenes import SceneStore
from posebench.networks.sizes import InputSize
from posebench.prediction.geometry import boxes_to_center_scale
from posebench.suites.recipe import Augmentation, Recipe

# Random numbers for one person in one epoch: turned or not, angle, scale, shift (2), mirrored or
# not, contrast, contrast of each channel (3), brightness.
_DRAWS = 11
# Keeps the sizes of steps apart from the draws of epochs.
_SIZES = 1


@dataclass(frozen=True)
class BatchPlan:
    """One batch of N crops of `size`, before any pixel is read.

    `persons` (N,) are rows of the scene store; `matrices` (N, 2, 3) map image to crop pixels, and
    mirror where the crop is mirrored. `keypoints` (N, K, 2) are in input pixels, `visible` (N, K)
    bool. A value v of channel c (BGR) becomes v · `gain` + `offset`, both (N, 3).
    """

    size: InputSize
    persons: NDArray[np.int64]
    matrices: NDArray[np.float64]
    keypoints: NDArray[np.float32]
    visible: NDArray[np.bool_]
    gain: NDArray[np.float64]
    offset: NDArray[np.float64]


def batch_plans(store: SceneStore, recipe: Recipe, first_step: int) -> Iterator[BatchPlan]:
    """Yield the plans of every step from `first_step` to the recipe's last."""
    batch = recipe.optimisation.batch_size
    boxes = changed_boxes(store.bbox_xyxy, BoxChange(recipe.augmentation.offset))
    places = {
        size: boxes_to_center_scale(boxes, size, recipe.model.crop.padding)
        for size in recipe.input_sizes
    }
    for step in range(first_step, recipe.steps):
        size = _size_of(recipe, step)
        persons, draws = _drawn(
            recipe.seed, len(store), np.arange(step * batch, (step + 1) * batch)
        )
        center, scale = (part[persons].astype(np.float64) for part in places[size])
        yield _plan(store, recipe, size, persons, draws, (center, scale))


def _size_of(recipe: Recipe, step: int) -> InputSize:
    sizes = recipe.input_sizes
    if len(sizes) == 1:
        return sizes[0]
    return sizes[int(np.random.default_rng([recipe.seed, step, _SIZES]).integers(len(sizes)))]


def _drawn(
    seed: int, count: int, samples: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the persons (N,) that come at these places of all epochs, and their draws (N, D)."""
    epochs, places = np.divmod(samples, count)
    persons, draws = np.empty(len(samples), np.int64), np.empty((len(samples), _DRAWS))
    for epoch in np.unique(epochs):
        rows = epochs == epoch
        order, table = _epoch(seed, int(epoch), count)
        persons[rows] = order[places[rows]]
        draws[rows] = table[persons[rows]]
    return persons, draws


@lru_cache(maxsize=2)
def _epoch(seed: int, epoch: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the order (P,) of persons in an epoch, and the draws (P, D) of each, in [0, 1)."""
    rng = np.random.default_rng([seed, epoch])
    return rng.permutation(count), rng.random((count, _DRAWS))


def _plan(
    store: SceneStore,
    recipe: Recipe,
    size: InputSize,
    persons: NDArray[np.int64],
    draws: NDArray[np.float64],
    place: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> BatchPlan:
    augmentation, udp = recipe.augmentation, recipe.model.crop.udp
    sides = np.array([size.width, size.height], dtype=np.float64)
    # Pixels from the first to the last column or row of the crop that the box's sides go to.
    extent = sides - 1 if udp else sides
    matrices = _matrices(place, extent, augmentation, draws)
    mirrored = draws[:, 5] < augmentation.flip_probability
    matrices[mirrored, 0] *= -1
    matrices[mirrored, 0, 2] += size.width - 1
    labelled = store.keypoints[persons]
    points = labelled[..., :2].astype(np.float64)
    keypoints = points @ matrices[:, :, :2].transpose(0, 2, 1) + matrices[:, None, :, 2]
    keypoints *= sides / extent
    visible = labelled[..., 2] > 0
    order = list(recipe.model.keypoints.flip_indices)
    keypoints[mirrored] = keypoints[mirrored][:, order]
    visible[mirrored] = visible[mirrored][:, order]
    gain, offset = _light(augmentation, draws)
    return BatchPlan(size, persons, matrices, keypoints.astype(np.float32), visible, gain, offset)


def _matrices(
    place: tuple[NDArray[np.float64], NDArray[np.float64]],
    extent: NDArray[np.float64],
    augmentation: Augmentation,
    draws: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the (N, 2, 3) maps from image to crop pixels, turned, scaled and shifted at random."""
    center, scale = place
    turned = draws[:, 0] < augmentation.rotation_probability
    angle = np.deg2rad(augmentation.rotation_degrees) * _signed(draws[:, 1]) * turned
    low, high = augmentation.scale
    factor = extent / (scale * (low + (high - low) * draws[:, 2:3]))
    shift = _signed(draws[:, 3:5]) * augmentation.shift * scale
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2)
    rotation = factor[:, :, None] * rotation
    moved = (rotation @ (center + shift)[:, :, None])[..., 0]
    return np.concatenate([rotation, (extent / 2 - moved)[..., None]], axis=2)


def _light(
    augmentation: Augmentation, draws: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Change contrast about mid-grey, brightness, and each channel a little."""
    gain = 1 + augmentation.contrast * _signed(draws[:, 6:7])
    gain = gain * (1 + 0.3 * augmentation.contrast * _signed(draws[:, 7:10]))
    offset = 128 * (augmentation.brightness * _signed(draws[:, 10:11]) + 1 - gain)
    return gain, offset


def _signed(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers of [0, 1) as numbers of [-1, 1)."""
    return 2 * draws - 1
