"""Trains one checkpoint after the other, in a process of its own, on one thread."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch

from posebench.errors import LostStateError
from posebench.files.environment import environment
from posebench.files.hashing import sha256_of
from posebench.lab.training import train
from posebench.lab.training.provenance import portable
from posebench.lab.training.validation import validation
from posebench.running.executors.jobs import Send
from posebench.running.reasons import reason_of
from posebench.running.trained.kept import (
    STATES,
    TrainedRecord,
    clear_others,
    find_trained,
    share_trained,
    trained_folder,
    training_lock,
    write_record,
)
from posebench.suites.recipe import Recipe

_log = logging.getLogger(__name__)
# Seconds between two messages on one training.
_PATIENCE = 0.3
# Training gives way to whatever else the machine does.
_NICENESS = 10


@dataclass(frozen=True)
class TrainingJob:
    """A training whose sources are there, its key, and the run directory that it belongs in."""

    recipe: Recipe
    key: str
    run: Path


@dataclass(frozen=True)
class TrainingFailed:
    """Why there is no checkpoint."""

    reason: str


class TrainingWorker:
    """Trains on a device, with one thread; made where its process starts."""

    def __init__(self, device: str) -> None:
        self._device = device
        with contextlib.suppress(OSError, AttributeError):
            os.nice(_NICENESS)
        torch.set_num_threads(1)
        cv2.setNumThreads(1)

    def __call__(self, job: TrainingJob, send: Send) -> TrainedRecord | TrainingFailed:
        """Train one checkpoint, or take it where another process has just trained it."""
        try:
            with training_lock(job.key, job.run):
                found = find_trained(job.run, job.recipe.name, job.key)
                return found or _trained(job, self._device, _throttled(send))
        except Exception as error:
            return TrainingFailed(reason_of(error, job.recipe.name))


def _throttled(send: Send) -> Callable[[str, int, int], None]:
    """Return a progress that sends the steps of training, a few times a second."""
    last = 0.0

    def progress(label: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PATIENCE or done == total:
            last = now
            send((label, done, total))

    return progress


def _trained(
    job: TrainingJob, device: str, progress: Callable[[str, int, int], None]
) -> TrainedRecord:
    recipe, folder = job.recipe, trained_folder(job.run, job.recipe.name)
    clear_others(folder, job.key)
    evaluate = validation(recipe, progress)
    try:
        outcome = train(recipe, folder, evaluate, progress, device)
    except LostStateError as error:
        # Nobody but a suite made it, so that nobody has to remove it.
        _log.warning("%s Its training begins anew.", error.message)
        for state in folder.glob(STATES):
            state.unlink()
        outcome = train(recipe, folder, evaluate, progress, device)
    record = TrainedRecord(
        key=job.key,
        name=recipe.name,
        checkpoint=outcome.checkpoint.name,
        sha256=sha256_of(outcome.checkpoint),
        curve=outcome.curve.name,
        recipe=portable(recipe),
        metrics=outcome.metrics,
        environment=environment(),
        at_sizes={
            f"{factor:g}x": outcome.at_sizes[recipe.model.input_size.scaled(factor)].name
            for factor in recipe.test_sizes
        },
    )
    write_record(folder, record)
    share_trained(folder, job.key)
    return record
