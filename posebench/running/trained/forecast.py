"""What a suite's training would cost, and its cells, before anything is trained."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from posebench.checkpoints.native import save_checkpoint
from posebench.errors import PosebenchError
from posebench.files.hashing import content_key
from posebench.files.records import mapping_from_record
from posebench.lab.training import train
from posebench.networks.model import build_model
from posebench.prediction.execution import Progress
from posebench.running.reasons import reason_of
from posebench.running.sources import SuiteCheckpoint
from posebench.running.trained.train_suite import PlannedTraining, suite_checkpoint
from posebench.suites.arms import Training
from posebench.suites.recipe import Recipe
from posebench.suites.suite import Suite
from posebench.suites.training_data import FolderData, RenderedData

# Steps before the clock starts, and steps that it measures.
_WARM_UP, _MEASURED = 3, 10
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


def forecast(planned: Sequence[PlannedTraining], progress: Progress) -> Forecast:
    """Measure what trainings that are not done cost: a few steps of each kind, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    measured: dict[str, float | None] = {}
    rates = {}
    waiting = [each for each in planned if each.record is None]
    try:
        for position, each in enumerate(waiting):
            progress("measuring", position, len(waiting))
            recipe = _short(each.training.recipe)
            kind = content_key({**mapping_from_record(recipe), "name": "", "seed": 0})
            if kind not in measured:
                measured[kind] = _rate(recipe)
            rate = measured[kind]
            if rate is not None:
                teacher = _TEACHER if each.training.recipe.distillation else 0.0
                rates[each.training.name] = rate / (1 + teacher)
    finally:
        torch.set_num_threads(threads)
    return Forecast(rates)


def _short(recipe: Recipe) -> Recipe:
    """Return a recipe of the same steps, but few of them, on few images."""
    data = recipe.data
    if isinstance(data, FolderData):
        data = replace(data, limit=min(data.limit or _IMAGES, _IMAGES))
    elif isinstance(data, RenderedData):
        data = replace(data, scenes=min(data.scenes, _IMAGES))
    samples = (_WARM_UP + _MEASURED) * recipe.optimisation.batch_size
    return replace(
        recipe,
        data=data,
        optimisation=replace(recipe.optimisation, samples=samples),
        initialise=None,
        distillation=None,
        test_sizes=(),
        evaluations=1,
    )


def _rate(recipe: Recipe) -> float | None:
    """Return crops per second; None where a recipe cannot be trained, as the run will show."""
    times: list[float] = []

    def note(label: str, _done: int, _total: int) -> None:
        if label == "train":
            times.append(time.perf_counter())

    try:
        with tempfile.TemporaryDirectory(prefix="posebench-") as folder:
            train(recipe, Path(folder), lambda _model: {}, note)
    except Exception as error:
        reason_of(error, recipe.name)
        return None
    seconds = times[_WARM_UP + _MEASURED - 1] - times[_WARM_UP - 1]
    return _MEASURED * recipe.optimisation.batch_size / seconds


@contextmanager
def stand_ins(
    suite: Suite, trainings: Sequence[Training], trained: Mapping[str, Path] | None = None
) -> Iterator[tuple[SuiteCheckpoint, ...]]:
    """Yield all checkpoints of a suite; untrained weights stand in for those that are to come.

    `trained` are the files of those that are there, by name.
    """
    files = trained or {}
    with tempfile.TemporaryDirectory(prefix="posebench-") as folder:
        yield tuple(
            suite_checkpoint(suite, training, files[training.name])
            if training.name in files
            else _stand_in(suite, training, Path(folder))
            for training in trainings
        )


def _stand_in(suite: Suite, training: Training, folder: Path) -> SuiteCheckpoint:
    path = folder / f"{training.name}.safetensors"
    try:
        save_checkpoint(path, build_model(training.recipe.model), {"made_with": "stand-in"})
    except PosebenchError as error:
        return suite_checkpoint(suite, training, path, reason_of(error, training.name))
    return suite_checkpoint(suite, training, path)
