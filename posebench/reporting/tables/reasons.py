"""Why cells have no numbers, each reason once. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterable

from posebench.results.cell import CellResult

# How the reason of a cell begins that cannot run at its size.
PLACE = re.compile(r"(?P<size>\d+x\d+) under (?P<policy>\w+): ")


def reason_lines(results: Iterable[CellResult]) -> list[str]:
    """Return one line per distinct reason why cells have no numbers, with those that share it."""
    cells: dict[tuple[str, str], dict[str, list[str]]] = {}
    for result in results:
        if result.reason is None:
            continue
        reason = reason_alone(result.reason)
        sharing = cells.setdefault((result.status, reason), {})
        named = sharing.setdefault(result.checkpoint.name, [])
        if result.size is not None:
            where = f"{result.size} {result.policy}"
            if where not in named:
                named.append(where)
    return [f"{status}: {_cells(sharing)}: {reason}" for (status, reason), sharing in cells.items()]


def reason_alone(reason: str) -> str:
    """Return a reason without the size and policy that it begins with."""
    return PLACE.sub("", reason, count=1)


def _cells(sharing: dict[str, list[str]]) -> str:
    return ", ".join(
        f"{name} ({', '.join(where)})" if where else name for name, where in sharing.items()
    )
