"""The folder for files that posebench can make again: rendered scenes, predictions."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from posebench.files.locking import VARIABLE, NoLocksError, locks_are_on, taken

_log = logging.getLogger(__name__)
_LOCKS = ".locks"
# The folders that this process uses: their locks are held until it ends.
_USED: dict[Path, AbstractContextManager[object]] = {}


def cache_directory() -> Path:
    """Return `POSEBENCH_CACHE`, else the user's cache folder on this system.

    On Linux that is `XDG_CACHE_HOME/posebench`, or `~/.cache/posebench`. Raises `RuntimeError` if
    the user has no home folder.
    """
    own = os.environ.get("POSEBENCH_CACHE")
    if own:
        return Path(own)
    from platformdirs import user_cache_path

    folder = user_cache_path("posebench", appauthor=False)
    if str(folder).startswith("~"):
        raise RuntimeError("The user has no home folder.")
    return folder


def predictions_directory() -> Path | None:
    """Return the folder that predictions are kept in, or None if the user has no home folder."""
    try:
        return cache_directory() / "predictions"
    except RuntimeError:
        return None


def mark_used(path: Path) -> None:
    """Set the modification time to now: `posebench cache prune` removes the least recently used."""
    with contextlib.suppress(OSError):
        os.utime(path)


def cached_folder(name: str, make: Callable[[Path], object]) -> Path:
    """Return the cached folder `name`; call `make(folder)` to fill it if it does not exist.

    The folder appears under its name only when complete. While another process fills it, this one
    waits. The folder is not pruned before this process ends. If the cache cannot be written, a
    temporary folder takes its place and is removed when the process ends.
    """
    try:
        root = cache_directory()
        root.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError if the user has no home folder
        return _temporary(make)
    final = root / name
    with _held(root, name) as is_locked:
        if not final.is_dir():
            if is_locked:
                _remove_leftovers(root, name)
            try:
                work = Path(tempfile.mkdtemp(dir=root, prefix=f".{name}."))
            except OSError:
                return _temporary(make)
            _fill(work, final, make)
        mark_used(final)
        if is_locked:
            _keep(final)
    return final


def _fill(work: Path, final: Path, make: Callable[[Path], object]) -> None:
    try:
        make(work)
        try:
            work.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _temporary(make: Callable[[Path], object]) -> Path:
    work = Path(tempfile.mkdtemp(prefix="posebench-"))
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    make(work)
    return work


def _remove_leftovers(root: Path, name: str) -> None:
    """Remove what a killed process left behind; only the holder of the folder's lock fills it."""
    for path in root.glob(f".{name}.*"):
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _held(root: Path, name: str) -> Iterator[bool]:
    """Wait until this process alone holds a folder of the cache; yield whether it is locked."""
    lock = None
    path = root / _LOCKS / f"{name}.lock"
    with contextlib.suppress(OSError, NoLocksError):  # without one, two may do the same work
        path.parent.mkdir(exist_ok=True)
        lock = taken(path)
        if lock is None:
            _log.warning("Another process is making %s: waiting for it.", root / name)
            lock = taken(path, -1)
    with lock or contextlib.nullcontext():
        yield lock is not None


def _keep(folder: Path) -> None:
    """Hold a lock that tells other processes that this one uses the folder."""
    if folder in _USED:
        return
    path = folder.parent / _LOCKS / folder.name / f"{uuid.uuid4().hex}.lock"
    with contextlib.suppress(OSError, NoLocksError):
        path.parent.mkdir(exist_ok=True)
        lock = taken(path)
        if lock is not None:
            _USED[folder] = lock
            atexit.register(path.unlink, missing_ok=True)


@contextmanager
def unused(folder: Path) -> Iterator[bool]:
    """Yield whether a folder of the cache is unused; no process can begin to use it meanwhile.

    Raises `NoLocksError` if the file system has no locks.
    """
    if not locks_are_on():
        raise NoLocksError(
            f"Locks are off, so that nobody can tell whether a process uses {folder}.",
            hint=f"Unset {VARIABLE}.",
        )
    locks = folder.parent / _LOCKS
    locks.mkdir(exist_ok=True)
    lock = taken(locks / f"{folder.name}.lock")
    if lock is None:
        yield False
        return
    with lock:
        yield not any(_is_held(path) for path in (locks / folder.name).glob("*.lock"))


def _is_held(path: Path) -> bool:
    """Tell whether the process that owns this lock file still runs; delete the file if not."""
    lock = taken(path)
    if lock is None:
        return True
    with lock:
        path.unlink(missing_ok=True)
    return False
