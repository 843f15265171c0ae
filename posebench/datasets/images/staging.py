"""Copies of images on a faster disk, such as a node's own one, made when they are first needed."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from posebench.datasets.images.hashes import PIXELS_FILE
from posebench.files.writing import naming_what_cannot_be_written, put_when_written

_THREADS = 8
# Seconds that file systems round times of change by.
_ROUNDING = 2.0


def staged_paths(
    paths: Sequence[Path], folder: Path, progress: Callable[[int, int], None]
) -> list[Path]:
    """Return copies of files below `folder`, in their order; `progress` gets how many are there.

    A copy is made if it is missing, or if its file has another size or time of change. What is not
    there to be copied keeps its path. Raises `DataError` if a copy cannot be written.
    """
    homes = {parent: folder / _name(parent) for parent in dict.fromkeys(p.parent for p in paths)}
    found: list[Path] = []
    with naming_what_cannot_be_written(folder), ThreadPoolExecutor(_THREADS) as threads:
        for parent, home in homes.items():
            _staged(parent / PIXELS_FILE, home)  # tells rendered images from others
        copies = threads.map(lambda path: _staged(path, homes[path.parent]), paths)
        for copy in copies:
            found.append(copy)
            progress(len(found), len(paths))
    return found


def _name(folder: Path) -> str:
    """Return a name for the copies of a folder's files."""
    return f"{folder.name}-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}"


def _staged(path: Path, home: Path) -> Path:
    try:
        status = path.stat()
    except OSError:
        return path
    copy = home / path.name
    if not _is_fresh(copy, status):
        with put_when_written(copy) as temporary:
            shutil.copyfile(path, temporary)
            os.utime(temporary, ns=(status.st_atime_ns, status.st_mtime_ns))
    return copy


def _is_fresh(copy: Path, status: os.stat_result) -> bool:
    """Tell whether a copy is that of a file, by times that the file's own disk has set."""
    try:
        own = copy.stat()
    except OSError:
        return False
    return own.st_size == status.st_size and abs(own.st_mtime - status.st_mtime) <= _ROUNDING
