"""Parts of a cell's predictions, kept while it runs: a killed run goes on where it was.

Parts lie beside the file of all predictions, which replaces them in the end. They follow one
another in the order of the batches. Deleting any of them is safe.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from posebench.errors import DataError, in_one_line
from posebench.prediction.kept.predictions import CachedFile, read_arrays, write_arrays
from posebench.prediction.predictions import Predictions

_log = logging.getLogger(__name__)
_PART = re.compile(r"\.batch(\d+)\.(\d+)-(\d+)\.part\.npz$")


@dataclass(frozen=True, eq=False)
class Part:
    """Predictions of the instances from `start` up to `stop`, and the seconds they took."""

    start: int
    stop: int
    predictions: Predictions
    seconds: float


@dataclass(frozen=True)
class Span:
    """The instances from `start` up to `stop`, in the order of the batches."""

    start: int
    stop: int


def read_parts(file: CachedFile, batch_size: int, span: Span) -> list[Part]:
    """Return the kept parts of a span of a cell's instances, from its start on.

    Only parts made of the same batches count, because others could round differently. A damaged
    part and all that follow it are left out, with a warning.
    """
    spans: dict[int, int] = {}
    for size, start, stop in _kept_spans(file):
        if size == batch_size:
            spans[start] = max(stop, spans.get(start, 0))
    parts: list[Part] = []
    while (start := parts[-1].stop if parts else span.start) in spans:
        part_file = _part_file(file, batch_size, start, spans[start])
        try:
            predictions, seconds = read_arrays(part_file, "seconds")
            if len(predictions) != spans[start] - start or not start < spans[start] <= span.stop:
                raise DataError(f"{part_file.path} holds {len(predictions)} instances.")
        except DataError as error:
            _log.warning("%s. They are made again.", in_one_line(error).rstrip("."))
            break
        parts.append(Part(start, spans[start], predictions, seconds))
    return parts


def kept_batch_size(files: Sequence[CachedFile]) -> int | None:
    """Return how many instances the batches of most kept answers have, None if none are kept."""
    kept: Counter[int] = Counter()
    for file in files:
        for size, start, stop in _kept_spans(file):
            kept[size] += stop - start
    return max(sorted(kept), key=kept.__getitem__, default=None)


def _kept_spans(file: CachedFile) -> Iterator[tuple[int, int, int]]:
    """Yield the batch size, the start and the stop of each kept part."""
    for path in file.path.parent.glob(f"{file.path.stem}.batch*.part.npz"):
        if found := _PART.search(path.name):
            size, start, stop = map(int, found.groups())
            yield size, start, stop


def write_part(file: CachedFile, batch_size: int, part: Part) -> None:
    """Keep a part.

    Raises `DataError` if it cannot be written.
    """
    part_file = _part_file(file, batch_size, part.start, part.stop)
    write_arrays(part_file, part.predictions, seconds=part.seconds)


def delete_parts(file: CachedFile) -> None:
    """Delete all parts of a cell that is done, whatever their batches."""
    for path in file.path.parent.glob(f"{file.path.stem}.*.part.npz"):
        with suppress(OSError):  # they only take space
            path.unlink()


def joined(parts: Sequence[Part]) -> Part:
    """Return parts that follow one another as one."""
    predictions = Predictions(
        **{
            field.name: np.concatenate([getattr(part.predictions, field.name) for part in parts])
            for field in fields(Predictions)
        }
    )
    seconds = sum(part.seconds for part in parts)
    return Part(parts[0].start, parts[-1].stop, predictions, seconds)


def picked(predictions: Predictions, rows: NDArray[np.intp]) -> Predictions:
    """Return the predictions of `rows`, in their order."""
    names = (field.name for field in fields(Predictions))
    return Predictions(**{name: getattr(predictions, name)[rows] for name in names})


def _part_file(file: CachedFile, batch_size: int, start: int, stop: int) -> CachedFile:
    name = f"{file.path.stem}.batch{batch_size}.{start}-{stop}.part.npz"
    path: Path = file.path.with_name(name)
    return CachedFile(path, {**file.identity, "batch_size": batch_size, "span": [start, stop]})
