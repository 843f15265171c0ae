"""A pass in segments: its predictions are kept every minute, and not made again after a kill.

Segments are made of whole batches, the same ones as in an uninterrupted pass, so that no answer
depends on where it was interrupted, nor on who answered which: several machines may each predict a
span of the instances, and a pass that finds their answers only gathers them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.boxes import instances_at
from posebench.datasets.coco import Instances, PoseDataset
from posebench.errors import DataError, PosebenchError
from posebench.networks.codecs import Decoder
from posebench.prediction.crop_batches import image_order
from posebench.prediction.execution import Parallelism
from posebench.prediction.kept.parts import Part, Span, joined, picked, read_parts, write_part
from posebench.prediction.predict import Key, NetworkRun, Outcome, predict

_log = logging.getLogger(__name__)
# Seconds of work that a kill may lose. Lanes wait for one another at the end of every segment.
_KEEP_EVERY = 60.0
# Batches of each lane in the first segment; its speed sets the length of the next ones.
_FIRST_BATCHES = 8


def predict_in_segments(
    runs: Mapping[Key, NetworkRun],
    dataset: PoseDataset,
    instances: Instances,
    *,
    parallelism: Parallelism,
    progress: Callable[[int], None],
) -> dict[Key, dict[Decoder, Outcome]]:
    """Predict as `predict` does, but go on where an earlier run was killed.

    Nothing is kept on the way if a run has no files for its predictions, or raw outputs to keep.
    """
    keeps = all(run.files and run.raw is None for run in runs.values())
    if not keeps or not len(instances):
        return predict(runs, dataset, instances, parallelism=parallelism, progress=progress)
    order = image_order(instances)
    whole = Span(0, len(order))
    answers = {key: _Answers(run, parallelism.batch_size, whole) for key, run in runs.items()}
    if before := min((own.done for own in answers.values()), default=0):
        progress(before)
    _fill(answers, dataset, instances, parallelism, progress)
    rows = np.argsort(order)
    return {key: own.outcomes(rows) for key, own in answers.items()}


def predict_span(
    runs: Mapping[Key, NetworkRun],
    dataset: PoseDataset,
    instances: Instances,
    span: Span,
    *,
    parallelism: Parallelism,
    progress: Callable[[int], None],
) -> None:
    """Predict a span of the instances and keep the answers, for `predict_in_segments` to gather.

    The span starts and ends between two batches. What a network cannot answer is left to that pass,
    which meets it again.
    """
    answers = {key: _Answers(run, parallelism.batch_size, span) for key, run in runs.items()}
    _fill(answers, dataset, instances, parallelism, progress)
    _keep(answers.values())


def _fill(
    answers: Mapping[Key, _Answers],
    dataset: PoseDataset,
    instances: Instances,
    parallelism: Parallelism,
    progress: Callable[[int], None],
) -> None:
    """Predict what is missing of the answers, and keep it now and then."""
    order = image_order(instances)
    kept_at = time.monotonic()
    try:
        for start, stop, lacking in _segments(answers, parallelism):
            outcomes = predict(
                {key: answers[key].left for key in lacking},
                dataset,
                instances_at(instances, order[start:stop]),
                parallelism=parallelism,
                progress=progress,
            )
            for key in lacking:
                answers[key].add(start, stop, outcomes[key])
            if time.monotonic() - kept_at >= _KEEP_EVERY:
                _keep(answers.values())
                kept_at = time.monotonic()
    except BaseException:
        _keep(answers.values())
        raise


def _segments(
    answers: Mapping[Key, _Answers], parallelism: Parallelism
) -> Iterator[tuple[int, int, list[Key]]]:
    """Yield the start and stop of segments of about a minute, and the runs that lack them."""
    batch = parallelism.batch_size
    least = parallelism.lanes * batch
    length = _FIRST_BATCHES * least
    while lacking := {
        key: own.done for key, own in answers.items() if own.decoders and own.done < own.stop
    }:
        start = min(lacking.values())
        others = (done for done in lacking.values() if done > start)
        ends = (answers[key].stop for key in lacking)
        stop = min(start + length, *ends, *others)
        began = time.monotonic()
        yield start, stop, [key for key, done in lacking.items() if done == start]
        speed = (stop - start) / max(time.monotonic() - began, 1e-3)
        length = max(least, int(speed * _KEEP_EVERY) // batch * batch)


def _keep(answers: Iterable[_Answers]) -> None:
    """Write what is not on disk yet; log a warning if that fails."""
    try:
        for own in answers:
            own.keep()
    except DataError as error:
        _log.warning("Predictions so far are not kept: %s", error.message)


class _Answers:
    """What the decoders of one run have answered of a span, in the batches' order of instances."""

    def __init__(self, run: NetworkRun, batch_size: int, span: Span) -> None:
        self._run = run
        self._batch_size = batch_size
        self.stop = span.stop
        files = {decoder: run.files[decoder] for decoder in run.decoders}
        kept = {decoder: read_parts(file, batch_size, span) for decoder, file in files.items()}
        # The network runs for all decoders at once, so it starts where the first of them lacks
        # something.
        stops = zip(*([part.stop for part in own] for own in kept.values()), strict=False)
        common = sum(1 for _ in takewhile(lambda own: len(set(own)) == 1, stops))
        self._parts = {decoder: own[:common] for decoder, own in kept.items()}
        self._failures: dict[Decoder, PosebenchError] = {}
        first = self._parts[run.decoders[0]]
        self._kept = self.done = first[-1].stop if first else span.start

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """The decoders that have not failed."""
        return tuple(name for name in self._run.decoders if name not in self._failures)

    @property
    def left(self) -> NetworkRun:
        """The run with these decoders only."""
        return replace(self._run, decoders=self.decoders)

    def add(self, start: int, stop: int, outcomes: Mapping[Decoder, Outcome]) -> None:
        """Take the outcomes of these decoders for one segment."""
        for decoder, outcome in outcomes.items():
            if outcome.failure is not None:
                self._failures[decoder] = outcome.failure
            if outcome.predictions is not None:
                part = Part(start, stop, outcome.predictions, outcome.seconds)
                self._parts[decoder].append(part)
        self.done = stop

    def keep(self) -> None:
        """Write what is not on disk yet.

        Raises `DataError` if that fails.
        """
        if self.done == self._kept:
            return
        for decoder in self.decoders:
            parts = self._parts[decoder]
            new = [part for part in parts if part.start >= self._kept]
            parts[-len(new) :] = [joined(new)]
            write_part(self._run.files[decoder], self._batch_size, parts[-1])
        self._kept = self.done

    def outcomes(self, rows: NDArray[np.intp]) -> dict[Decoder, Outcome]:
        """Return the outcome of each decoder, with the instances in the order of `rows`."""
        return {decoder: self._outcome(decoder, rows) for decoder in self._run.decoders}

    def _outcome(self, decoder: Decoder, rows: NDArray[np.intp]) -> Outcome:
        parts = self._parts[decoder]
        if decoder in self._failures or not parts:
            return Outcome(None, 0.0, self._failures.get(decoder))
        whole = joined(parts)
        return Outcome(picked(whole.predictions, rows), whole.seconds)
