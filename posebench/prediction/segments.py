"""A pass in segments: its predictions are kept every minute, and not made again after a kill.

Segments are made of whole batches, the same ones that the pass would have in one go, so that no
answer depends on where it was interrupted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset
from posebench.errors import DataError, PosebenchError
from posebench.prediction.crop_batches import image_order
from posebench.prediction.execution import Parallelism
from posebench.prediction.kept_parts import Part, joined, picked, read_parts, write_part
from posebench.prediction.kept_predictions import CachedFile
from posebench.prediction.predict import CellPredictions, PreparedCell, predict

_log = logging.getLogger(__name__)
# Seconds of work that a kill may lose. Lanes wait for one another at the end of every segment.
_KEEP_EVERY = 60.0
# Batches of each lane in the first segment, whose speed says how long the next ones are.
_FIRST_BATCHES = 8


def predict_in_segments(
    cells: Sequence[tuple[PreparedCell, Sequence[CachedFile]]],
    dataset: PoseDataset,
    instances: Instances,
    *,
    parallelism: Parallelism,
    progress: Callable[[int], None],
) -> list[CellPredictions]:
    """Do as `predict` does, but go on where an earlier run was killed.

    Each cell comes with the files that its decoders' predictions belong in. Where one has none, or
    raw outputs to keep, nothing is kept on the way.
    """
    keeps = all(files and cell.raw is None for cell, files in cells)
    if not keeps or not len(instances):
        prepared = [cell for cell, _ in cells]
        return predict(prepared, dataset, instances, parallelism=parallelism, progress=progress)
    order = image_order(instances)
    states = [_Cell(cell, files, parallelism.batch_size, len(order)) for cell, files in cells]
    if before := min((state.done for state in states), default=0):
        progress(before)
    kept_at = time.monotonic()
    try:
        for start, stop, running in _segments(states, parallelism, len(order)):
            outcomes = predict(
                [state.cell for state in running],
                dataset,
                _rows_of(instances, order[start:stop]),
                parallelism=parallelism,
                progress=progress,
            )
            answers = iter(outcomes)
            for state in running:
                state.add(start, stop, answers)
            if time.monotonic() - kept_at >= _KEEP_EVERY:
                _keep(states)
                kept_at = time.monotonic()
    except BaseException:
        _keep(states)
        raise
    rows = np.argsort(order)
    return [outcome for state in states for outcome in state.outcomes(rows)]


def _segments(
    states: Sequence[_Cell], parallelism: Parallelism, total: int
) -> Iterator[tuple[int, int, list[_Cell]]]:
    """Yield where segments of about a minute start and stop, and the cells that lack them."""
    batch = parallelism.batch_size
    least = parallelism.lanes * batch
    length = _FIRST_BATCHES * least
    while lacking := [state for state in states if state.decoders and state.done < total]:
        start = min(state.done for state in lacking)
        others = (state.done for state in lacking if state.done > start)
        stop = min(start + length, total, *others)
        began = time.monotonic()
        yield start, stop, [state for state in lacking if state.done == start]
        speed = (stop - start) / max(time.monotonic() - began, 1e-3)
        length = max(least, int(speed * _KEEP_EVERY) // batch * batch)


def _keep(states: Sequence[_Cell]) -> None:
    """Write what is not on disk yet; what cannot be written is only said."""
    try:
        for state in states:
            state.keep()
    except DataError as error:
        _log.warning("Predictions so far are not kept: %s", error.message)


def _rows_of(instances: Instances, rows: NDArray[np.intp]) -> Instances:
    return Instances(
        instances.image_index[rows],
        instances.ids[rows],
        instances.bbox_xyxy[rows],
        instances.bbox_scores[rows],
    )


class _Cell:
    """What the decoders of one cell have answered so far, instances being in batches' order."""

    def __init__(
        self, cell: PreparedCell, files: Sequence[CachedFile], batch_size: int, total: int
    ) -> None:
        self._whole = cell
        self._files = files
        self._batch_size = batch_size
        kept = [read_parts(file, batch_size, total) for file in files]
        # The network runs for all decoders: from where one of them lacks something.
        together = zip(*kept, strict=False)
        common = takewhile(lambda own: len({part.stop for part in own}) == 1, together)
        self._parts = [list(own) for own in zip(*common, strict=True)] or [[] for _ in files]
        self._failures: list[PosebenchError | None] = [None] * len(files)
        self._kept = self.done = self._parts[0][-1].stop if self._parts[0] else 0

    @property
    def decoders(self) -> list[int]:
        """The positions of the decoders that have not failed."""
        return [index for index, failure in enumerate(self._failures) if failure is None]

    @property
    def cell(self) -> PreparedCell:
        """The cell with these decoders only."""
        return replace(
            self._whole, decoders=tuple(self._whole.decoders[index] for index in self.decoders)
        )

    def add(self, start: int, stop: int, answers: Iterator[CellPredictions]) -> None:
        """Take the answers of these decoders for one segment."""
        for index in self.decoders:
            answer = next(answers)
            self._failures[index] = answer.failure
            if answer.predictions is not None:
                part = Part(start, stop, answer.predictions, answer.seconds)
                self._parts[index].append(part)
        self.done = stop

    def keep(self) -> None:
        """Write what is not on disk yet; raise `DataError`."""
        if self.done == self._kept:
            return
        for index in self.decoders:
            parts = self._parts[index]
            new = [part for part in parts if part.start >= self._kept]
            parts[-len(new) :] = [joined(new)]
            write_part(self._files[index], self._batch_size, parts[-1])
        self._kept = self.done

    def outcomes(self, rows: NDArray[np.intp]) -> Iterator[CellPredictions]:
        """Yield what came of each decoder, with the instances in the order of `rows`."""
        for parts, failure in zip(self._parts, self._failures, strict=True):
            if failure is not None or not parts:
                yield CellPredictions(None, 0.0, failure)
                continue
            whole = joined(parts)
            yield CellPredictions(picked(whole.predictions, rows), whole.seconds)
