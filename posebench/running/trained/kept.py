"""Trained checkpoints on disk: a folder each, in the run directory and in the user's cache.

A folder is whole once it has its record, which is written last.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posebench.errors import PosebenchError
from posebench.files.cache import cache_directory, mark_used
from posebench.files.hashing import sha256_of
from posebench.files.json_file import read_json
from posebench.files.locking import NoLocksError, taken
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.files.writing import write_json
from posebench.results.store import TRAINED, TRAINED_RECORD

_log = logging.getLogger(__name__)
# In names, before the factor of a further test size.
_AT_SIZE = "@"
_LOCKS = ".locks"
# What a training leaves that was stopped.
STATES = "*.state"


@dataclass(frozen=True)
class TrainedRecord:
    """How a checkpoint was trained.

    `key` is that of the training; `checkpoint` and `curve` are file names beside the record,
    `sha256` that of the checkpoint; `at_sizes` are the files of further test sizes by their factor
    of the trained size; `metrics` are the last ones of the curve, fractions; `environment` is where
    it was made.
    """

    key: str
    name: str
    checkpoint: str
    sha256: str
    curve: str
    recipe: Mapping[str, Any]
    metrics: Mapping[str, float]
    environment: Mapping[str, Any]
    at_sizes: Mapping[str, str] = field(default_factory=dict)


def trained_folder(run: Path, name: str) -> Path:
    """Return the folder of a trained checkpoint in a run directory."""
    return run / TRAINED / name


def name_at(name: str, factor: str) -> str:
    """Return the name of a training's checkpoint at a further test size; `factor` may be empty."""
    return f"{name}{_AT_SIZE}{factor}" if factor else name


def trained_checkpoint(run: Path, name: str) -> Path | None:
    """Return the file of a trained checkpoint in a run directory, None if it is not there.

    `name` is that of its training, at a further test size with `@` and the factor behind it.
    """
    training, _, factor = name.partition(_AT_SIZE)
    folder = trained_folder(run, training)
    record = read_record(folder)
    if record is None:
        return None
    file = record.at_sizes.get(factor) if factor else record.checkpoint
    return None if file is None else folder / file


def write_record(folder: Path, record: TrainedRecord) -> None:
    """Write the record of a checkpoint whose files are in `folder`."""
    write_json(folder / TRAINED_RECORD, mapping_from_record(record))


def read_record(folder: Path) -> TrainedRecord | None:
    """Return the record of a whole folder; None if there is none, or if it is damaged."""
    path = folder / TRAINED_RECORD
    if not path.is_file():
        return None
    try:
        value, _ = read_json(path, "record of a trained checkpoint")
        record = record_from_mapping(TrainedRecord, value, where=str(path))
        same = sha256_of(folder / record.checkpoint) == record.sha256
    except (PosebenchError, OSError, TypeError):
        same = False
    if not same:
        _log.warning("%s is damaged. Its checkpoint is trained again.", folder)
        return None
    return record


def find_trained(run: Path, name: str, key: str) -> TrainedRecord | None:
    """Return the record of a training that is done; what the cache has is copied to the run."""
    folder = trained_folder(run, name)
    own = read_record(folder)
    shared = _cached(key)
    if own is not None and own.key == key:
        if shared is not None and not shared.is_dir():
            share_trained(folder, key)
        return own
    if shared is None:
        return None
    found = read_record(shared)
    if found is None or found.key != key:
        return None
    _copy(shared, folder)
    mark_used(shared)
    return found


def is_begun(run: Path, name: str) -> bool:
    """Tell whether a training that was stopped has left its state."""
    return any(trained_folder(run, name).glob(STATES))


def clear_others(folder: Path, key: str) -> None:
    """Remove what another training left in a folder, and note whose folder it is."""
    mark = folder / f"{key}.key"
    if mark.is_file():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.touch()


def copy_trained(source: Path, run: Path, name: str) -> Path:
    """Copy a whole folder to a run directory, under another name; return the copy."""
    target = trained_folder(run, name)
    _copy(source, target)
    return target


def share_trained(folder: Path, key: str) -> None:
    """Copy a whole folder to the user's cache, as far as that can be done.

    What is there, such as a copy that was damaged, is replaced.
    """
    place = _cached(key)
    if place is not None:
        with contextlib.suppress(OSError):
            _copy(folder, place)


@contextmanager
def training_lock(key: str, run: Path) -> Iterator[None]:
    """Wait until no other process of this user, or in this run directory, trains the same."""
    place = _cached(key)
    folders = [run / TRAINED, *([] if place is None else [place.parent.parent])]
    with contextlib.ExitStack() as held:
        for folder in folders:
            # Without a lock, two may train the same.
            held.enter_context(_held(folder / _LOCKS / f"{TRAINED}-{key}.lock"))
        yield


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Wait for a lock and hold it; go on without one where there are none."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError, NoLocksError):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = taken(path, -1)
            if lock is not None:
                held.enter_context(lock)
        yield


def _cached(key: str) -> Path | None:
    try:
        return cache_directory() / TRAINED / key
    except RuntimeError:  # the user has no home folder
        return None


def _copy(source: Path, target: Path) -> None:
    """Copy a folder; the copy appears under its name only when it is whole.

    A whole folder of the same training, such as another process copied meanwhile, stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    work = target.parent / f".copied-{uuid.uuid4().hex}"
    try:
        shutil.copytree(source, work, ignore=shutil.ignore_patterns(STATES))
        # In the cache, a folder of one kind of entries holds nothing else.
        with _held(target.parent.parent / _LOCKS / f"copied-{target.name}.lock"):
            if not _is_of_one_training(target, work):
                shutil.rmtree(target, ignore_errors=True)
                work.rename(target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _is_of_one_training(one: Path, other: Path) -> bool:
    """Tell whether two folders are whole, and of the same training."""
    records = read_record(one), read_record(other)
    return records[0] is not None and records[1] is not None and records[0].key == records[1].key
