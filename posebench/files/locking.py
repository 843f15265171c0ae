"""File locks between processes; the system releases a lock when its process ends in any way."""

from __future__ import annotations

import errno
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from filelock import FileLock, Timeout

from posebench.errors import UsageError

VARIABLE = "POSEBENCH_LOCKS"
# Answers of NFS without its lock service and of Lustre mounted without `flock`.
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)


class NoLocksError(UsageError):
    """The file system has no locks."""


def locks_are_on() -> bool:
    """Tell whether the user lets posebench lock files."""
    return os.environ.get(VARIABLE) != "off"


def taken(path: Path, seconds: float = 0) -> AbstractContextManager[object] | None:
    """Take a lock and return it, to be released at the end of its block.

    Return None if another process still holds it after `seconds` (negative: wait for ever). Raises
    `NoLocksError` if the file system has no locks, and `OSError` if the lock's file cannot be
    written. With `POSEBENCH_LOCKS=off` nothing is locked.
    """
    if not locks_are_on():
        return nullcontext()
    # A marker file would outlive a killed process; a lock does not.
    lock = FileLock(path, fallback_to_soft=False)
    try:
        return lock.acquire(timeout=seconds)
    except Timeout:
        return None
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        raise NoLocksError(
            f"The file system of {path.parent} has no locks ({error.strerror}), so that nothing "
            "would keep two processes from writing there at once.",
            hint="Choose a folder on another file system, or ask for the mount option: flock on "
            f"Lustre, the lock service on NFS. If no other process uses the folder, set {VARIABLE}"
            "=off to go on without a lock.",
        ) from None
