"""Which cells of a comparison fail a gate, and what they show. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from posebench.errors import UsageError, nearest
from posebench.judging.changes import CellComparison, Change
from posebench.judging.gates import ChangeGate, Gate, StateGate
from posebench.results.numbers import NUMBERS, number_named

LEVEL = 0.05


def check_gates(gates: Sequence[Gate], cells: Sequence[CellComparison]) -> None:
    """Raise `UsageError` for a gate on a metric that no cell has: it could never fail."""
    measured = dict.fromkeys(change.metric for cell in cells for change in cell.changes)
    if any(cell.speed_reason for cell in cells):
        measured |= dict.fromkeys(n for n, each in NUMBERS.items() if each.kind == "speed")
    for gate in gates:
        if isinstance(gate, ChangeGate) and measured and gate.metric not in measured:
            raise UsageError(
                f"The gate {gate.text!r}: no cell has {gate.metric}.",
                hint=nearest(gate.metric, measured),
            )


def offenders(gate: Gate, cells: Sequence[CellComparison]) -> list[tuple[str, str]]:
    """Return the cells that fail a gate, each with what it shows."""
    if isinstance(gate, StateGate):
        return [(cell.id, cell.reason or gate.state) for cell in cells if cell.state == gate.state]
    found = []
    for cell in cells:
        change = cell.change(gate.metric)
        if number_named(gate.metric).kind == "speed" and cell.speed_reason is not None:
            found.append((cell.id, f"speeds are not comparable: {cell.speed_reason}"))
        elif change is not None and _fails(gate, change):
            found.append((cell.id, _shown(change)))
    lost = [cell for cell in cells if cell.state in ("missing", "incomparable", "failed", "new")]
    if lost and not found and all(cell.change(gate.metric) is None for cell in cells):
        found.append((lost[0].id, f"no cell has {gate.metric} in both runs, so nothing was judged"))
    return found


def _fails(gate: ChangeGate, change: Change) -> bool:
    worse = change.baseline - change.candidate
    if gate.rise:
        worse = -worse
    limit = gate.limit * change.baseline if gate.relative else gate.limit
    # A difference of decimals must not fail for the last bit of its binary form.
    if worse <= limit + 1e-12:
        return False
    if gate.significant and change.told is not None:
        return change.told
    p = change.difference.p_holm
    return not gate.significant or p is None or p < LEVEL


def _shown(change: Change) -> str:
    number = number_named(change.metric)
    text = f"{number.unit.text(change.baseline)} -> {number.unit.text(change.candidate)}"
    if number.kind == "speed" and change.told is None:
        return f"{text} {number.unit.word} (measured once; posebench bench repeats it)"
    if number.kind != "score":
        return f"{text} {number.unit.word}"
    text = f"{change.metric} {text}"
    value, low, high = change.difference.value, change.difference.low, change.difference.high
    if low is None or high is None or value is None:
        return f"{text} (plain difference, without interval)"
    value_text, low_text, high_text = map(number.unit.signed, (value, low, high))
    return f"{text} ({value_text}, 95 % interval {low_text} to {high_text})"
