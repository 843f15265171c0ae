"""Train what a suite needs and does not have yet, side by side, and return all its checkpoints."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from posebench.results.cell import Status
from posebench.results.shared.locks import Shard, locked
from posebench.running.executors import (
    EXECUTORS,
    Site,
    Submitted,
    WorkerLost,
    Workers,
    with_retries,
)
from posebench.running.sources import CheckpointSource, SuiteCheckpoint
from posebench.running.trained.identity import training_keys
from posebench.running.trained.kept import (
    TrainedRecord,
    copy_trained,
    find_trained,
    is_begun,
    name_at,
    trained_checkpoint,
    trained_folder,
)
from posebench.running.trained.worker import TrainingFailed, TrainingJob, TrainingWorker
from posebench.suites.arms import Training, trainings_of
from posebench.suites.suite import CheckpointEntry, Suite, evaluation_entry
from posebench.suites.trained import TEST_SIZE


class TrainingDisplay(Protocol):
    """What is shown while a suite trains."""

    def begun(self, trainings: Sequence[PlannedTraining]) -> None:
        """Show all trainings, with those that are done already."""
        ...

    def step(self, name: str, label: str, done: int, total: int) -> None:
        """Show how far a training is: steps done and in all of what `label` names."""
        ...

    def finished(self, name: str, reason: str | None) -> None:
        """Show a training that is done, or that failed for a reason."""
        ...


@dataclass(frozen=True)
class PlannedTraining:
    """A training of a suite with its key, and what there is of it."""

    training: Training
    key: str
    record: TrainedRecord | None = None
    begun: bool = False

    @property
    def crops(self) -> int:
        """The number of crops that the training sees."""
        optimisation = self.training.recipe.optimisation
        return self.training.recipe.steps * optimisation.batch_size


@dataclass(frozen=True)
class TrainingShare:
    """The names of the trainings whose checkpoints a shard of a run evaluates."""

    shard: Shard
    names: frozenset[str]


@dataclass(frozen=True)
class Trainers:
    """Which executor trains, and where."""

    executor: str = "processes"
    site: Site = field(default_factory=Site)


def plan_trainings(suite: Suite, folder: Path, run: Path) -> tuple[PlannedTraining, ...]:
    """Return every training of a suite in `folder`, with what `run` and the cache have of it.

    Raises `PosebenchError` if a recipe does not fit, or if data are not there.
    """
    if suite.trained is None:
        return ()
    trainings = trainings_of(suite.trained, folder)
    keys = training_keys(trainings)
    found = []
    for training in trainings:
        key = keys[training.name]
        record = find_trained(run, training.name, key)
        begun = record is None and is_begun(run, training.name)
        found.append(PlannedTraining(training, key, record, begun))
    return tuple(found)


def train_suite(
    suite: Suite,
    folder: Path,
    run: Path,
    places: Sequence[str],
    display: TrainingDisplay,
    share: TrainingShare | None = None,
    trainers: Trainers | None = None,
) -> tuple[SuiteCheckpoint, ...]:
    """Train what is not trained yet, one process at each of `places`, and return all checkpoints.

    Of a `share` these are its own, and those that they take weights from. `trainers` are processes
    of this machine by default.

    A training that fails is a checkpoint with its reason; those that need its weights fail with it.
    On Ctrl-C, and however the process ends, what is trained stays, and a training that was under
    way goes on from its last evaluation. Raises `PosebenchError` if recipes or data do not fit.
    """
    if suite.trained is None:
        return ()
    with locked(run, None if share is None else share.shard):
        planned = plan_trainings(suite, folder, run)
        needed = planned if share is None else needed_trainings(planned, share.names)
        display.begun(needed)
        progress = _Progress(run, needed)
        trainers = trainers or Trainers()
        workers = Workers(TrainingWorker, tuple(places), site=trainers.site, keeps=_keep_none)
        while ready := progress.ready():
            jobs = {f"{name} {job.key[:12]}": job for name, job in ready.items()}
            receive = partial(_show_step, display, jobs)
            tried = with_retries(EXECUTORS[trainers.executor], jobs, workers, receive)
            with closing(tried) as outcomes:
                for key, outcome in outcomes:
                    if not isinstance(outcome, Submitted):
                        name = jobs[key].recipe.name
                        display.finished(name, progress.note(name, outcome))
            if trainers.site.detached:
                break  # what was submitted is done in some other process
    return tuple(found for each in needed for found in _checkpoints(suite, each, progress))


def needed_trainings(
    planned: Sequence[PlannedTraining], names: Collection[str]
) -> tuple[PlannedTraining, ...]:
    """Return the trainings of these names and those that they take weights from, in order."""
    needed = {*names}
    for each in reversed(planned):  # each before those that it takes weights from
        if each.training.name in needed:
            needed.update(each.training.sources.values())
    return tuple(each for each in planned if each.training.name in needed)


def trained_so_far(
    suite: Suite, folder: Path, run: Path, share: TrainingShare | None = None
) -> tuple[SuiteCheckpoint, ...]:
    """Return all checkpoints of a suite without training any: those that lack are skipped.

    Raises `PosebenchError` if recipes or data do not fit.
    """
    if suite.trained is None:
        return ()
    with locked(run, None if share is None else share.shard):
        planned = plan_trainings(suite, folder, run)
        progress = _Progress(run, planned)
        return tuple(found for each in planned for found in _checkpoints(suite, each, progress))


def _show_step(
    display: TrainingDisplay, jobs: Mapping[str, TrainingJob], key: str, step: tuple[str, int, int]
) -> None:
    display.step(jobs[key].recipe.name, *step)


def _keep_none(_step: object) -> bool:
    """Keep no step of a training until it is done."""
    return False


def suite_checkpoint(
    suite: Suite, training: Training, path: Path, factor: str = ""
) -> SuiteCheckpoint:
    """Return the checkpoint of a training, at `path`, with the data that it is evaluated on.

    `factor` is that of a further test size.
    """
    assert suite.trained is not None
    entries = suite.trained.data_entries if suite.trained.crossed else (training.data,)
    name = name_at(training.name, factor)
    # Beside others, a checkpoint says for which size it is.
    labels = {
        **training.labels,
        **({TEST_SIZE: factor or "1x"} if training.recipe.test_sizes else {}),
    }
    return SuiteCheckpoint(
        CheckpointSource(path, name),
        CheckpointEntry(str(path), name, labels),
        datasets=tuple(evaluation_entry(entry) for entry in entries),
        # It is the same network at a size that the suite's sizes ask for already.
        sizes=("native",) if factor else None,
    )


def absent_checkpoint(
    suite: Suite, training: Training, reason: str, status: Status = "failed"
) -> SuiteCheckpoint:
    """Return what stands for a checkpoint that is not there."""
    return replace(suite_checkpoint(suite, training, Path(training.name)), problem=(status, reason))


def _checkpoints(suite: Suite, each: PlannedTraining, progress: _Progress) -> list[SuiteCheckpoint]:
    """Return the checkpoints of a training: one, and one for each further test size."""
    training = each.training
    if training.name in progress.failures:
        reason = f"it could not be trained: {progress.failures[training.name]}"
        return [absent_checkpoint(suite, training, reason)]
    if training.name not in progress.done:
        return [absent_checkpoint(suite, training, "it is not trained yet", "skipped")]
    sizes = [f"{factor:g}x" for factor in training.recipe.test_sizes]
    found = []
    for factor in ("", *sizes):
        name = name_at(training.name, factor)
        path = trained_checkpoint(progress.run, name)
        assert path is not None
        found.append(suite_checkpoint(suite, training, path, factor))
    return found


class _Progress:
    """What is trained, what failed, and what can be trained next."""

    def __init__(self, run: Path, planned: Sequence[PlannedTraining]) -> None:
        self.run = run
        self.done: dict[str, Path] = {}
        self.failures: dict[str, str] = {}
        self._planned = planned
        # Trainings of one key are one: the first of a name does the work for the others.
        self._of_key: dict[str, str] = {}
        for each in planned:
            if each.record is not None:
                self._keep(each.training.name, each.record)

    def ready(self) -> dict[str, TrainingJob]:
        """Return the trainings whose sources are there, the longest first."""
        waiting = []
        for each in self._planned:  # each after those that it takes weights from
            if not self._is_settled(each):
                sources = each.training.sources.values()
                if all(source in self.done for source in sources):
                    waiting.append(each)
        jobs: dict[str, TrainingJob] = {}
        for each in sorted(waiting, key=lambda each: -each.crops):
            if self._of_key.setdefault(each.key, each.training.name) == each.training.name:
                recipe = each.training.with_sources(self.done)
                jobs[each.training.name] = TrainingJob(recipe, each.key, self.run)
        return jobs

    def note(self, name: str, outcome: TrainedRecord | TrainingFailed | WorkerLost) -> str | None:
        """Note what became of a training; return why it failed, if it did."""
        if isinstance(outcome, TrainedRecord):
            self._keep(name, outcome)
            return None
        self.failures[name] = outcome.reason
        return outcome.reason

    def _keep(self, name: str, record: TrainedRecord) -> None:
        self.done[name] = trained_folder(self.run, name) / record.checkpoint
        self._of_key.setdefault(record.key, name)

    def _is_settled(self, each: PlannedTraining) -> bool:
        """Tell whether a training is done or has failed, itself, by its sources or its double."""
        name = each.training.name
        if name in self.done or name in self.failures:
            return True
        lost = next((s for s in each.training.sources.values() if s in self.failures), None)
        if lost is not None:
            self.failures[name] = f"{lost}, whose weights it takes, could not be trained"
            return True
        double = self._of_key.get(each.key, name)
        if double in self.failures:
            self.failures[name] = self.failures[double]
        if double in self.done:
            copied = copy_trained(self.done[double].parent, self.run, name)
            self.done[name] = copied / self.done[double].name
        return name in self.done or name in self.failures
