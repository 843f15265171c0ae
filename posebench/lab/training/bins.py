"""SimCC bins at quantiles of a recipe's own training coordinates."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np

from posebench.lab.training.plans import batch_plans
from posebench.lab.training.scenes import SceneStore
from posebench.networks.codecs import SimccCodec
from posebench.networks.codecs.targets import training_weights
from posebench.networks.codecs.uneven_bins import quantile_positions
from posebench.suites.recipe import Recipe

CROPS = 8192


def with_its_bins(recipe: Recipe, store: SceneStore) -> Recipe:
    """Return the recipe with the bins that it asks for in its codec.

    Quantiles are those of the labelled keypoints of its first `CROPS` training crops, augmented, at
    the model's input size; there are as many as even bins would be.
    """
    codec, size = recipe.model.codec, recipe.model.input_size
    if recipe.bins == "even":
        return recipe
    assert isinstance(codec, SimccCodec)
    plans = batch_plans(store, replace(recipe, train_sizes=(1.0,)), 0)
    coordinates = np.concatenate(
        [
            plan.keypoints[training_weights(plan.keypoints, plan.visible, size) > 0]
            for plan in islice(plans, -(-CROPS // recipe.optimisation.batch_size))
        ]
    )
    placed = replace(codec, positions=quantile_positions(coordinates, codec.bins(size), size))
    return replace(recipe, model=replace(recipe.model, codec=placed), bins="even")
