"""Which cells a figure shows: patterns of ids as in `posebench run --only`, and of fields."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from posebench.errors import UsageError, nearest
from posebench.judging.claim_cells import claim_cell
from posebench.results.reading import ReadCell
from posebench.results.store import StoredCell
from posebench.suites.claims import FIELDS, LABEL


def selected(cells: Sequence[ReadCell], only: Sequence[str]) -> list[ReadCell]:
    """Return the cells that fit every filter.

    A filter is a pattern of ids, such as `*_gt_*`, or a field of a cell with patterns of its value,
    such as `policy=native,resample`, of which one must fit. Raises `UsageError` for a field that
    there is not, and if no cell is left.
    """
    fields = [claim_cell(StoredCell(each.id, each.result, each.labels)).fields for each in cells]
    kept = list(range(len(cells)))
    for text in only:
        name, is_field, patterns = text.partition("=")
        if is_field:
            _check_field(name, {key for each in fields for key in each})
            values = [each.get(name, "") for each in fields]
        else:
            patterns, values = text, [each.id for each in cells]
        wanted = patterns.split(",")
        kept = [
            i for i in kept if any(fnmatch.fnmatchcase(values[i], pattern) for pattern in wanted)
        ]
        if cells and not kept:
            there = sorted({value for value in values if value})
            raise UsageError(
                f"--only {text} leaves no cell.",
                hint=f"There are: {', '.join(there)}."
                if there
                else "A results file has no ids: filter by a field, such as policy=native.",
            )
    return [cells[index] for index in kept]


def _check_field(name: str, present: set[str]) -> None:
    if name not in FIELDS and name not in present:
        known = [field for field in FIELDS if field in present]
        known += sorted(field for field in present if field.startswith(LABEL))
        raise UsageError(f"There is no field {name!r} to filter by.", hint=nearest(name, known))
