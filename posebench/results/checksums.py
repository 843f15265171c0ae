"""Whether a stored document is what was written: its checksum, and values that are possible."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from posebench.files.hashing import content_key
from posebench.results.cell import CellResult
from posebench.results.numbers import number_named

CHECKSUM = "sha256"
# Rounding may leave fractions this far outside 0 to 1.
_ROUNDING = 1e-9


def with_checksum(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain data with the SHA-256 of its JSON in front.

    There it is a line of its own, which can be deleted by hand, with its comma.
    """
    return {CHECKSUM: content_key(json.loads(json.dumps(document))), **document}


def fits_checksum(document: Mapping[str, Any]) -> bool:
    """Tell whether a document that was read fits its own checksum."""
    rest = {name: value for name, value in document.items() if name != CHECKSUM}
    try:
        return bool(content_key(rest) == document[CHECKSUM])
    except ValueError:  # NaN, which posebench never writes
        return False


def impossible_value(
    result: CellResult, keypoints: Mapping[str, float | None] | None = None
) -> str | None:
    """Return the first impossible number of a result, such as `AP is 2.0`, or None."""
    fractions = [
        ("", result.metrics or {}),
        ("official ", result.official.metrics if result.official else {}),
        ("low ", result.intervals.low if result.intervals else {}),
        ("high ", result.intervals.high if result.intervals else {}),
        ("", keypoints or {}),
    ]
    for prefix, values in fractions:
        for name, value in values.items():
            most = number_named(name).most + _ROUNDING
            if value is not None and not -_ROUNDING <= value <= most:
                return f"{prefix}{name} is {value}"
    for name, value in _amounts(result):
        if value is not None and not 0 <= value < math.inf:
            return f"{name} is {value}"
    return None


def _amounts(result: CellResult) -> Iterator[tuple[str, float | None]]:
    yield "GFLOPs", result.gflops
    yield "instances per second", result.instances_per_second
