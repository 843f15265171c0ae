"""A sign: what may have made one results file differ from another, and how much that explains."""

from __future__ import annotations

from dataclasses import dataclass

from posebench.scoring.matching.detections import ResultColumns

# What cannot be undone comes behind what explains more than this.
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class ReadFile:
    """A results file as columns, and what to call it."""

    name: str
    columns: ResultColumns


@dataclass(frozen=True)
class Sign:
    """What two files say of their difference.

    `explains` is the share of the distance between their poses that goes when the cause is undone,
    None where it is seen and cannot be undone; `ap` is what the second file would score without
    the cause, a fraction, or None where it stays.
    """

    cause: str
    text: str
    explains: float | None = None
    ap: float | None = None

    @property
    def rank(self) -> float:
        """Its place among signs, the lowest first: what explains most, what cannot be undone."""
        return -round(_HALF if self.explains is None else self.explains, 2)


def percent(share: float) -> str:
    """Show a share in whole percent."""
    return f"{100 * share:.0f} %"
