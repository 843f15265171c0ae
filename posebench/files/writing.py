"""Writing of files: each is written whole or not at all, to wherever its path leads.

A link is followed and stays; a device, a pipe and an open file (`/dev/stdout`, `/dev/fd/63`) take
the bytes when they are complete; a folder and a disk are refused.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from posebench.errors import DataError, UsageError

_OPEN_FILES = Path("/dev/fd")
_MOST_LINKS = 40
# Characters of a file's name that its temporary name keeps: the longest names have no room for
# more.
_KEPT_CHARACTERS = 24


def check_writable(path: Path) -> None:
    """Raise `UsageError` if a file could not be written, before the work for it begins."""
    try:
        target = _target(path)
        if _is_stream(target):
            return
        _mode(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a file to write.") from None
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{path} cannot be written: it lies below a file.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


@contextmanager
def naming_what_cannot_be_written(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside the block into an error that names the file."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from None


def write_json(path: Path, value: Any) -> None:
    """Write strict JSON (no NaN) as `put_when_written` does."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write `text` as `put_when_written` does, so that no reader sees half a file."""
    with put_when_written(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def put_when_written(path: Path) -> Iterator[Path]:
    """Yield a temporary name; put the file where `path` leads when the block ends well.

    A replaced file keeps its mode; a new one gets the default. Missing folders are made. If the
    block fails, no file is left. Raises `OSError` if the file cannot be written.
    """
    target = _target(path)
    if _is_stream(target):
        with tempfile.TemporaryDirectory(prefix="posebench-") as folder:
            written = Path(folder) / f"output{path.suffix}"
            yield written
            with written.open("rb") as source, _opened(target) as sink:
                shutil.copyfileobj(source, sink)
        return
    mode = _mode(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    suffix = target.suffix if len(target.suffix) <= _KEPT_CHARACTERS else ""
    prefix = f".{target.stem[:_KEPT_CHARACTERS]}."
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(mode)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    """Resolve the links of `path`, unless it stands for an open file of this process."""
    target = path
    for _ in range(_MOST_LINKS):
        if _descriptor(target) is not None or not target.is_symlink():
            return target
        target = target.parent / target.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def _descriptor(path: Path) -> int | None:
    """Return the number of the open file of this process that a path stands for."""
    if not path.name.isdecimal() or not _OPEN_FILES.is_dir():
        return None
    return int(path.name) if path.parent.resolve() == _OPEN_FILES.resolve() else None


def _is_stream(target: Path) -> bool:
    """Tell whether bytes go straight to `target`, as to a pipe or device.

    Raises `OSError` if it is a folder or a disk.
    """
    if _descriptor(target) is not None:
        return True
    try:
        kind = target.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(target))
    if stat.S_ISBLK(kind):
        raise PermissionError(errno.EPERM, "it is a disk, not a file", str(target))
    return not stat.S_ISREG(kind)


def _opened(target: Path) -> BinaryIO:
    """Open a stream; in an open file, writing continues behind what was printed to it."""
    number = _descriptor(target)
    if number is None:
        return target.open("wb")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return os.fdopen(os.dup(number), "wb")


def _mode(target: Path) -> int:
    """Return the mode of an existing file, or that of any new file.

    Raises `PermissionError` if the owner has made the file read-only.
    """
    try:
        mode = stat.S_IMODE(target.stat().st_mode) & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return mode
