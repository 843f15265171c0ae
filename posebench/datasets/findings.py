"""Findings on a data set, each with its first offenders, and the tests of plain JSON values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")
_SHOWN = 5
# JSON can write whole numbers that no float can hold.
_FLOAT_BITS = 1023


@dataclass(frozen=True)
class Finding:
    """One kind of defect: `count` rows have it, `offenders` names the first of them.

    An `error` makes scores meaningless or impossible, a `warning` may move them, a `note` is
    handled but worth knowing.
    """

    level: Level
    what: str
    count: int = 1
    offenders: tuple[str, ...] = ()
    hint: str | None = None

    def __str__(self) -> str:
        if not self.offenders:
            return f"{self.what}."
        more = f" and {self.count - len(self.offenders)} more"
        listing = ", ".join(self.offenders) + (more if self.count > len(self.offenders) else "")
        return f"{self.what}: {listing}."


def finding(
    level: Level, what: str, offenders: Iterable[object], hint: str | None = None
) -> list[Finding]:
    """Return one finding on these offenders, or none where there are none."""
    names = [str(offender) for offender in offenders]
    return [Finding(level, what, len(names), tuple(names[:_SHOWN]), hint)] if names else []


def is_number(value: Any) -> bool:
    """Tell whether a JSON value is a finite number."""
    if type(value) is int:
        return value.bit_length() <= _FLOAT_BITS
    return type(value) is float and math.isfinite(value)


def is_integer(value: Any) -> bool:
    """Tell whether a JSON value is a whole number written as one."""
    return type(value) is int


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


def shown(value: Any) -> str:
    """Return a JSON value as text short enough for a message."""
    return repr(value)[:40]
