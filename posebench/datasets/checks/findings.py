"""Findings on a data set, each with its first offenders, and the tests of plain JSON values.

`KINDS` lists every finding; `docs/checks.md` says why each matters and what to do about it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
KINDS: Mapping[str, Level] = MappingProxyType(
    {
        # The annotation file and its images.
        "unusable": "error",
        "not-objects": "error",
        "image-id": "error",
        "image-id-twice": "error",
        "image-twice": "warning",
        "image-file-twice": "warning",
        "file-name": "error",
        "image-size": "error",
        "crowd-index": "error",
        # Annotations and categories.
        "annotation-id": "error",
        "annotation-id-twice": "error",
        "annotation-id-zero": "note",
        "unknown-image": "error",
        "category-missing": "warning",
        "category-id": "error",
        "category-unlisted": "warning",
        "categories-left-out": "warning",
        "annotations-left-out": "note",
        "names-count": "error",
        "names-missing": "warning",
        "names-more": "warning",
        "parts-left-out": "note",
        "names-order": "error",
        "names-other": "warning",
        # Persons.
        "keypoints-missing": "error",
        "keypoints-empty": "note",
        "keypoints-length": "error",
        "keypoints-numbers": "error",
        "keypoints-outside": "warning",
        "keypoints-reading": "warning",
        "visibility-flags": "warning",
        "iscrowd": "error",
        "num-keypoints": "error",
        "num-keypoints-missing": "warning",
        "num-keypoints-differs": "warning",
        "num-keypoints-ignores": "note",
        "labels-none": "warning",
        "box-missing": "error",
        "box-empty": "warning",
        "box-outside": "warning",
        "box-reading": "warning",
        "fractions": "error",
        "area-missing": "error",
        "area-tiny": "warning",
        "area-above-box": "warning",
        "areas-small": "warning",
        "areas-of-boxes": "note",
        "areas-meaningless": "error",
        "split-unknown": "warning",
        # Image files.
        "images-unchecked": "note",
        "images-missing": "error",
        "images-unreadable": "error",
        "images-turned": "error",
        "images-resized": "error",
        "images-resampled": "warning",
        "images-other-size": "error",
        "images-orientation": "warning",
        "images-depth": "warning",
        # Detected boxes.
        "boxes-left-out": "note",
        "boxes-none-in-image": "warning",
        "boxes-reading": "warning",
        "boxes-scores-equal": "note",
        "boxes-scores-range": "warning",
        # Results files.
        "results-empty": "warning",
        "results-adapted": "note",
        "results-scores-missing": "warning",
        "results-fields": "error",
        "results-box-some": "error",
        "results-box-negative": "error",
        "results-box-reading": "warning",
        "results-categories": "warning",
        "results-none-of-category": "warning",
        "results-persons-missing": "warning",
        "results-twice": "warning",
        "results-reading": "warning",
        "results-unlike": "warning",
        "results-scores-equal": "warning",
        "results-scores-range": "note",
        "results-scores-tied": "note",
        # Ground truth as predictions.
        "oracle-low": "error",
        "oracle-duplicates": "note",
    }
)
# Pixels; numbers beyond this lie in no image.
FARTHEST = 1e9
_SHOWN = 5
_LONGEST = 100
# JSON can hold whole numbers beyond any float, and ids beyond 64 bits.
_FLOAT_BITS = 1023
_ID_BITS = 63


@dataclass(frozen=True)
class Finding:
    """One kind of defect: `count` rows have it, `offenders` names the first of them.

    An `error` makes scores meaningless or impossible, a `warning` may move them, a `note` is
    handled but worth knowing.
    """

    kind: str
    what: str
    count: int = 1
    offenders: tuple[str, ...] = ()
    hint: str | None = None

    @property
    def level(self) -> Level:
        """How bad it is, as its kind decides."""
        return KINDS[self.kind]

    @property
    def line(self) -> str:
        """The finding in one line, with its level and its name in docs/checks.md."""
        return f"{self.level}: {self} [{self.kind}]"

    def __str__(self) -> str:
        if not self.offenders:
            return f"{self.what}."
        more = f" and {self.count - len(self.offenders)} more"
        listing = ", ".join(self.offenders) + (more if self.count > len(self.offenders) else "")
        return f"{self.what}: {listing}."


def finding(
    kind: str, what: str, offenders: Iterable[object], hint: str | None = None
) -> list[Finding]:
    """Return one finding on these offenders, or an empty list if there are none."""
    names = list(map(str, offenders))
    first = tuple(shortened(name) for name in names[:_SHOWN])
    return [Finding(kind, what, len(names), first, hint)] if names else []


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings with errors first and notes last."""
    return sorted(findings, key=lambda item: LEVELS.index(item.level))


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a finite number."""
    if type(value) is int:
        return value.bit_length() <= _FLOAT_BITS
    return type(value) is float and math.isfinite(value)


def is_integer(value: Any) -> bool:
    """Tell whether a JSON value is written as a whole number and fits signed 64 bits."""
    return type(value) is int and value.bit_length() <= _ID_BITS


def has_length(value: Any, length: int) -> bool:
    """Tell whether a JSON value is a list of this length."""
    return isinstance(value, list) and len(value) == length


def are_numbers(value: Any, length: int) -> bool:
    """Tell whether a JSON value is a list of `length` finite numbers."""
    if not has_length(value, length) or set(map(type, value)) - {int, float}:
        return False
    try:
        return math.isfinite(sum(value)) or all(map(math.isfinite, value))
    except OverflowError:
        return False


def person_name(row: Mapping[str, Any]) -> str:
    """Return what an annotation is called in a finding."""
    return f"annotation {shown(row.get('id'))}"


def shown(value: Any) -> str:
    """Return a JSON value as text short enough for a message."""
    return repr(value)[:40]


def shortened(text: str) -> str:
    """Return a text, cut in its middle if it is too long for a message."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}…{text[-half:]}"
