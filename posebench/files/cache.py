"""Where posebench keeps what it can make again (rendered scenes, predictions)."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_directory() -> Path:
    """Return `POSEBENCH_CACHE`, else `XDG_CACHE_HOME/posebench`, else `~/.cache/posebench`."""
    own = os.environ.get("POSEBENCH_CACHE")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "posebench"


def predictions_directory() -> Path | None:
    """Return the folder of predictions that are scored again, None where the user has no home."""
    try:
        return cache_directory() / "predictions"
    except RuntimeError:
        return None


def cached_folder(name: str, make: Callable[[Path], object]) -> Path:
    """Return the cached folder `name`, filled by `make(folder)` if it is not there yet.

    The folder appears under its name only when complete, so an interrupted or concurrent run
    never leaves or sees half of one. Where the cache cannot be written, a temporary folder that
    lasts as long as the process is used instead.
    """
    try:
        root = cache_directory()
        root.mkdir(parents=True, exist_ok=True)
        final = root / name
        if final.is_dir():
            return final
        work = Path(tempfile.mkdtemp(dir=root, prefix=f".{name}."))
    except (OSError, RuntimeError):  # the latter where the user has no home folder
        work = Path(tempfile.mkdtemp(prefix="posebench-"))
        atexit.register(shutil.rmtree, work, ignore_errors=True)
        make(work)
        return work
    try:
        make(work)
        try:
            work.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return final
