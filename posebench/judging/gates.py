"""Gates: what a comparison of two runs must not show, written as people say it.

`AP drop 0.3`, `AP drop 0.3 significant`, `left_wrist drop 2`, `speed drop 10%`,
`latency rise 10% significant`, `failed`. Any name of `NUMBERS` can be gated, and any keypoint.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from posebench.errors import UsageError
from posebench.results.numbers import number_named

State = Literal["failed", "missing", "new", "incomparable"]
STATES: tuple[State, ...] = ("failed", "missing", "new", "incomparable")
# What people call two numbers whose names say the unit as well.
SHORT_NAMES = {"speed": "inst/s", "latency": "latency ms"}
_NUMBER = r"(?P<amount>\d+(?:\.\d*)?|\.\d+)(?P<percent>\s*%)?"
_CHANGE = re.compile(
    rf"(?P<metric>\S.*?)\s+(?P<way>drop|rise)\s+{_NUMBER}(?P<significant>\s+significant)?"
)
_FORMS = (
    '"AP drop 0.3" (points), "AP drop 0 significant", "left_wrist drop 2" (points of PCK@0.1), '
    '"speed drop 10%", "crops/s drop 10% significant", "latency rise 10%", '
    f"{', '.join(STATES)}, none"
)


@dataclass(frozen=True)
class ChangeGate:
    """A cell fails whose `metric` falls by more than `limit`, or with `rise` rises by more.

    `limit` is in the metric's own scale (a fraction for a score), or a fraction of the baseline's
    value if `relative`. With `significant` a change is let pass whose Holm-adjusted p-value is 0.05
    or more; one without p-value (no interval, or a metric that has none) is not; of speeds, one
    that repeats do not tell from none.
    """

    text: str
    metric: str
    limit: float
    rise: bool = False
    relative: bool = False
    significant: bool = False


@dataclass(frozen=True)
class StateGate:
    """A cell fails that is in this state."""

    text: str
    state: State


Gate = ChangeGate | StateGate
STANDING_GATES = ("failed", "missing", "incomparable")
DEFAULT_GATES = ("AP drop 0 significant", *STANDING_GATES)
NO_GATES = "none"


def default_gates(metrics: Sequence[str]) -> tuple[Gate, ...]:
    """Return the gates of data known by these metrics: no significant change for the worse."""
    worse = [f"{m} {'rise' if number_named(m).better == 'lower' else 'drop'}" for m in metrics]
    return tuple(map(parse_gate, (*(f"{text} 0 significant" for text in worse), *STANDING_GATES)))


def gates_of(texts: Sequence[str]) -> tuple[Gate, ...]:
    """Return the gates that a user asks for, each once.

    Those asked for add to the standing ones; `none` takes these away, and no text at all means
    `DEFAULT_GATES`. Raises `UsageError` for what is no gate.
    """
    plain = [" ".join(text.split()) for text in texts]
    asked = [text for text in plain if text != NO_GATES]
    standing = () if NO_GATES in plain else STANDING_GATES if asked else DEFAULT_GATES
    return tuple(map(parse_gate, dict.fromkeys((*asked, *standing))))


def parse_gate(text: str) -> Gate:
    """Read a gate; raise `UsageError` that shows the forms there are."""
    plain = " ".join(text.split())
    for state in STATES:
        if plain == state:
            return StateGate(plain, state)
    match = _CHANGE.fullmatch(plain)
    if match is None:
        raise UsageError(f"{text!r} is not a gate.", hint=f"Forms: {_FORMS}.")
    name, way, amount = match["metric"], match["way"], float(match["amount"])
    metric = SHORT_NAMES.get(name, name)
    number, relative = number_named(metric), match["percent"] is not None
    worse = {"higher": "drop", "lower": "rise", None: way}[number.better]
    wrong = None
    if way != worse:
        wrong = f"for the worse means a {worse}"
    elif number.kind != "score" and not relative:
        wrong = "speeds change in percent" if number.kind == "speed" else "it changes in percent"
    if wrong is not None:
        percent = "%" if relative or number.kind != "score" else ""
        raise UsageError(
            f"{text!r}: {wrong}.", hint=f'Write "{name} {worse} {match["amount"]}{percent}".'
        )
    return ChangeGate(
        plain,
        metric,
        amount / (100 if relative else number.unit.scale),
        rise=worse == "rise",
        relative=relative,
        significant=match["significant"] is not None,
    )
