"""Train one model from a recipe, on a CPU or a GPU."""

from posebench.lab.training.loop import TrainingOutcome, train
from posebench.lab.training.sized import reestimate_batchnorm
from posebench.lab.training.state import is_resumable
from posebench.suites.recipe import Recipe, load_recipe

__all__ = [
    "Recipe",
    "TrainingOutcome",
    "is_resumable",
    "load_recipe",
    "reestimate_batchnorm",
    "train",
]
