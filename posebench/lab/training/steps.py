"""From a batch's plan to one step of learning: crops, targets, and the sizes a model runs at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.errors import TrainingError, first_line
from posebench.lab.training.batches import cut_batch
from posebench.lab.training.learning import Learner
from posebench.lab.training.plans import BatchPlan
from posebench.lab.training.scenes import SceneStore
from posebench.networks.heads import training_codec
from posebench.networks.model import PoseModel
from posebench.networks.sizes import InputSize
from posebench.suites.recipe import Recipe

Shapes = Mapping[InputSize, tuple[tuple[int, ...], ...]]
Step = Callable[[BatchPlan], Tensor]
"""Learns from one planned batch and returns the loss, a number on the device."""


def output_shapes(recipe: Recipe, model: PoseModel) -> Shapes:
    """Return the shapes of a batch's outputs at each size that the recipe trains at.

    Raises `TrainingError` if the model cannot run at one of them.
    """
    return {size: _shapes_at(recipe, model, size) for size in recipe.input_sizes}


def _shapes_at(recipe: Recipe, model: PoseModel, size: InputSize) -> tuple[tuple[int, ...], ...]:
    own = size == recipe.model.input_size
    if not own and (size.height % model.stride or size.width % model.stride):
        raise TrainingError(
            f"{recipe.name}: {size} of train_sizes is no multiple of the stride {model.stride}.",
            hint=f"Choose input_size and train_sizes whose products are multiples of"
            f" {model.stride}.",
        )
    device = next(model.parameters()).device
    crops = torch.zeros(recipe.optimisation.batch_size, 3, size.height, size.width, device=device)
    training = model.training
    try:
        with torch.no_grad():
            return tuple(tuple(output.shape) for output in model.eval()(crops))
    except RuntimeError as error:
        raise TrainingError(
            f"{recipe.name}: a {recipe.model.head.kind} head of {recipe.model.input_size} cannot"
            f" run at {size}: {first_line(error)}",
            hint="Leave out train_sizes, or choose a head that takes any size.",
        ) from None
    finally:
        model.train(training)


def encoded(recipe: Recipe, plan: BatchPlan, shapes: Shapes) -> tuple[NDArray[Any], ...]:
    """Return the targets of a batch, one for each output, and last the weights (N, K)."""
    codec = training_codec(recipe.model, plan.size)
    arrays: tuple[NDArray[Any], ...] = codec.encode(
        plan.keypoints, plan.visible, plan.size, shapes[plan.size]
    )
    return arrays


def host_step(recipe: Recipe, store: SceneStore, learner: Learner, shapes: Shapes) -> Step:
    """Return the step that cuts crops on the CPU and learns there."""

    def step(plan: BatchPlan) -> Tensor:
        inputs = cut_batch(store, plan, recipe.model.crop)
        *targets, weight = map(torch.from_numpy, encoded(recipe, plan, shapes))
        learner.prepare()
        return learner.learn(inputs, tuple(targets), weight)

    return step
