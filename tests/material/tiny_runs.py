"""Recipes and scenes small enough to train on in a second, and how tests run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from posebench.datasets.synthetic import render_scene
from posebench.lab.training import Recipe, TrainingOutcome, loop, sized, train
from posebench.lab.training.scenes import SceneStore
from posebench.networks.codecs import Codec, HeatmapCodec, RegressionCodec, SimccCodec
from posebench.networks.model import PoseModel
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec
from posebench.suites.recipe import Augmentation, Optimisation
from posebench.suites.training_data import RenderedData

SIZE = InputSize(64, 48)
STILL = Augmentation(
    rotation_probability=0.0,
    scale=(1.0, 1.0),
    shift=0.0,
    flip_probability=0.0,
    brightness=0.0,
    contrast=0.0,
)


def tiny_recipe(paradigm: str, steps: int = 12, evaluations: int = 3) -> Recipe:
    maps = {"deconv_channels": (8, 8), "deconv_kernels": (4, 4)}
    heads: dict[str, tuple[HeadSpec, Codec]] = {
        "heatmap": (
            HeadSpec("heatmap", maps),
            HeatmapCodec(decoder="dark", sigma=1.25, blur_kernel=7),
        ),
        "simcc": (HeadSpec("simcc"), SimccCodec(sigma=(5.6, 5.6), normalize=False)),
        "regression": (HeadSpec("regression"), RegressionCodec()),
        "rle": (HeadSpec("rle"), RegressionCodec()),
    }
    head, codec = heads[paradigm]
    options = {"depth": 18, "base_channels": 4, "out_stage": 3}
    return Recipe(
        name=f"tiny-{paradigm}",
        pair="tiny",
        model=ModelSpec(BackboneSpec("resnet", options), head, codec, SIZE),
        optimisation=Optimisation(samples=8 * steps, batch_size=8, precision="fp32"),
        data=RenderedData(scenes=8),
        evaluations=evaluations,
    )


def without_augmentation(recipe: Recipe) -> Recipe:
    return replace(recipe, augmentation=STILL)


def rendered_store(scenes: int) -> SceneStore:
    """Render scenes that no shipped set uses, without the cache."""
    rendered = [render_scene(5, index, "standard") for index in range(scenes)]
    return store_of(
        [scene.image for scene in rendered],
        [(i, person) for i, scene in enumerate(rendered) for person in scene.persons],
    )


def store_of(images: list[NDArray[Any]], persons: list[tuple[int, Any]]) -> SceneStore:
    sizes = np.array([image.size for image in images])
    boxes = np.array([person.bbox_xywh for _, person in persons], dtype=np.float32)
    boxes[:, 2:] += boxes[:, :2]
    return SceneStore(
        pixels=np.concatenate([image.ravel() for image in images]),
        shapes=np.array([image.shape[:2] for image in images]),
        offsets=np.cumsum(sizes) - sizes,
        scene=np.array([scene for scene, _ in persons]),
        keypoints=np.stack([person.keypoints for _, person in persons]).astype(np.float32),
        bbox_xyxy=boxes,
    )


class StoppedError(Exception):
    """Stands for whatever ends a run early."""


def constant_score(_model: PoseModel) -> dict[str, float]:
    return {"AP": 0.25}


def silent(_label: str, _done: int, _total: int) -> None:
    return


def stop_at(step: int) -> Callable[[str, int, int], None]:
    def progress(label: str, done: int, _total: int) -> None:
        if label == "train" and done == step:
            raise StoppedError

    return progress


def run(
    monkeypatch: pytest.MonkeyPatch,
    store: SceneStore,
    recipe: Recipe,
    out: Path,
    *,
    evaluate: Callable[[PoseModel], dict[str, float]] = constant_score,
    progress: Callable[[str, int, int], None] = silent,
) -> TrainingOutcome:
    """Train on `store` in place of the recipe's own rendered scenes."""
    for module in (loop, sized):
        monkeypatch.setattr(module, "training_scenes", lambda _recipe, _progress: store)
    # Few crops for BatchNorm's statistics: toy models need no exact ones.
    few = partial(sized.reestimate_batchnorm, crops=16)
    monkeypatch.setattr(loop, "reestimate_batchnorm", few)
    return train(recipe, out, evaluate, progress)
