"""Why something failed, in one line of a table."""

from __future__ import annotations

import logging

from posebench.errors import PosebenchError, in_one_line

_log = logging.getLogger(__name__)


def reason_of(error: Exception, what: str) -> str:
    """Return why something failed in one line; log where, for `--debug`."""
    _log.debug("%s failed", what, exc_info=error)
    if isinstance(error, PosebenchError):
        return in_one_line(error)
    if isinstance(error, OSError):  # of the system, such as a full disk
        place = "" if error.filename is None else f"{error.filename} cannot be used: "
        return f"{place}{error.strerror or in_one_line(error)}"
    return f"internal error, {type(error).__name__}: {in_one_line(error)} (--debug shows where)"
