"""Who may write to a run directory: one process for all of it, or one for each of its shards."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from posebench.errors import UsageError
from posebench.files.locking import taken
from posebench.files.writing import naming_what_cannot_be_written

_LOCK = ".lock"
_SHARD_LOCK = re.compile(r"\.lock-shard-(\d+)-of-(\d+)")
# Seconds that a lock may be held for a look at who else is there.
_PATIENCE = 5.0


@dataclass(frozen=True, order=True)
class Shard:
    """One of `count` parts of a run, from 1 on; printed as people write it, `2/7`."""

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @property
    def lock(self) -> str:
        """The name of its lock in a run directory."""
        return f".lock-shard-{self.index}-of-{self.count}"


@contextmanager
def locked(folder: Path, shard: Shard | None = None) -> Iterator[None]:
    """Hold a run directory, or one shard of it, for one process.

    Shards of one count do not get into each other's way. Raises `UsageError` if another process
    holds what would, or if the file system has no locks. The system releases the lock when the
    process ends, however it ends.
    """
    with naming_what_cannot_be_written(folder):
        folder.mkdir(parents=True, exist_ok=True)
        whole = folder / _LOCK
        own = taken(whole if shard is None else folder / shard.lock, _PATIENCE)
    if own is None:
        what = "" if shard is None else f"shard {shard} of "
        raise _held(f"Another process is running in {what}{folder}.")
    with own:
        if shard is not None:
            _check_free(whole, f"Another process is running all of {folder}.")
        for other in shards_in(folder):
            if shard is None or other.count != shard.count:
                _check_free(folder / other.lock, f"Another process runs shard {other} of {folder}.")
        yield


def shards_in(folder: Path) -> tuple[Shard, ...]:
    """Return the shards that processes have begun in a run directory, in order."""
    names = (_SHARD_LOCK.fullmatch(path.name) for path in folder.glob(".lock-shard-*"))
    return tuple(sorted(Shard(int(found[1]), int(found[2])) for found in names if found))


def is_running(folder: Path, shard: Shard | None = None) -> bool:
    """Tell whether a process holds a run directory, or one shard of it, at this moment.

    Raises `UsageError` if the file system has no locks.
    """
    path = folder / (_LOCK if shard is None else shard.lock)
    if not path.is_file():
        return False
    with naming_what_cannot_be_written(folder):
        lock = taken(path)
    if lock is None:
        return True
    with lock:
        return False


def _check_free(path: Path, what: str) -> None:
    """Check that nobody holds a lock, which is taken for a moment.

    Raises `UsageError` if somebody does.
    """
    with naming_what_cannot_be_written(path.parent):
        lock = taken(path, _PATIENCE)
    if lock is None:
        raise _held(what)
    with lock:
        pass


def _held(what: str) -> UsageError:
    return UsageError(what, hint="Wait for it, or choose another folder with --out.")
