"""The people that probes read: crops as a network takes them, and labels in their pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.datasets.boxes import instances_at
from posebench.datasets.coco import Instances, PoseDataset, ground_truth_instances
from posebench.datasets.keypoints import KeypointSet
from posebench.networks.spec import ModelSpec
from posebench.prediction.crop_batches import CropRequest, crop_batches
from posebench.prediction.execution import Parallelism
from posebench.prediction.geometry import boxes_to_center_scale
from posebench.suites.probes import ProbeSettings

# Crops that are read together.
_BATCH = 16


@dataclass(frozen=True, eq=False)
class People:
    """N people of a data set in the crops of one network.

    `crops` (N, 3, H, W) are normalised, `pixels` (N, H, W, 3) are BGR; `image` (N,) counts the
    images that they are on from 0. `keypoints` (N, K, 2) are in input pixels, x then y; `labelled`
    (N, K) are those that are visible or occluded, and inside of the crop; `sides` (N,) is the
    longer side of each box in input pixels.
    """

    crops: Tensor
    pixels: NDArray[np.uint8]
    image: NDArray[np.int64]
    keypoints: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    sides: NDArray[np.float64]
    keypoint_set: KeypointSet

    def __len__(self) -> int:
        return len(self.crops)

    @cached_property
    def images(self) -> int:
        """The number of images."""
        return int(self.image.max()) + 1

    def batches(self) -> Iterator[slice]:
        """Yield which people are read together."""
        for start in range(0, len(self), _BATCH):
            yield slice(start, min(start + _BATCH, len(self)))


def load_people(dataset: PoseDataset, spec: ModelSpec, settings: ProbeSettings) -> People:
    """Return annotated people as a network of `spec` sees them, in the order of their images.

    The same data and settings give the same people to every network. Raises `DataError` if an image
    cannot be read.
    """
    chosen = _chosen(ground_truth_instances(dataset), settings)
    size = spec.input_size
    request = CropRequest(size, size, spec.crop)
    cpu, parallelism = torch.device("cpu"), Parallelism(batch_size=_BATCH)
    with crop_batches(dataset, chosen, parallelism, requests=[], device=cpu) as batches:
        crops = torch.cat([make().inputs(request)[0] for make in batches])
    assert chosen.keypoints is not None, "annotated people have keypoints"
    center, scale = boxes_to_center_scale(chosen.bbox_xyxy, size, spec.crop.padding)
    sides = np.array([size.width, size.height])
    corner = (center - scale / 2).astype(np.float64)
    places = (chosen.keypoints[..., :2] - corner[:, None]) / scale[:, None] * sides
    inside = ((places >= 0) & (places < sides)).all(axis=-1)
    extent = (chosen.bbox_xyxy[:, 2:] - chosen.bbox_xyxy[:, :2]) / scale * sides
    return People(
        crops=crops,
        pixels=_pixels(crops, spec),
        image=np.unique(chosen.image_index, return_inverse=True)[1].astype(np.int64),
        keypoints=places.astype(np.float64),
        labelled=(chosen.keypoints[..., 2] > 0) & inside,
        sides=extent.max(axis=1).astype(np.float64),
        keypoint_set=dataset.keypoints,
    )


def _chosen(instances: Instances, settings: ProbeSettings) -> Instances:
    """Return up to as many people as asked for, in the order in which batches take them."""
    count = len(instances)
    rng = np.random.default_rng(settings.seed)
    rows = np.sort(rng.permutation(count)[: settings.people])
    rows = rows[np.argsort(instances.image_index[rows], kind="stable")]
    return instances_at(instances, rows)


def _pixels(crops: Tensor, spec: ModelSpec) -> NDArray[np.uint8]:
    """Return the pixels (N, H, W, 3) BGR that were normalised."""
    mean, std = (np.array(values) for values in (spec.crop.mean, spec.crop.std))
    values = crops.numpy().transpose(0, 2, 3, 1) * std + mean
    ordered = values[..., ::-1] if spec.crop.channels == "rgb" else values
    return np.ascontiguousarray(np.rint(ordered).clip(0, 255).astype(np.uint8))
