"""What a training run needs to go on exactly where it stopped, and its file."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from posebench.errors import TrainingError
from posebench.files.records import mapping_from_record
from posebench.files.writing import put_when_written
from posebench.lab.training.initial_weights import initialise
from posebench.networks.heads import add_learned_loss
from posebench.networks.model import PoseModel, build_model
from posebench.suites.recipe import Recipe

Curve = list[dict[str, Any]]
_DAMAGED = (
    OSError,
    EOFError,
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    pickle.UnpicklingError,
)


@dataclass
class TrainingState:
    """The model in training, its averaged weights, the optimiser, and how far they are."""

    model: PoseModel
    average: PoseModel
    optimiser: torch.optim.Optimizer
    step: int = 0
    cpu_seconds: float = 0.0


def state_path(recipe: Recipe, out: Path) -> Path:
    """Return where a run that is not finished keeps its state."""
    return out / f"{recipe.name}.state"


def is_resumable(recipe: Recipe, out: Path) -> bool:
    """Tell whether an unfinished run of this name has left its state in `out`."""
    return state_path(recipe, out).is_file()


def new_state(recipe: Recipe) -> TrainingState:
    """Return the state before the first step; weights come from the recipe's seed alone."""
    model = _model(recipe)
    initialise(model, recipe.seed)
    average = _model(recipe)
    average.load_state_dict(model.state_dict())
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimisation = recipe.optimisation
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": optimisation.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=optimisation.learning_rate,
        betas=optimisation.betas,
    )
    return TrainingState(model.train(), average.eval(), optimiser)


def _model(recipe: Recipe) -> PoseModel:
    """Return the network with what its loss learns, which is averaged and saved as it is."""
    model = build_model(recipe.model)
    add_learned_loss(recipe.model.head, model.head)
    return model


def save_state(recipe: Recipe, state: TrainingState, curve: Curve, path: Path) -> None:
    """Write everything by way of a temporary name, so that a kill leaves the previous state."""
    saved = {
        "recipe": _identity(recipe),
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "step": state.step,
        "cpu_seconds": state.cpu_seconds,
        "curve": json.dumps(curve),
    }
    with put_when_written(path) as temporary:
        torch.save(saved, temporary)


def restore_state(recipe: Recipe, state: TrainingState, path: Path) -> Curve:
    """Fill `state` from the file of an interrupted run, if there is one; return its curve so far.

    Raises `TrainingError` if the file is damaged or of another recipe.
    """
    if not path.is_file():
        return []
    hint = f"Remove it to start from the beginning, or choose another folder than {path.parent}."
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        same = saved["recipe"] == _identity(recipe)
        curve = _fill(state, saved) if same else []
    except _DAMAGED as error:
        raise TrainingError(
            f"{path}, the state of an interrupted run, is damaged ({type(error).__name__}).",
            hint=hint,
        ) from None
    if not same:
        raise TrainingError(f"{path} belongs to another recipe of the same name.", hint=hint)
    return curve


def _fill(state: TrainingState, saved: Mapping[str, Any]) -> Curve:
    curve: Curve = json.loads(saved["curve"])
    state.model.load_state_dict(saved["model"])
    state.average.load_state_dict(saved["average"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.step, state.cpu_seconds = int(saved["step"]), float(saved["cpu_seconds"])
    return curve


def _identity(recipe: Recipe) -> str:
    return json.dumps(mapping_from_record(recipe), sort_keys=True)
