"""What a training run needs to go on exactly where it stopped, and its file."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from posebench.errors import LostStateError
from posebench.files.writing import put_when_written
from posebench.lab.training.initial_weights import initialise
from posebench.lab.training.starting_points import Origin, take_weights
from posebench.networks.heads import add_learned_loss
from posebench.networks.model import PoseModel, build_model
from posebench.suites.recipe import Recipe

CPU = torch.device("cpu")
Curve = list[dict[str, Any]]
# Settings of the optimiser that belong to the device and not to the run.
_OF_DEVICE = ("lr", "capturable")
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
    """The model in training, its averaged weights, the optimiser, and how far they are.

    `initial` is the checkpoint that the weights were taken from, if any. The optimiser's learning
    rate is one tensor on the device, so that a recorded step can be told another.
    """

    model: PoseModel
    average: PoseModel
    optimiser: torch.optim.Optimizer
    initial: Origin | None = None
    step: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0


def state_path(recipe: Recipe, out: Path) -> Path:
    """Return where a run that is not finished keeps its state."""
    return out / f"{recipe.name}.state"


def is_resumable(recipe: Recipe, out: Path) -> bool:
    """Tell whether an unfinished run of this name has left its state in `out`."""
    return state_path(recipe, out).is_file()


def new_state(recipe: Recipe, device: torch.device = CPU) -> TrainingState:
    """Return the state before the first step.

    Weights come from the recipe's seed alone, then from the checkpoint that it names.
    """
    model = _model(recipe)
    initialise(model, recipe.seed)
    initial = None if recipe.initialise is None else take_weights(model, recipe.initialise)
    average = _model(recipe)
    average.load_state_dict(model.state_dict())
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TrainingState(
        model.train(), average.eval(), _optimiser(model, recipe, device), initial=initial
    )


def _model(recipe: Recipe) -> PoseModel:
    """Return the network with what its loss learns, which is averaged and saved as it is."""
    model = build_model(recipe.model)
    add_learned_loss(recipe.model.head, model.head)
    return model


def _optimiser(model: PoseModel, recipe: Recipe, device: torch.device) -> torch.optim.Optimizer:
    optimisation = recipe.optimisation
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    return torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": optimisation.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=torch.tensor(optimisation.learning_rate, device=device),
        betas=optimisation.betas,
        fused=True,
        capturable=device.type == "cuda",
    )


def save_state(identity: str, state: TrainingState, curve: Curve, path: Path) -> None:
    """Write everything by way of a temporary name, so that a kill leaves the previous state.

    Raises `OSError` if the file cannot be written.
    """
    saved = {
        "recipe": identity,
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "step": state.step,
        "seconds": (state.cpu_seconds, state.wall_seconds),
        "curve": json.dumps(curve),
    }
    # To memory first: torch tells a full disk as a fault of its own.
    content = io.BytesIO()
    torch.save(saved, content)
    with put_when_written(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def restore_state(identity: str, state: TrainingState, path: Path) -> Curve:
    """Fill `state` from the file of an interrupted run, if there is one; return its curve so far.

    Raises `LostStateError` if the file is damaged or of another recipe.
    """
    if not path.is_file():
        return []
    hint = f"Remove it to start from the beginning, or choose another folder than {path.parent}."
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        same = saved["recipe"] == identity
        curve = _fill(state, saved) if same else []
    except _DAMAGED as error:
        raise LostStateError(
            f"{path}, the state of an interrupted run, is damaged ({type(error).__name__}).",
            hint=hint,
        ) from None
    if not same:
        raise LostStateError(f"{path} belongs to another recipe of the same name.", hint=hint)
    return curve


def _fill(state: TrainingState, saved: Mapping[str, Any]) -> Curve:
    curve: Curve = json.loads(saved["curve"])
    state.model.load_state_dict(saved["model"])
    state.average.load_state_dict(saved["average"])
    own = [{key: group[key] for key in _OF_DEVICE} for group in state.optimiser.param_groups]
    state.optimiser.load_state_dict(saved["optimiser"])
    for group, kept in zip(state.optimiser.param_groups, own, strict=True):
        group.update(kept)
    state.step = int(saved["step"])
    state.cpu_seconds, state.wall_seconds = map(float, saved["seconds"])
    return curve
