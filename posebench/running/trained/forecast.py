"""What a suite's training would cost, and its cells, before anything is trained."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from posebench.checkpoints.native import save_checkpoint
from posebench.errors import PosebenchError, TrainingError
from posebench.files.hashing import content_key
from posebench.files.records import mapping_from_record
from posebench.lab.training import train
from posebench.lab.training.provenance import portable
from posebench.networks.model import build_model
from posebench.prediction.execution import Progress
from posebench.running.reasons import reason_of
from posebench.running.sources import SuiteCheckpoint
from posebench.running.trained.kept import name_at, trained_checkpoint
from posebench.running.trained.train_suite import (
    PlannedTraining,
    absent_checkpoint,
    suite_checkpoint,
)
from posebench.suites.arms import Training
from posebench.suites.recipe import Recipe
from posebench.suites.suite import Suite
from posebench.suites.training_data import FolderData, RenderedData

# Steps before the clock starts, and steps that it measures; of a GPU more, because it is waited for
# only now and then.
_WARM_UP, _MEASURED = 3, 10
_WARM_UP_OF_DEVICE, _MEASURED_OF_DEVICE = 64, 192
# Of large networks fewer steps are measured, of smaller batches.
_PATIENCE_SECONDS = 20.0
_LARGEST_BATCH = 32
# Images behind the measurement.
_IMAGES = 48
# A teacher only answers; of a step's cost that is about a third.
_TEACHER = 1 / 3


@dataclass(frozen=True)
class Forecast:
    """Crops per second of one thread by training, where they could be measured."""

    rates: dict[str, float]

    def seconds(self, planned: Sequence[PlannedTraining]) -> float:
        """Return the seconds of one thread that trainings take together."""
        return sum(
            each.crops / self.rates[each.training.name]
            for each in planned
            if each.training.name in self.rates
        )


def forecast(planned: Sequence[PlannedTraining], device: str, progress: Progress) -> Forecast:
    """Measure what trainings that are not done cost: a few steps of each kind, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    measured: dict[str, float | None] = {}
    rates = {}
    waiting = [each for each in planned if each.record is None]
    try:
        for position, each in enumerate(waiting):
            progress("measuring", position, len(waiting))
            recipe = _short(each.training.recipe, device)
            kind = content_key({**mapping_from_record(recipe), "name": "", "seed": 0})
            if kind not in measured:
                measured[kind] = _rate(recipe, device)
            rate = measured[kind]
            if rate is not None:
                teacher = _TEACHER if each.training.recipe.distillation else 0.0
                rates[each.training.name] = rate / (1 + teacher)
    finally:
        torch.set_num_threads(threads)
    return Forecast(rates)


def _steps(device: str) -> tuple[int, int]:
    if device == "cpu":
        return _WARM_UP, _MEASURED
    return _WARM_UP_OF_DEVICE, _MEASURED_OF_DEVICE


def _short(recipe: Recipe, device: str) -> Recipe:
    """Return a recipe of like steps, but few of them, on few images."""
    data = recipe.data
    if isinstance(data, FolderData):
        data = replace(data, limit=min(data.limit or _IMAGES, _IMAGES))
    elif isinstance(data, RenderedData):
        data = replace(data, scenes=min(data.scenes, _IMAGES))
    batch_size = recipe.optimisation.batch_size
    if device == "cpu":
        batch_size = min(batch_size, _LARGEST_BATCH)
    samples = sum(_steps(device)) * batch_size
    return replace(
        recipe,
        data=data,
        optimisation=replace(recipe.optimisation, samples=samples, batch_size=batch_size),
        initialise=None,
        distillation=None,
        test_sizes=(),
        evaluations=1,
    )


def _rate(recipe: Recipe, device: str) -> float | None:
    """Return crops per second; None where a recipe cannot be trained, as the run will show."""
    times: list[float] = []

    def note(label: str, _done: int, _total: int) -> None:
        if label == "train":
            times.append(time.perf_counter())
            if _is_long(times):
                raise TrainingError(f"{recipe.name} was measured for long enough.")

    try:
        with tempfile.TemporaryDirectory(prefix="posebench-") as folder:
            train(recipe, Path(folder), lambda _model: {}, note, device)
    except Exception as error:
        if not _is_long(times):
            reason_of(error, recipe.name)
            return None
    warm_up, _ = _steps(device)
    first = min(warm_up - 1, len(times) - 2)
    crops = (len(times) - 1 - first) * recipe.optimisation.batch_size
    return crops / (times[-1] - times[first])


def _is_long(times: Sequence[float]) -> bool:
    """Tell whether steps that ended at these times took long enough to stop."""
    return len(times) > 1 and times[-1] - times[0] > _PATIENCE_SECONDS


@contextmanager
def stand_ins(
    suite: Suite, trainings: Sequence[Training], run: Path | None = None
) -> Iterator[tuple[SuiteCheckpoint, ...]]:
    """Yield all checkpoints of a suite; untrained weights stand in for those that `run` lacks."""
    with tempfile.TemporaryDirectory(prefix="posebench-") as folder:
        yield tuple(
            found
            for training in trainings
            for found in _stand_ins(suite, training, run, Path(folder))
        )


def _stand_ins(
    suite: Suite, training: Training, run: Path | None, folder: Path
) -> Iterator[SuiteCheckpoint]:
    model = training.recipe.model
    for factor in (1.0, *training.recipe.test_sizes):
        text = "" if factor == 1.0 else f"{factor:g}x"
        name = name_at(training.name, text)
        path = None if run is None else trained_checkpoint(run, name)
        if path is None:
            path = folder / f"{name}.safetensors"
            try:
                sized = replace(model, input_size=model.input_size.scaled(factor))
                # With its recipe, claims whose factor lacks a setting are found before training.
                made = {"made_with": "stand-in", "recipe": portable(training.recipe)}
                save_checkpoint(path, build_model(sized), made)
            except PosebenchError as error:
                yield absent_checkpoint(suite, training, reason_of(error, name))
                return
        yield suite_checkpoint(suite, training, path, text)
