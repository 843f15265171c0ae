"""What a trained checkpoint says about its making. Paths are cut to names; hashes say the rest."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from posebench.files.records import mapping_from_record
from posebench.lab.training.scenes import SceneStore
from posebench.lab.training.starting_points import Origin, Teacher
from posebench.lab.training.state import TrainingState
from posebench.prediction.devices import device_text
from posebench.suites.recipe import Recipe
from posebench.suites.training_data import FolderData


def portable(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as plain data in which files and folders are mere names.

    What a folder's keypoints are is left out, since the model's say it, and so is its validation,
    which moves no weight: it stands beside the scores (`scored_on`).
    """
    data = recipe.data
    if isinstance(data, FolderData):
        data = replace(data, folder=Path(data.folder).resolve().name)
    initialise, distillation = recipe.initialise, recipe.distillation
    if initialise is not None:
        initialise = replace(initialise, checkpoint=Path(initialise.checkpoint).name)
    if distillation is not None:
        distillation = replace(distillation, teacher=Path(distillation.teacher).name)
    plain = mapping_from_record(
        replace(recipe, data=data, initialise=initialise, distillation=distillation)
    )
    for field in ("keypoints", "validation"):
        plain["data"].pop(field, None)
    if plain["data"].get("category", "") is None:  # as recipes were before they had one
        del plain["data"]["category"]
    return plain


def scored_on(recipe: Recipe) -> dict[str, str]:
    """Return the split of a folder that a model is scored on in training; nothing if rendered."""
    data = recipe.data
    return {"validation": data.validation} if isinstance(data, FolderData) else {}


def origins(
    recipe: Recipe, store: SceneStore, initial: Origin | None, teacher: Teacher | None
) -> dict[str, Any]:
    """Return everything that decides a training run: its recipe, and the hashes of its files."""
    return {
        "recipe": portable(recipe),
        "data": {"sha256": store.sha256, "persons": len(store)},
        "initialise": None if initial is None else asdict(initial),
        "teacher": None if teacher is None else asdict(teacher.origin),
    }


def identity(made_of: dict[str, Any]) -> str:
    """Return one text that differs between runs that may differ."""
    return json.dumps(made_of, sort_keys=True)


def costs(recipe: Recipe, state: TrainingState, device: torch.device) -> dict[str, Any]:
    """Return how a run was made, and what it took, evaluations apart."""
    crops = state.step * recipe.optimisation.batch_size
    return {
        "made_with": f"posebench train, torch {torch.__version__}",
        "device": device_text(device),
        "threads": torch.get_num_threads(),
        "cpu_seconds": round(state.cpu_seconds),
        "wall_seconds": round(state.wall_seconds),
        "crops_per_second": round(crops / max(state.wall_seconds, 1e-9), 1),
    }
