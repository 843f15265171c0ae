"""Recipes: everything that decides a training run, read from YAML and kept with its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from posebench.datasets.keypoints import COCO
from posebench.datasets.synthetic import LEVELS
from posebench.errors import SpecError, nearest
from posebench.files.records import record_from_mapping
from posebench.files.yaml_records import read_yaml
from posebench.networks.spec import ModelSpec, mapping_with_keypoints


@dataclass(frozen=True)
class TrainingData:
    """Synthetic scenes to train on."""

    level: str = "standard"
    scenes: int = 8000

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise SpecError(
                f"data: there is no level {self.level!r}.", hint=nearest(self.level, LEVELS)
            )
        _require(self.scenes >= 1, "data: scenes must be at least 1.")


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a crop; shift is a fraction of the crop's size."""

    rotation_degrees: float = 25.0
    rotation_probability: float = 0.6
    scale: tuple[float, float] = (0.875, 1.15)
    shift: float = 0.04
    flip_probability: float = 0.5
    brightness: float = 0.25
    contrast: float = 0.25

    def __post_init__(self) -> None:
        low, high = self.scale
        _require(0 < low <= high, "augmentation: scale must be two factors above 0, low and high.")
        _require(self.rotation_degrees >= 0, "augmentation: rotation_degrees must not be negative.")
        for name in ("rotation_probability", "shift", "flip_probability", "brightness", "contrast"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"augmentation: {name} must lie between 0 and 1.")


@dataclass(frozen=True)
class Optimisation:
    """AdamW with warm-up and cosine decay; `samples` counts crops seen, so pairs get equal data."""

    samples: int
    batch_size: int = 32
    learning_rate: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.02
    warmup: float = 0.04
    clip_norm: float = 5.0
    ema_decay: float = 0.998
    precision: Literal["bf16", "fp32"] = "bf16"
    simcc_beta: float = 10.0

    def __post_init__(self) -> None:
        if self.samples < self.batch_size or self.batch_size < 2:
            raise SpecError("A recipe needs batch_size >= 2 and at least one batch of samples.")
        for name in ("learning_rate", "clip_norm", "simcc_beta"):
            value = getattr(self, name)
            _require(0 < value < math.inf, f"optimisation: {name} must be above 0.")
        _require(
            0 <= self.weight_decay < math.inf, "optimisation: weight_decay must be at least 0."
        )
        for value in (*self.betas, self.warmup, self.ema_decay):
            _require(
                0 <= value < 1,
                "optimisation: betas, warmup and ema_decay must be at least 0 and below 1.",
            )


@dataclass(frozen=True)
class Recipe:
    """One training run. Models of the same `pair` differ in one factor only."""

    name: str
    pair: str
    model: ModelSpec
    optimisation: Optimisation
    data: TrainingData = field(default_factory=TrainingData)
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0
    evaluations: int = 10

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").replace("_", "").isalnum():
            raise SpecError(f"name {self.name!r} must be letters, digits, '-' and '_'.")
        _require(self.seed >= 0, "seed must not be negative.")
        _require(self.evaluations >= 1, "evaluations must be at least 1.")
        if self.model.keypoints.keypoints != COCO.keypoints:
            raise SpecError(
                "model: synthetic training scenes are labelled with COCO's 17 keypoints, not "
                f"with those of {self.model.keypoints.name!r}.",
                hint="Write `keypoints: coco`.",
            )
        if self.model.crop.udp:
            raise SpecError("model: training makes classic crops.", hint="Leave out `crop.udp`.")

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return self.optimisation.samples // self.optimisation.batch_size


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; raise `SpecError` naming the nearest valid key for an unknown one."""
    raw = read_yaml(path)
    if isinstance(raw.get("model"), dict):
        raw["model"] = mapping_with_keypoints(raw["model"])
    return record_from_mapping(Recipe, raw, where=str(path))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise SpecError(message)
