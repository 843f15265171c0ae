"""Names of files made from what their contents are called."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MOST_CHARACTERS = 180


def distinct_file_names(texts: Iterable[str]) -> list[str]:
    """Return a name for each text, safe in any file system; all differ, also where case does not.

    Of texts with the same name the second has `-2` behind it, and so on.
    """
    taken = set[str]()
    names = []
    for text in texts:
        name = _UNSAFE.sub("-", text).strip(".-")[:_MOST_CHARACTERS]
        tries = (name if count == 1 else f"{name}-{count}" for count in itertools.count(1))
        free = next(each for each in tries if each.lower() not in taken)
        taken.add(free.lower())
        names.append(free)
    return names
