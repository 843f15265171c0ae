"""Training scenes of a folder in COCO's layout: its images are decoded once, and kept small."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset, ground_truth_instances
from posebench.datasets.images.files import dataset_image
from posebench.datasets.images.hashes import images_sha256
from posebench.datasets.keypoints import keypoints_to_score
from posebench.datasets.requests import load_pose_dataset
from posebench.errors import PosebenchError, TrainingError
from posebench.files.cache import cached_folder
from posebench.files.hashing import content_key
from posebench.lab.training.scenes import (
    Progress,
    SceneStore,
    SceneWriter,
    open_scenes,
    rendered_scenes,
)
from posebench.networks.sizes import InputSize
from posebench.prediction.geometry import boxes_to_center_scale
from posebench.suites.recipe import Recipe
from posebench.suites.training_data import FolderData, RenderedData

FINEST = 2.5
"""Pixels of a kept image, at most, for one pixel of the crop of the smallest person on it."""


def training_scenes(recipe: Recipe, progress: Progress) -> SceneStore:
    """Return the scenes that a recipe trains on; made on first use, then kept.

    Raises `TrainingError` if a folder's keypoints are not those of the model, or if nobody on its
    images has any.
    """
    if isinstance(recipe.data, RenderedData):
        return rendered_scenes(recipe.data, progress)
    dataset = load_pose_dataset(recipe.data.request(), lambda _done, _total: None)
    _check_keypoints(recipe, dataset)
    instances = ground_truth_instances(dataset)
    if len(instances) == 0:
        raise TrainingError(f"No person of {recipe.data.folder} has labelled keypoints.")
    return _decoded_scenes(recipe, recipe.data, dataset, instances, progress)


def _check_keypoints(recipe: Recipe, dataset: PoseDataset) -> None:
    try:
        order = keypoints_to_score(recipe.model.keypoints, dataset.keypoints)
    except PosebenchError as error:
        raise TrainingError(f"{recipe.name}: {error.message}", hint=_LEAVE_OUT) from None
    if order is not None:
        raise TrainingError(
            f"{recipe.name}: the model predicts {len(recipe.model.keypoints)} keypoints, the data"
            f" label {len(order)} of them.",
            hint=_LEAVE_OUT,
        )


_LEAVE_OUT = "Leave out model.keypoints: the model then predicts what the data label."


def _decoded_scenes(
    recipe: Recipe, data: FolderData, dataset: PoseDataset, people: Instances, progress: Progress
) -> SceneStore:
    images = images_sha256([image.path for image in dataset.images])
    content = {"annotations": dataset.annotations_sha256, "images": images, "limit": data.limit}
    if data.category is not None:
        content["category"] = dataset.category.id
    shapes = _kept_shapes(recipe, dataset, people)
    sha256 = content_key(content)
    kept = content_key({"data": sha256, "shapes": shapes.tolist(), "opencv": cv2.__version__})
    folder = cached_folder(
        f"training-{Path(data.folder).resolve().name}-{kept[:16]}",
        lambda work: _decode(work, dataset, people, shapes, progress),
    )
    return open_scenes(folder, sha256)


def _kept_shapes(recipe: Recipe, dataset: PoseDataset, people: Instances) -> NDArray[np.int64]:
    """Return the height and width (S, 2) that each image is kept at; none is enlarged."""
    size = _largest_size(recipe)
    _, scale = boxes_to_center_scale(people.bbox_xyxy, size, recipe.model.crop.padding)
    wanted = FINEST * size.height / np.maximum(scale[:, 1].astype(np.float64), 1)
    factor = np.zeros(len(dataset.images))
    np.maximum.at(factor, people.image_index, wanted)
    # Nobody is on the others, so that one pixel of them is enough.
    sides = np.array([[image.height, image.width] for image in dataset.images])
    kept = np.rint(sides * np.minimum(factor, 1)[:, None])
    shapes: NDArray[np.int64] = np.maximum(kept, 1).astype(np.int64)
    return shapes


def _largest_size(recipe: Recipe) -> InputSize:
    return max(recipe.input_sizes, key=lambda size: size.height)


def _decode(
    folder: Path,
    dataset: PoseDataset,
    people: Instances,
    shapes: NDArray[np.int64],
    progress: Progress,
) -> None:
    writer = SceneWriter(folder)
    for index, record in enumerate(dataset.images):
        height, width = (int(side) for side in shapes[index])
        empty = np.zeros((1, 1, 3), dtype=np.uint8)
        image = dataset_image(dataset, index) if height > 1 else empty
        if (height, width) != (record.height, record.width) and height > 1:
            shrunk = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            image = shrunk.astype(np.uint8, copy=False)
        writer.add(image)
        progress(index + 1, len(dataset.images))
    full = np.array([[image.width, image.height] for image in dataset.images], dtype=np.float64)
    factors = (shapes[:, ::-1] / full)[people.image_index]
    assert people.keypoints is not None
    keypoints = people.keypoints.astype(np.float64)
    keypoints[..., :2] = _shrunk(keypoints[..., :2], factors[:, None])
    corners = people.bbox_xyxy.reshape(-1, 2, 2).astype(np.float64)
    boxes = _shrunk(corners, factors[:, None]).reshape(-1, 4)
    writer.finish(people.image_index, keypoints, boxes)


def _shrunk(points: NDArray[np.float64], factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points of an image in pixels of the shrunk one; pixel 0 is centred on 0."""
    moved: NDArray[np.float64] = (points + 0.5) * factors - 0.5
    return moved
