"""Checkpoints that a training run begins with: initial weights, and a teacher."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.contents import without_losses
from posebench.errors import TrainingError
from posebench.networks.heads.family import Outputs
from posebench.networks.heads.losses import divergence_of_bins, squared_error
from posebench.networks.loss_settings import LossSettings
from posebench.networks.model import PoseModel
from posebench.suites.recipe import Initialisation, Recipe
from posebench.zoo import resolve

# How near to a teacher's answers the student's are, by paradigm; its answers are the targets.
_TEACHING: dict[str, Callable[[Outputs, Outputs, Tensor, LossSettings], Tensor]] = {
    "heatmap": squared_error,
    "simcc": divergence_of_bins,
}


@dataclass(frozen=True)
class Origin:
    """A checkpoint that a run begins with: its name, and the SHA-256 of its bytes."""

    name: str
    sha256: str


def take_weights(model: PoseModel, initialisation: Initialisation) -> Origin:
    """Copy a checkpoint's weights, or its backbone's alone, into `model`; return whose they are.

    Raises `TrainingError` if names or shapes differ.
    """
    checkpoint = load_checkpoint(resolve(initialisation.checkpoint))
    source = _weights(checkpoint)
    # A loaded network has nothing of its loss: what that learns begins anew.
    own, _ = without_losses(model.state_dict())
    if initialisation.part == "backbone":
        source, own = (
            {name: each[name] for name in each if name.startswith("backbone.")}
            for each in (source, own)
        )
    for name in sorted(source.keys() | own.keys()):
        one, other = (tuple(each[name].shape) if name in each else None for each in (source, own))
        if one != other:
            whole = ", or `part: backbone`" if initialisation.part == "whole" else ""
            raise TrainingError(
                f"initialise: {name} is {_said(one)} in {checkpoint.name}, and"
                f" {_said(other)} in the model.",
                hint=f"Take a checkpoint of the same architecture{whole}.",
            )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(source[name])
    return Origin(checkpoint.name, checkpoint.sha256)


def _said(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else f"of shape {shape}"


class Teacher:
    """A network whose answers a recipe's model learns, with the rule for how near it comes."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        """Load the teacher of `recipe`.

        Raises `TrainingError` if its answers, keypoints or crops are not those of the model.
        """
        assert recipe.distillation is not None
        checkpoint = load_checkpoint(resolve(recipe.distillation.teacher))
        _check_teacher(recipe, checkpoint)
        assert isinstance(checkpoint.network, PoseModel)
        self.origin = Origin(checkpoint.name, checkpoint.sha256)
        self.weight = recipe.distillation.weight
        self._network = checkpoint.network.to(device).eval().requires_grad_(False)
        self._nearness = _TEACHING[recipe.model.paradigm]

    def check_shapes(self, shapes: Sequence[tuple[int, ...]], crops: Tensor) -> None:
        """Raise `TrainingError` unless the answers to `crops` have the model's output shapes."""
        found = [tuple(answer.shape) for answer in self.answers(crops)]
        if found != list(shapes):
            raise TrainingError(
                f"distillation: the outputs of the teacher {self.origin.name} are of shape"
                f" {found}, those of the model {list(shapes)}.",
                hint="Heatmaps must have the same number of cells, SimCC vectors of bins.",
            )

    @torch.no_grad()
    def answers(self, inputs: Tensor) -> Outputs:
        """Return the teacher's outputs."""
        outputs: Outputs = self._network(inputs)
        return outputs

    def loss(
        self, outputs: Outputs, answers: Outputs, weight: Tensor, settings: LossSettings
    ) -> Tensor:
        """Return how far outputs are from the teacher's, averaged over labelled keypoints."""
        # Of the settings, only the temperature concerns answers: they are no Gaussians.
        plain = LossSettings(beta=settings.beta)
        return self._nearness(outputs, tuple(each.float() for each in answers), weight, plain)


def _check_teacher(recipe: Recipe, checkpoint: Checkpoint) -> None:
    own, spec = recipe.model, checkpoint.spec
    differs = {
        "paradigm": (spec.paradigm, own.paradigm),
        "input size": (spec.input_size, own.input_size),
        "keypoints": (spec.keypoints.keypoints, own.keypoints.keypoints),
        "crop": (spec.crop, own.crop),
    }
    for name, (one, other) in differs.items():
        if one != other:
            raise TrainingError(
                f"distillation: the {name} of the teacher {checkpoint.name} is not that of the"
                f" model: {one}, not {other}."
            )
    if own.paradigm not in _TEACHING or not isinstance(checkpoint.network, PoseModel):
        raise TrainingError(
            f"distillation: {checkpoint.name} cannot teach a {own.paradigm} model.",
            hint="Teachers are heatmap and SimCC networks whose weights are at hand.",
        )


def _weights(checkpoint: Checkpoint) -> dict[str, Tensor]:
    if not isinstance(checkpoint.network, PoseModel):
        raise TrainingError(
            f"initialise: the weights of {checkpoint.name} are not at hand.",
            hint="Take a file of weights, not an exported graph.",
        )
    return dict(checkpoint.network.state_dict())
