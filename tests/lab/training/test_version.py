"""Trainings are known by recipe and `TRAINING_VERSION`: their weights may move with it alone.

The recipes below are of every head, kind of bins and kind of loss, of several sizes, of a teacher
and of initial weights, in fp32 on the CPU. Neither bf16 nor the step of a GPU is covered.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tiny_runs import run, store_of, tiny_recipe

from posebench.checkpoints.native import save_checkpoint
from posebench.lab.training import TRAINING_VERSION, Recipe
from posebench.lab.training.initial_weights import initialise
from posebench.lab.training.scenes import SceneStore
from posebench.networks.loss_settings import LossSettings
from posebench.networks.model import PoseModel, build_model
from posebench.suites.recipe import Augmentation, Distillation, Initialisation

TEACHER = "teacher.safetensors"
# The losses of four steps and the size of the averaged weights, by version and what is trained.
NUMBERS: dict[int, dict[str, list[float]]] = {
    1: {
        "heatmap": [4.852908, 4.67508, 4.637138, 4.620173, 1976.255981],
        "simcc": [5.619312, 5.521533, 5.343762, 5.390592, 1554.271851],
        "regression": [1.054458, 0.982491, 0.938754, 0.958572, 1465.220703],
        "rle": [6.918068, 6.474574, 6.229108, 6.291252, 1564.160522],
        "several sizes": [4.833773, 4.766695, 4.676428, 4.597513, 1975.70752],
        "quantiles": [5.17206, 5.019039, 4.973962, 5.011438, 1554.034058],
        "smoothed": [2.848974, 2.677019, 2.572058, 2.58705, 1553.912964],
        "focal": [9.568127, 9.641188, 9.395492, 9.533218, 1554.409424],
        "smooth L1": [0.320489, 0.284682, 0.265856, 0.273908, 1465.375854],
        "taught": [2.447201, 2.365732, 2.352859, 2.350939, 1976.137695],
        "taught simcc": [4.963496, 4.829679, 4.645323, 4.627316, 1554.085205],
        "begun": [4.855309, 4.670427, 4.634539, 4.614798, 1960.611206],
    }
}
# How near they must be. Numbers of threads change nothing; a processor without vector instructions
# agrees to 1e-6 before AdamW's first step, which makes up to 6e-4 of it, 2e-5 in the weights.
NEAR = (5e-5, 1e-3, 1e-3, 1e-3, 1e-4)


def made_up_store() -> SceneStore:
    """Return smooth noise with people on it, which no renderer decides."""
    rng = np.random.default_rng(0)
    images, persons = [], []
    for scene in range(8):
        noise = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        images.append(cv2.resize(noise, (160, 120), interpolation=cv2.INTER_LINEAR))
        corner, sides = rng.uniform(5, 40, 2), rng.uniform(40, 75, 2)
        points = corner + rng.uniform(0, 1, (17, 2)) * sides
        keypoints = np.c_[points, rng.integers(0, 3, 17)]
        persons.append((scene, SimpleNamespace(bbox_xywh=[*corner, *sides], keypoints=keypoints)))
    return store_of(images, persons)


def recipes() -> dict[str, Recipe]:
    plain = {name: tiny_recipe(name, steps=4, evaluations=4) for name in
             ("heatmap", "simcc", "regression", "rle")}  # fmt: skip
    beside = Augmentation(offset=(0.2, -0.1), rotation_degrees=40.0)
    return {
        **plain,
        "several sizes": replace(plain["heatmap"], train_sizes=(1.0, 2.0), augmentation=beside),
        "quantiles": replace(plain["simcc"], bins="quantiles"),
        "smoothed": replace(plain["simcc"], loss=LossSettings(targets="gaussian", smoothing=0.1)),
        "focal": replace(plain["simcc"], loss=LossSettings(targets="one-hot", focal=2.0)),
        "smooth L1": replace(plain["regression"], loss=LossSettings(smooth_l1_beta=1.0)),
        "taught": replace(plain["heatmap"], distillation=Distillation(TEACHER, weight=0.5)),
        "taught simcc": replace(plain["simcc"], distillation=Distillation(TEACHER, weight=0.5)),
        "begun": replace(plain["heatmap"], initialise=Initialisation(TEACHER, "backbone")),
    }


def with_teacher(recipe: Recipe, folder: Path) -> Recipe:
    """Return a recipe that takes weights from a file: a made-up network of its own kind."""
    path = folder / TEACHER
    network = build_model(recipe.model)
    initialise(network, seed=1)
    save_checkpoint(path, network, {})
    if recipe.distillation is not None:
        return replace(recipe, distillation=replace(recipe.distillation, teacher=str(path)))
    if recipe.initialise is not None:
        return replace(recipe, initialise=replace(recipe.initialise, checkpoint=str(path)))
    return recipe


def size_of_weights(model: PoseModel) -> dict[str, float]:
    with torch.no_grad():
        return {"size": float(sum(weight.abs().sum() for weight in model.parameters()))}


@pytest.mark.parametrize("name", recipes())
def test_other_weights_ask_for_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    recipe, store = with_teacher(recipes()[name], tmp_path), made_up_store()
    outcome = run(monkeypatch, store, recipe, tmp_path, evaluate=size_of_weights)
    curve: Any = json.loads(outcome.curve.read_text(encoding="utf-8"))["curve"]
    found = [*(point["loss"] for point in curve), outcome.metrics["size"]]
    noted = NUMBERS.get(TRAINING_VERSION, {}).get(name, [])
    near = [pytest.approx(number, rel=rel) for number, rel in zip(found, NEAR, strict=True)]
    assert noted == near, (
        "A recipe no longer gives the weights that it gave. If that is meant, raise"
        " TRAINING_VERSION of lab/training/loop.py, so that all is trained again, and note"
        f" {[round(number, 6) for number in found]} here."
    )
