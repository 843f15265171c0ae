"""How often Python looks for garbage while a command runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New objects between two searches, searches of the young between two of the middle-aged, and those
# between two of all. By Python's own 700, 10 and 10, torch's modules and a data set's rows, which
# live as long as the command, are searched again and again: half of the time of reading a file.
_SELDOM = (50_000, 20, 50)


@contextmanager
def seldom_searched() -> Iterator[None]:
    """Let Python look for objects that only refer to each other less often in this block.

    All other objects are freed at once, as always.
    """
    before = gc.get_threshold()
    gc.set_threshold(*_SELDOM)
    try:
        yield
    finally:
        gc.set_threshold(*before)
