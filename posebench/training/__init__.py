"""Train one small model, of either paradigm, from a recipe."""

from posebench.training.loop import TrainingOutcome, train
from posebench.training.recipe import Recipe, load_recipe

__all__ = ["Recipe", "TrainingOutcome", "load_recipe", "train"]
