"""Train one small model, of either paradigm, from a recipe."""

from posebench.training.loop import TrainingOutcome, train
from posebench.training.recipe import Recipe, load_recipe
from posebench.training.state import is_resumable

__all__ = ["Recipe", "TrainingOutcome", "is_resumable", "load_recipe", "train"]
