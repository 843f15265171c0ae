"""Train one small model, of any paradigm, from a recipe."""

from posebench.lab.training.loop import TrainingOutcome, train
from posebench.lab.training.state import is_resumable
from posebench.suites.recipe import Recipe, load_recipe

__all__ = ["Recipe", "TrainingOutcome", "is_resumable", "load_recipe", "train"]
