"""The probes that a suite may ask for, and how much they read. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from posebench.errors import SpecError

ProbeName = Literal["identity", "decay", "position-code", "keypoint-vectors", "tokens"]
PROBE_NAMES: tuple[ProbeName, ...] = get_args(ProbeName)
# More people make intervals narrower by less than anybody reads.
MOST_PEOPLE = 10_000


@dataclass(frozen=True)
class ProbeSettings:
    """How much probes read: up to `people` people of a data set, and the `seed` of what is drawn.

    Drawn are the people, the weights of untrained twins, permutations and episodes.
    """

    people: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.people <= MOST_PEOPLE:
            raise SpecError(f"probing: people must lie between 1 and {MOST_PEOPLE}.")
        if self.seed < 0:
            raise SpecError("probing: seed must not be negative.")
