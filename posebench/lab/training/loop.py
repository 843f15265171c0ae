"""The training loop: batches in the recipe's order, evaluations, and a state to go on from."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from posebench.checkpoints.native import save_checkpoint
from posebench.errors import TrainingError
from posebench.files.writing import naming_what_cannot_be_written, write_json
from posebench.lab.training.bins import with_its_bins
from posebench.lab.training.device_step import device_step
from posebench.lab.training.folder_scenes import training_scenes
from posebench.lab.training.learning import Learner
from posebench.lab.training.plans import batch_plans
from posebench.lab.training.provenance import costs, identity, origins, scored_on
from posebench.lab.training.scenes import SceneStore
from posebench.lab.training.sized import reestimate_batchnorm
from posebench.lab.training.starting_points import Teacher
from posebench.lab.training.state import (
    Curve,
    TrainingState,
    new_state,
    restore_state,
    save_state,
    state_path,
)
from posebench.lab.training.steps import Step, host_step, output_shapes
from posebench.networks.model import PoseModel
from posebench.networks.sizes import InputSize
from posebench.prediction.devices import allowing_tf32, check_device
from posebench.suites.recipe import Recipe

_log = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
Evaluate = Callable[[PoseModel], dict[str, float]]
# To be raised whenever a recipe no longer gives the weights that it gave: what was trained before
# is trained again. tests/lab/training/test_version.py fails if the losses of its recipes move, in
# fp32 on the CPU, and this does not.
TRAINING_VERSION = 1
# What a point of a curve holds besides what `evaluate` said.
_NO_METRICS = ("samples", "loss", "validation")
# Losses that a GPU computes before they are looked at: looking waits for it.
_UNSEEN = 64


@dataclass(frozen=True)
class TrainingOutcome:
    """The written checkpoint, its curve file and what `evaluate` said last.

    `at_sizes` are the checkpoints of the recipe's further test sizes.
    """

    checkpoint: Path
    curve: Path
    metrics: dict[str, float]
    at_sizes: Mapping[InputSize, Path] = field(default_factory=dict)


def train(
    recipe: Recipe, out: Path, evaluate: Evaluate, progress: Progress, device: str = "cpu"
) -> TrainingOutcome:
    """Train `recipe` and write `<name>.safetensors` and `<name>.curve.json` to `out`.

    A checkpoint `<name>@<size>.safetensors` follows for each of the recipe's `test_sizes`.
    `evaluate` scores the averaged weights, `recipe.evaluations` times in all; beside each score on
    a folder stands the split. A run that was stopped goes on from its last evaluation when called
    again with the same recipe, and ends with the same weights. On a GPU float32 is float32, never
    TF32. Raises `TrainingError` if the loss is no longer finite, if the model cannot run at one of
    its sizes, or if the state in `out` cannot be continued.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{out} cannot be made a folder: {error.strerror}.") from None
    place = check_device(device)
    # For evaluations, the teacher and BatchNorm's statistics as well as for steps.
    with allowing_tf32(False):
        run = _Run(recipe, out, place, progress)
        curve = run.learn(evaluate, progress)
        return run.write(curve)


class _Run:
    """One training run: its scenes, its state, and the step that moves it."""

    def __init__(self, recipe: Recipe, out: Path, device: torch.device, progress: Progress) -> None:
        self.out, self.device = out, device
        self.saved, self.curve_path = state_path(recipe, out), out / f"{recipe.name}.curve.json"
        # Before the scenes, which take time: most mistakes in a recipe show here.
        self.state: TrainingState = new_state(recipe, device)
        self.store: SceneStore = training_scenes(
            recipe, lambda done, total: progress("scenes", done, total)
        )
        asked, recipe = recipe, with_its_bins(recipe, self.store)
        if recipe is not asked:
            self.state = new_state(recipe, device)
        self.recipe = recipe
        teacher = None if recipe.distillation is None else Teacher(recipe, device)
        self.origins = origins(asked, self.store, self.state.initial, teacher)
        self.curve: Curve = restore_state(identity(self.origins), self.state, self.saved)
        self.scored_on = scored_on(recipe)
        self._warn_of_other_validation()
        shapes = output_shapes(recipe, self.state.model)
        if teacher is not None:
            size, batch = recipe.model.input_size, recipe.optimisation.batch_size
            crops = torch.zeros(batch, 3, size.height, size.width, device=device)
            teacher.check_shapes(shapes[size], crops)
        learner = Learner(recipe, self.state, teacher)
        make = host_step if device.type == "cpu" else device_step
        self.step: Step = make(recipe, self.store, learner, shapes)

    def _warn_of_other_validation(self) -> None:
        own = self.scored_on.get("validation")
        others = {point["validation"] for point in self.curve if "validation" in point} - {own}
        if others:
            _log.warning(
                "%s was scored on the split %s before it was stopped, and goes on with %s: its"
                " curve is of both.",
                self.recipe.name,
                ", ".join(sorted(others)),
                own,
            )

    def learn(self, evaluate: Evaluate, progress: Progress) -> Curve:
        """Take all steps that are left, with the evaluations between them; return the curve."""
        recipe, state = self.recipe, self.state
        losses = _Losses(recipe, most_unseen=1 if self.device.type == "cpu" else _UNSEEN)
        clock = _Clock()
        for plan in batch_plans(self.store, recipe, state.step):
            losses.add(state.step, self.step(plan))
            state.step += 1
            progress("train", state.step, recipe.steps)
            if is_evaluation(recipe, state.step):
                loss = losses.mean()
                clock.stop(state)
                point = {"samples": state.step * recipe.optimisation.batch_size, "loss": loss}
                self.curve.append({**point, **self.scored_on, **evaluate(state.average)})
                self._save()
                clock = _Clock()
        return self.curve

    def _save(self) -> None:
        with naming_what_cannot_be_written(self.curve_path):
            written = {"recipe": self.origins["recipe"], "curve": self.curve}
            write_json(self.curve_path, written)
        with naming_what_cannot_be_written(self.saved):
            save_state(identity(self.origins), self.state, self.curve, self.saved)

    def write(self, curve: Curve) -> TrainingOutcome:
        """Write the checkpoints and forget the state."""
        recipe, average = self.recipe, self.state.average
        provenance = {
            **self.origins,
            **costs(recipe, self.state, self.device),
            "final": curve[-1],
        }
        checkpoint = self.out / f"{recipe.name}.safetensors"
        save_checkpoint(checkpoint, average, provenance)
        at_sizes: dict[InputSize, Path] = {}
        for factor in recipe.test_sizes:
            size = recipe.model.input_size.scaled(factor)
            at_sizes[size] = self.out / f"{recipe.name}@{size}.safetensors"
            sized: dict[str, Any] = {**provenance, "batchnorm_of": str(size)}
            save_checkpoint(at_sizes[size], reestimate_batchnorm(average, recipe, size), sized)
        self.saved.unlink(missing_ok=True)
        metrics = {name: curve[-1][name] for name in curve[-1] if name not in _NO_METRICS}
        return TrainingOutcome(checkpoint, self.curve_path, metrics, at_sizes)


class _Clock:
    """Seconds of the processor and of the wall since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self, state: TrainingState) -> None:
        """Add the seconds to the state's."""
        state.cpu_seconds += time.process_time() - self._cpu
        state.wall_seconds += time.perf_counter() - self._wall


class _Losses:
    """The losses of steps since the last evaluation."""

    def __init__(self, recipe: Recipe, most_unseen: int) -> None:
        self._name, self._most = recipe.name, most_unseen
        self._unseen: list[tuple[int, Tensor]] = []
        self._seen: list[float] = []

    def add(self, step: int, loss: Tensor) -> None:
        """Take the loss of a step.

        Raises `TrainingError` once one is not finite.
        """
        self._unseen.append((step, loss))
        if len(self._unseen) >= self._most:
            self._look()

    def mean(self) -> float:
        """Return the mean, and forget all losses."""
        self._look()
        mean = sum(self._seen) / len(self._seen)
        self._seen = []
        return mean

    def _look(self) -> None:
        if not self._unseen:
            return
        values = torch.stack([loss for _, loss in self._unseen]).tolist()
        for (step, _), value in zip(self._unseen, values, strict=True):
            if not math.isfinite(value):
                raise TrainingError(
                    f"{self._name}: the loss is {value} at step {step}.",
                    hint="Lower optimisation.learning_rate or set optimisation.precision to fp32.",
                )
        self._seen += values
        self._unseen = []


def is_evaluation(recipe: Recipe, step: int) -> bool:
    """Tell whether one of the recipe's evenly spaced evaluations follows on this step."""
    count = min(recipe.evaluations, recipe.steps)
    return step * count // recipe.steps > (step - 1) * count // recipe.steps
