"""The record of an explanation: two numbers, and the way from one to the other. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from posebench.scoring.signs.sign import Sign
from posebench.scoring.statistics.estimates import Estimate

How = Literal["measured", "published", "not measured"]
SideKind = Literal["run", "results file", "published"]


@dataclass(frozen=True)
class SideFacts:
    """One of the two: where it was read, what it is, and its AP, a fraction."""

    source: str
    kind: SideKind
    name: str
    ap: float | None
    about: str = ""


@dataclass(frozen=True)
class Step:
    """A field that differs and what going from their value to mine changes in AP.

    `effect` is a difference of fractions, None where nothing tells it; `how` says what tells it
    and `source` where. A `published` effect is that of other checkpoints.
    """

    field: str
    theirs: str
    mine: str
    effect: Estimate | None
    how: How
    source: str


@dataclass(frozen=True)
class Explanation:
    """The way from their AP to mine.

    `steps` are the fields that differ, what moves AP most first and the unknown last; `rest` is
    what remains of mine minus theirs when all effects are taken away, with its interval over
    resampled images where there is one. `signs` are causes seen in the poses, most telling first;
    `not_said` are fields that one of the two does not state.
    """

    mine: SideFacts
    theirs: SideFacts
    steps: tuple[Step, ...] = ()
    total: Estimate | None = None
    rest: Estimate | None = None
    signs: tuple[Sign, ...] = ()
    not_said: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def cause(self) -> str | None:
        """What explains most: the field or sign that is named first, None without any."""
        if self.steps:
            return self.steps[0].field
        return self.signs[0].cause if self.signs else None
