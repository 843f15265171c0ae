"""Whether a file can be written, told before the work, and named where it could not be."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from posebench.errors import DataError, UsageError


def check_writable(path: Path) -> None:
    """Raise `UsageError` where a file could not be written after all the work."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a file to write.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{path} cannot be written: it lies below a file.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


@contextmanager
def naming_what_cannot_be_written(path: Path) -> Iterator[None]:
    """Say which file could not be written."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from None
