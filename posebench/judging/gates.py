"""Gates: what a comparison of two runs must not show, written as people say it.

`AP drop 0.3`, `AP drop 0.3 significant`, `left_wrist drop 2`, `speed drop 10%`,
`latency rise 10% significant`, `failed`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from posebench.errors import UsageError

State = Literal["failed", "missing", "new", "incomparable"]
STATES: tuple[State, ...] = ("failed", "missing", "new", "incomparable")
SPEED, CROPS, LATENCY = "speed", "crops/s", "latency"
SPEEDS = (SPEED, CROPS, LATENCY)
_NUMBER = r"(?P<amount>\d+(?:\.\d*)?|\.\d+)(?P<percent>\s*%)?"
_DROP = re.compile(
    rf"(?P<metric>\S+)\s+(?P<way>drop|rise)\s+{_NUMBER}(?P<significant>\s+significant)?"
)
_FORMS = (
    '"AP drop 0.3" (points), "AP drop 0 significant", "left_wrist drop 2" (points of PCK@0.1), '
    f'"speed drop 10%", "crops/s drop 10% significant", "latency rise 10%", {", ".join(STATES)}'
)


@dataclass(frozen=True)
class DropGate:
    """A cell fails whose metric falls by more than `limit`, or rises if it is the latency.

    `limit` is a fraction: of 1 for a metric, of the baseline's value if `relative`. With
    `significant` a fall is let pass whose Holm-adjusted p-value is 0.05 or more; one without
    p-value (no interval, or a metric that has none) is not; of speeds, one that repeats do not
    tell from none.
    """

    text: str
    metric: str
    limit: float
    relative: bool = False
    significant: bool = False


@dataclass(frozen=True)
class StateGate:
    """A cell fails that is in this state."""

    text: str
    state: State


Gate = DropGate | StateGate
DEFAULT_GATES = ("AP drop 0 significant", "failed", "missing", "incomparable")


def parse_gate(text: str) -> Gate:
    """Read a gate; raise `UsageError` that shows the forms there are."""
    plain = " ".join(text.split())
    for state in STATES:
        if plain == state:
            return StateGate(plain, state)
    match = _DROP.fullmatch(plain)
    if match is None:
        raise UsageError(f"{text!r} is not a gate.", hint=f"Forms: {_FORMS}.")
    metric, relative = match["metric"], match["percent"] is not None
    way = "rise" if metric == LATENCY else "drop"
    if match["way"] != way or (metric in SPEEDS and not relative):
        percent = "%" if relative or metric in SPEEDS else ""
        wrong = (
            f"for the worse means a {way}" if match["way"] != way else "speeds change in percent"
        )
        raise UsageError(
            f"{text!r}: {wrong}.",
            hint=f'Write "{metric} {way} {match["amount"]}{percent}".',
        )
    return DropGate(
        plain,
        metric,
        float(match["amount"]) / 100,
        relative,
        match["significant"] is not None,
    )
