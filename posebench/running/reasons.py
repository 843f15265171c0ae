"""Why something failed, in one line of a table."""

from __future__ import annotations

import logging

from posebench.errors import PosebenchError, in_one_line

_log = logging.getLogger(__name__)
_DEBUG = "--debug shows where"


def reason_of(error: Exception, what: str) -> str:
    """Return why something failed in one line; log where, for `--debug`."""
    _log.debug("%s failed", what, exc_info=error)
    if isinstance(error, PosebenchError):
        return in_one_line(error)
    kind, said = type(error).__name__, in_one_line(error)
    if isinstance(error, OSError):
        said = error.strerror or said or kind
        if error.filename is not None:
            return f"{error.filename} cannot be used: {said}"
        return f"{said} ({_DEBUG})"  # of the system, such as a full disk or a lost connection
    return f"internal error, {f'{kind}: {said}' if said else kind} ({_DEBUG})"
