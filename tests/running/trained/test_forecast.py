"""What training would cost is measured in a few steps, fewer of slow networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from lab_suites import lab_suite

from posebench.errors import TrainingError
from posebench.lab.training import Recipe
from posebench.running.trained import forecast as measuring
from posebench.running.trained.forecast import forecast
from posebench.running.trained.train_suite import PlannedTraining
from posebench.suites.arms import trainings_of
from posebench.suites.suite import load_suite


class Clock:
    """A clock that a step of training moves on."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def perf_counter(self) -> float:
        return self.seconds


def rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, batch_size: int = 8
) -> tuple[float | None, list[Recipe]]:
    """Return the crops per second of an arm whose steps take `seconds`, and what was trained."""
    clock, trained = Clock(), list[Recipe]()

    def train(
        recipe: Recipe, _out: Path, _evaluate: object, progress: Callable[..., None], _device: str
    ) -> None:
        trained.append(recipe)
        for step in range(recipe.steps):
            clock.seconds += seconds
            progress("train", step + 1, recipe.steps)
        if seconds < 0:
            raise TrainingError("it cannot be trained.")

    monkeypatch.setattr(measuring, "train", train)
    monkeypatch.setattr(measuring, "time", clock)
    path = lab_suite(tmp_path)
    suite_trained = load_suite(path).trained
    assert suite_trained is not None
    training = trainings_of(suite_trained, path.parent)[0]
    optimisation = replace(training.recipe.optimisation, batch_size=batch_size, samples=6400)
    recipe = replace(training.recipe, optimisation=optimisation)
    planned = PlannedTraining(replace(training, recipe=recipe), "key")
    found = forecast([planned], "cpu", lambda *_: None)
    return found.rates.get(training.name), trained


def test_quick_steps_are_all_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, (recipe,) = rate(tmp_path, monkeypatch, 0.5)
    assert found == pytest.approx(16)
    assert (recipe.steps, recipe.optimisation.batch_size) == (13, 8)


def test_slow_steps_are_few_and_of_small_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, (recipe,) = rate(tmp_path, monkeypatch, 64.0, batch_size=128)
    assert recipe.optimisation.batch_size == 32
    assert found == pytest.approx(0.5)


def test_what_cannot_be_trained_has_no_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rate(tmp_path, monkeypatch, -1.0)[0] is None
