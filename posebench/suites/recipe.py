"""Recipes: everything that decides a training run, read from YAML and kept with its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from posebench.datasets.keypoints import COCO
from posebench.errors import SpecError
from posebench.files.inputs import in_home, is_there
from posebench.files.records import record_from_mapping
from posebench.files.yaml_records import read_yaml
from posebench.networks.codecs import SimccCodec
from posebench.networks.loss_settings import LossSettings
from posebench.networks.sizes import InputSize
from posebench.networks.spec import ModelSpec, mapping_with_keypoints
from posebench.suites.training_data import RenderedData, TrainingData

# Sections of a recipe that take the weights of a checkpoint, and the field that names it.
WEIGHT_SOURCES = {"initialise": "checkpoint", "distillation": "teacher"}
# The same of all files and folders that a recipe reads.
SOURCES = {"data": "folder", **WEIGHT_SOURCES}
SMALLEST_FACTOR, LARGEST_FACTOR = 0.25, 4.0


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a crop; `shift` is a fraction of the crop's size.

    `offset` (x, y) moves every person's box by these fractions of its sides, before anything
    random: trained so, a model expects people beside the middle of its crops. Crops are mirrored
    after that, so that people lie on either side, as in a flip test.
    """

    rotation_degrees: float = 25.0
    rotation_probability: float = 0.6
    scale: tuple[float, float] = (0.875, 1.15)
    shift: float = 0.04
    flip_probability: float = 0.5
    brightness: float = 0.25
    contrast: float = 0.25
    offset: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        low, high = self.scale
        _require(0 < low <= high, "augmentation: scale must be two factors above 0, low and high.")
        _require(self.rotation_degrees >= 0, "augmentation: rotation_degrees must not be negative.")
        for name in ("rotation_probability", "shift", "flip_probability", "brightness", "contrast"):
            value = getattr(self, name)
            _require(0 <= value <= 1, f"augmentation: {name} must lie between 0 and 1.")
        _require(
            all(abs(part) <= 1 for part in self.offset),
            "augmentation: offset must lie between -1 and 1.",
        )


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

    def __post_init__(self) -> None:
        if self.samples < self.batch_size or self.batch_size < 2:
            raise SpecError("A recipe needs batch_size >= 2 and at least one batch of samples.")
        for name in ("learning_rate", "clip_norm"):
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
class Initialisation:
    """Weights to start from: those of `checkpoint`, or its backbone's alone.

    `checkpoint` is any file that posebench loads, a zoo id or the name of an embedded checkpoint.
    """

    checkpoint: str
    part: Literal["whole", "backbone"] = "whole"


@dataclass(frozen=True)
class Distillation:
    """A teacher, of the same outputs, whose answers are learned beside the labels.

    The loss is (1 - `weight`) times that of the labels plus `weight` times that of the teacher.
    """

    teacher: str
    weight: float = 0.5

    def __post_init__(self) -> None:
        _require(0 <= self.weight <= 1, "distillation: weight must lie between 0 and 1.")


@dataclass(frozen=True)
class Recipe:
    """One training run.

    `train_sizes` are factors of the model's input size; each batch is cut at one of them.
    `bins` says where SimCC's lie: at equal distances, or at quantiles of the training coordinates.
    `test_sizes` are further factors: after training, a checkpoint is written for each, with
    BatchNorm's statistics of that size. Recipes of the same `pair` differ in one factor only.
    """

    name: str
    model: ModelSpec
    optimisation: Optimisation
    data: TrainingData = field(default_factory=RenderedData)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossSettings = field(default_factory=LossSettings)
    bins: Literal["even", "quantiles"] = "even"
    train_sizes: tuple[float, ...] = (1.0,)
    test_sizes: tuple[float, ...] = ()
    initialise: Initialisation | None = None
    distillation: Distillation | None = None
    seed: int = 0
    evaluations: int = 10
    pair: str | None = None

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").replace("_", "").isalnum():
            raise SpecError(f"name {self.name!r} must be letters, digits, '-' and '_'.")
        _require(self.seed >= 0, "seed must not be negative.")
        _require(self.evaluations >= 1, "evaluations must be at least 1.")
        _require(len(self.train_sizes) > 0, "train_sizes must hold at least one factor.")
        for name in ("train_sizes", "test_sizes"):
            factors = getattr(self, name)
            _require(len(set(factors)) == len(factors), f"{name} lists a factor twice.")
            _require(
                all(SMALLEST_FACTOR <= factor <= LARGEST_FACTOR for factor in factors),
                f"{name} must lie between {SMALLEST_FACTOR} and {LARGEST_FACTOR}.",
            )
        _require(1.0 not in self.test_sizes, "test_sizes: 1.0 is the checkpoint itself.")
        rendered = isinstance(self.data, RenderedData)
        if rendered and self.model.keypoints.keypoints != COCO.keypoints:
            raise SpecError(
                "model: synthetic training scenes are labelled with COCO's 17 keypoints, not "
                f"with those of {self.model.keypoints.name!r}.",
                hint="Write `keypoints: coco`.",
            )
        if self.bins == "quantiles" and not isinstance(self.model.codec, SimccCodec):
            raise SpecError("bins: only a SimCC codec has bins at quantiles.")
        if self.distillation is not None and self.train_sizes != (1.0,):
            raise SpecError(
                "distillation: a teacher answers at one size only.", hint="Leave out train_sizes."
            )

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return self.optimisation.samples // self.optimisation.batch_size

    @property
    def input_sizes(self) -> tuple[InputSize, ...]:
        """The sizes of batches, in the order of `train_sizes`."""
        return tuple(self.model.input_size.scaled(factor) for factor in self.train_sizes)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; its files and folders are meant relative to the recipe's own folder.

    Raises `SpecError` naming the nearest valid key for an unknown one.
    """
    return recipe_from_mapping(read_yaml(path), where=str(path), folder=path.parent)


def recipe_from_mapping(mapping: Mapping[str, Any], *, where: str, folder: Path) -> Recipe:
    """Build a recipe from plain data, in which files and folders are relative to `folder`.

    A model that names no `keypoints` gets those of its data. Raises `SpecError` if a value does not
    fit.
    """
    plain = {
        key: dict(value) if isinstance(value, Mapping) else value for key, value in mapping.items()
    }
    for section, key in (
        ("data", "folder"),
        ("data", "keypoints"),
        ("model", "keypoints"),
        *WEIGHT_SOURCES.items(),
    ):
        if isinstance(plain.get(section), dict) and isinstance(plain[section].get(key), str):
            beside = folder / in_home(plain[section][key])
            plain[section][key] = str(beside) if is_there(beside) else plain[section][key]
    # Recipes of version 0.1 have the settings of losses among those of the optimiser.
    optimisation = plain.get("optimisation")
    if isinstance(optimisation, dict) and "simcc_beta" in optimisation:
        plain["loss"] = {"beta": optimisation.pop("simcc_beta"), **plain.get("loss", {})}
    model = plain.get("model")
    if not isinstance(model, dict):
        return record_from_mapping(Recipe, plain, where=where)
    plain["model"] = mapping_with_keypoints(model)
    recipe = record_from_mapping(Recipe, plain, where=where)
    if "keypoints" in model:
        return recipe
    return replace(recipe, model=replace(recipe.model, keypoints=recipe.data.keypoint_set))


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise SpecError(message)
