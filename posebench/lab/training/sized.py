"""A trained model at another input size, with BatchNorm's statistics of that size.

A model that was trained at several sizes has the mean statistics of all of them; at one size,
features are distributed differently.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import nn

from posebench.errors import TrainingError
from posebench.lab.training.batches import cut_batch
from posebench.lab.training.folder_scenes import training_scenes
from posebench.lab.training.plans import batch_plans
from posebench.networks.heads import size_locked_layers
from posebench.networks.model import PoseModel
from posebench.networks.resizing import interpolate_model
from posebench.networks.sizes import InputSize
from posebench.suites.recipe import Recipe

CROPS = 2048


def reestimate_batchnorm(
    model: PoseModel, recipe: Recipe, size: InputSize, crops: int = CROPS
) -> PoseModel:
    """Return a copy of `model` for crops of `size`, as if it had been trained there last.

    Size-locked weights are interpolated; BatchNorm's statistics become the mean of those of the
    first `crops` training crops, cut at that size. Raises `TrainingError` if the sides are no
    multiples of the stride.
    """
    if size.height % model.stride or size.width % model.stride:
        raise TrainingError(
            f"{recipe.name}: {size} is no multiple of the stride {model.stride}.",
            hint="Correct test_sizes.",
        )
    sized = _at_size(model, size)
    norms = [module for module in sized.modules() if isinstance(module, _NORMS)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        # The mean over all batches, in place of a moving average.
        norm.momentum = None
        norm.train()
    _run(sized, recipe, _recipe_at(recipe, size, crops))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return sized.eval()


_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def _at_size(model: PoseModel, size: InputSize) -> PoseModel:
    """Return a copy, in evaluation mode, whose spec says that it was trained at `size`."""
    locked = size != model.spec.input_size and size_locked_layers(model.spec.head)
    head = interpolate_model(model, size).head if locked else model.head
    spec = replace(model.spec, input_size=size)
    return copy.deepcopy(PoseModel(spec, model.backbone, head, model.neck)).eval()


def _recipe_at(recipe: Recipe, size: InputSize, crops: int) -> Recipe:
    batch = recipe.optimisation.batch_size
    return replace(
        recipe,
        model=replace(recipe.model, input_size=size),
        train_sizes=(1.0,),
        test_sizes=(),
        distillation=None,
        optimisation=replace(recipe.optimisation, samples=max(crops, batch)),
    )


@torch.no_grad()
def _run(model: PoseModel, recipe: Recipe, at_size: Recipe) -> None:
    device = next(model.parameters()).device
    scenes = training_scenes(recipe, lambda _done, _total: None)
    for plan in batch_plans(scenes, at_size, 0):
        model(cut_batch(scenes, plan, recipe.model.crop).to(device))
