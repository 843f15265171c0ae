"""Precision against recall, to be drawn; AP is the area under it."""

from __future__ import annotations

from dataclasses import dataclass

from posebench.scoring.matching.accumulate import accumulate
from posebench.scoring.matching.matching import MatchTable

DRAWN_THRESHOLDS = (0.5, 0.75, 0.95)


@dataclass(frozen=True)
class PrecisionCurve:
    """Interpolated precision and the score it needs at 101 recalls from 0 to 1, at one OKS."""

    threshold: float
    precision: tuple[float, ...]
    scores: tuple[float, ...]


def precision_curves(
    table: MatchTable, area: str = "all", thresholds: tuple[float, ...] = DRAWN_THRESHOLDS
) -> tuple[PrecisionCurve, ...]:
    """Return the curves of one area range, at those of `thresholds` that the table has.

    Returns nothing if no person counts.
    """
    column = table.area(area)
    if not table.person_count[column].any():
        return ()
    curves = accumulate(table)
    return tuple(
        PrecisionCurve(
            threshold=threshold,
            precision=tuple(curves.precision[row, :, column].tolist()),
            scores=tuple(curves.scores[row, :, column].tolist()),
        )
        for row, threshold in enumerate(table.rules.thresholds)
        if any(abs(threshold - wanted) < 1e-9 for wanted in thresholds)
    )
