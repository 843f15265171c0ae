"""What a path that is to be read leads to: a file, or something that would never end."""

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
    """Return what `path` is where it is no plain file, such as `a pipe`; None for a file.

    Links are followed. Raise `OSError` where there is nothing.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return None
    return next((what for is_kind, what in _KINDS if is_kind(mode)), "no plain file")
