"""Trainings are known by recipe and `TRAINING_VERSION`: their weights may move with it alone."""

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

from posebench.lab.training import TRAINING_VERSION, Recipe
from posebench.lab.training.scenes import SceneStore
from posebench.networks.model import PoseModel
from posebench.suites.recipe import Augmentation

# The losses of four steps and the size of the averaged weights, by version and what is trained.
NUMBERS: dict[int, dict[str, list[float]]] = {
    1: {
        "heatmap": [4.852908, 4.67508, 4.637138, 4.620173, 1976.255981],
        "simcc": [5.619312, 5.521533, 5.343762, 5.390592, 1554.271851],
        "regression": [1.054458, 0.982491, 0.938754, 0.958572, 1465.220703],
        "rle": [6.918068, 6.474574, 6.229108, 6.291252, 1564.160522],
        "several sizes": [4.833773, 4.766695, 4.676428, 4.597513, 1975.70752],
        "quantiles": [5.17206, 5.019039, 4.973962, 5.011438, 1554.034058],
    }
}


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
    }


def size_of_weights(model: PoseModel) -> dict[str, float]:
    with torch.no_grad():
        return {"size": float(sum(weight.abs().sum() for weight in model.parameters()))}


@pytest.mark.parametrize("name", recipes())
def test_other_weights_ask_for_another_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    recipe, store = recipes()[name], made_up_store()
    outcome = run(monkeypatch, store, recipe, tmp_path, evaluate=size_of_weights)
    curve: Any = json.loads(outcome.curve.read_text(encoding="utf-8"))["curve"]
    found = [*(point["loss"] for point in curve), outcome.metrics["size"]]
    noted = NUMBERS.get(TRAINING_VERSION, {}).get(name)
    assert noted == pytest.approx(found, rel=1e-3), (
        "A recipe no longer gives the weights that it gave. If that is meant, raise"
        " TRAINING_VERSION of lab/training/loop.py, so that all is trained again, and note"
        f" {[round(number, 6) for number in found]} here."
    )
