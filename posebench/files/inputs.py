"""Tell files from pipes and devices, which a reader might wait on for ever."""

from __future__ import annotations

import stat
from pathlib import Path

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def not_a_file(path: Path) -> str | None:
    """Return what `path` is, such as `a pipe`, or None if it is a plain file.

    Links are followed. Raises `OSError` if nothing is there.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return None
    return next((what for is_kind, what in _KINDS if is_kind(mode)), "no plain file")


def is_there(path: Path) -> bool:
    """Tell whether anything is at `path`; nothing is at one that no name could be."""
    try:
        path.stat()
    except (OSError, ValueError):  # too long, or with a null character
        return False
    return True


def in_home(text: str) -> Path:
    """Return a path whose `~` is the user's home; one of an unknown user stays as it is."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        return Path(text)
