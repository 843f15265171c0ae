"""How far trainings are from their plateau, by cells that were trained for longer. No torch."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from posebench.judging.pairs.cells import ARM, BUDGET, USUAL_BUDGET, ClaimCell

_OWN = ("checkpoint", BUDGET)


def gains_of_longer_training(
    metric: str, used: Collection[str], cells: Sequence[ClaimCell]
) -> tuple[tuple[str, float], ...]:
    """Return what a longer training adds to the metric, as a mean by arm and budget.

    `used` are the ids of the cells that a claim compares; each is held against the cells that are
    alike in all fields but the budget's label, such as `budget: 2x`.
    """
    usual = {_alike(cell): cell for cell in cells if cell.id in used}
    found: dict[str, list[float]] = {}
    for cell in cells:
        budget = cell.fields.get(BUDGET, USUAL_BUDGET)
        twin = usual.get(_alike(cell))
        if cell.id in used or budget == USUAL_BUDGET or twin is None:
            continue
        longer, value = cell.values.get(metric), twin.values.get(metric)
        if longer is not None and value is not None:
            found.setdefault(f"{_arm(twin)}, budget {budget}", []).append(longer - value)
    return tuple((name, sum(each) / len(each)) for name, each in found.items())


def _alike(cell: ClaimCell) -> frozenset[tuple[str, str]]:
    return frozenset((name, text) for name, text in cell.fields.items() if name not in _OWN)


def _arm(cell: ClaimCell) -> str:
    return cell.fields.get(ARM) or cell.fields.get("paradigm") or cell.checkpoint
