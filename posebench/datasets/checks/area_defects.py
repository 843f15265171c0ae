"""Areas of persons that cannot be square pixels of the people in their boxes."""

from __future__ import annotations

from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.checks.findings import (
    FARTHEST,
    Finding,
    finding,
    is_number,
    person_name,
)
from posebench.datasets.columns import number_column

Row = dict[str, Any]
# Square pixels; an area up to this is wrong, unless the box is as small.
_TINY = 1.0
# An area may exceed its box by this factor, for rounding.
_SLACK = 1.05
# People fill 0.3 to 0.7 of their boxes; a file whose median is below this has other units, or
# areas of smaller images.
_LEAST_SHARE = 0.15
# With fewer persons, areas that equal their boxes are chance.
_FEWEST = 3
_HINT = "--area-rule box takes 0.53 of each box instead, as is usual where areas are missing."


def area_defects(
    rows: list[Row], boxes: NDArray[np.float64], labelled: list[bool]
) -> list[Finding]:
    """Return findings on areas; only those of labelled persons with a box are judged by size."""
    areas, extents = _areas(rows), boxes[:, 2] * boxes[:, 3]
    odd = ~((areas >= 0) & (areas <= FARTHEST**2))
    what = "Persons whose `area` is missing, negative or not a number"
    found = finding("area-missing", what, map(person_name, compress(rows, odd)), _HINT)
    judged = ~odd & (boxes[:, 2:] > 0).all(axis=1) & np.array(labelled, dtype=bool)
    tiny = list(compress(rows, judged & (areas <= _TINY) & (extents / 4 > areas)))
    found += finding(
        "area-tiny",
        "Labelled persons whose `area` is 1 square pixel or less (no keypoint but an exact one "
        "counts as right)",
        map(person_name, tiny),
        _HINT,
    )
    total = int(np.count_nonzero(judged))
    if 2 * len(tiny) > total:
        what = f"The areas of {len(tiny)} of {total} labelled persons are not square pixels"
        found.append(Finding("areas-meaningless", what, len(tiny), hint=_HINT))
    elif total and (share := float(np.median(areas[judged] / extents[judged]))) < _LEAST_SHARE:
        what = (
            f"The `area` of {total} labelled persons is {share:.2g} of their `bbox` in the median, "
            "where people fill about half: hits count as misses (--area-rule box takes 0.53 of "
            "each box instead)"
        )
        found.append(Finding("areas-small", what, total, hint=_HINT))
    whole = judged & np.isclose(areas, extents, rtol=1e-3)
    if total >= _FEWEST and whole.sum() == total:
        what = (
            f"The `area` of all {total} labelled persons is that of their whole `bbox`, where "
            "COCO's is that of the person, about half: AP is higher than with such areas"
        )
        found.append(Finding("areas-of-boxes", what, total))
    above = judged & (areas > _SLACK * extents + 1)
    if above.any():
        times = np.median(areas[above] / extents[above])
        what = (
            f"Labelled persons whose `area` is larger than their `bbox`, {times:.3g} times in the "
            "median, so that misses count as near (--area-rule box takes 0.53 of each box instead)"
        )
        names = map(person_name, compress(rows, above))
        found += finding("area-above-box", what, names, _HINT)
    return found


def _areas(rows: list[Row]) -> NDArray[np.float64]:
    """Return the areas (N,), NaN where `area` is not a number."""
    try:
        return number_column([row["area"] for row in rows])
    except (KeyError, TypeError, ValueError, OverflowError):
        return np.array([_number(row.get("area")) for row in rows])


def _number(value: Any) -> float:
    return float(value) if is_number(value) else np.nan
