"""What tells a trained checkpoint from every other: recipe, data, sources and training code."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from posebench.datasets.images.hashes import images_sha256
from posebench.datasets.synthetic import renderer_name
from posebench.errors import CheckpointError
from posebench.files.hashing import content_key, sha256_of
from posebench.lab.training import TRAINING_VERSION
from posebench.suites.arms import Training
from posebench.suites.recipe import WEIGHT_SOURCES, Recipe
from posebench.suites.training_data import FolderData, TrainingData
from posebench.zoo import resolve

# What names a training, or says where its inputs lie.
_NAMES = frozenset({"name", "pair", "data", "initialise", "distillation"})


def training_keys(trainings: tuple[Training, ...]) -> dict[str, str]:
    """Return the key of each training by name; trainings of one key give one checkpoint.

    Raises `PosebenchError` for data and checkpoints that are not there.
    """
    keys: dict[str, str] = {}
    hashed = cache(data_sha256)  # once for all, and anew each time that keys are asked for
    for training in trainings:  # each after those that it takes weights from
        sources = {section: keys[name] for section, name in training.sources.items()}
        recipe = training.recipe
        keys[training.name] = training_key(recipe, sources, hashed(recipe.data))
    return keys


def training_key(recipe: Recipe, sources: Mapping[str, str], data: str | None = None) -> str:
    """Return the SHA-256 of everything that decides the weights.

    `sources` are the keys of the trainings that give `initialise` and `distillation` their weights;
    others are hashed. `data` is the hash of the recipe's data, made here by default. Values that
    are a recipe's defaults do not count, so that a key outlives a field that is added to recipes.
    """
    stated = {name: value for name, value in _stated(recipe).items() if name not in _NAMES}
    weights = {}
    for section, field in WEIGHT_SOURCES.items():
        settings = getattr(recipe, section)
        if settings is not None:
            others = {name: v for name, v in _stated(settings).items() if name != field}
            origin = sources.get(section) or _file_sha256(getattr(settings, field))
            weights[section] = {**others, field: origin}
    return content_key(
        {
            "recipe": stated,
            "data": data or data_sha256(recipe.data),
            "weights": weights,
            "training": TRAINING_VERSION,
        }
    )


def data_sha256(data: TrainingData) -> str:
    """Return a hash of what is trained on: annotations and images, not where they lie.

    Raises `PosebenchError` if data cannot be read.
    """
    if not isinstance(data, FolderData):
        return content_key({"renderer": renderer_name(), **_stated(data)})
    labels = data.labels
    chosen = {} if data.category is None else {"category": str(data.category)}
    return content_key(
        {
            **chosen,
            "annotations": labels.annotations_sha256,
            "images": images_sha256(labels.images),
            "limit": data.limit,
            "keypoints": _stated(labels.keypoints),
        }
    )


def _file_sha256(checkpoint: str) -> str:
    path = resolve(checkpoint)
    if not path.is_file():
        raise CheckpointError(f"{path}, whose weights a recipe takes, is no file.")
    return sha256_of(path)


def _stated(value: Any) -> Any:
    """Return a record as plain data without the fields that have their default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {"is": type(value).__name__}
        for each in dataclasses.fields(value):
            own = getattr(value, each.name)
            if own != _default(each):
                plain[each.name] = _stated(own)
        return plain
    if isinstance(value, Mapping):
        return {str(key): _stated(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_stated(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def _default(field: dataclasses.Field[Any]) -> Any:
    """Return the default of a field, or what equals nothing if it has none."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
