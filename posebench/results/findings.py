"""What was found in the data and the checkpoints of results, as lines to show beside numbers."""

from __future__ import annotations

from collections.abc import Iterable

from posebench.datasets.categories import EVERY
from posebench.datasets.checks.findings import LEVELS
from posebench.results.cell import CellFinding, CellResult


def finding_lines(results: Iterable[CellResult]) -> list[str]:
    """Return each finding once, worst first, with the data set or checkpoint that it is of.

    Data sets are named where there are several, checkpoints always.
    """
    found = [(_place(result, each), each) for result in results for each in result.findings]
    data = {place for place, each in found if each.about == "data"}
    unique = sorted(dict.fromkeys(found), key=lambda pair: LEVELS.index(pair[1].level))
    return [
        _line(each, place if each.about == "checkpoint" or len(data) > 1 else None)
        for place, each in unique
    ]


def warned_of(lines: Iterable[str]) -> list[str]:
    """Return the names of findings that may move numbers, each once, from their lines."""
    grave = [line for line in lines if not line.startswith("note: ")]
    return list(dict.fromkeys(line.rpartition(" [")[2].removesuffix("]") for line in grave))


def _place(result: CellResult, found: CellFinding) -> str:
    if found.about == "checkpoint":
        return result.checkpoint.name
    protocol = result.protocol
    category = "every category" if protocol.category == EVERY else f"category {protocol.category}"
    return f"{protocol.dataset}, boxes {protocol.boxes}, {category}"


def _line(found: CellFinding, place: str | None) -> str:
    where = "" if place is None else f"{place}: "
    return f"{found.level}: {where}{found.text} [{found.kind}]"
