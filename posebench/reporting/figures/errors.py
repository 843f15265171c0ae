"""What each type of error costs in AP, and what scores are worth, in panels that figures share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.style import (
    MARKER_SIZE,
    RULE,
    SMALL,
    Looks,
)
from posebench.reporting.figures.svg import say
from posebench.scoring.diagnosis.confidence import Calibration
from posebench.scoring.diagnosis.diagnosis import ErrorCost

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR, _ROW = 0.36, 0.3
# The axis reaches at least this far, in points of AP, however small the costs.
_LEAST = 2.0


@dataclass(frozen=True, eq=False)
class PairDiagnosis:
    """What goes wrong in both cells of a pair, by checkpoint, and how that was measured."""

    title: str
    protocol: str
    costs: Mapping[str, Sequence[ErrorCost]]
    calibrations: Mapping[str, Calibration]


def errors_drawing(pairs: Sequence[PairDiagnosis], looks: Looks) -> Drawing | None:
    """Draw the AP (points) that each type of error alone costs, a panel for each pair."""
    if not pairs:
        return None
    values = [cost_points(c) for pair in pairs for costs in pair.costs.values() for c in costs]
    known = [value for value in values if value is not None]
    ends = min([0.0, *known]), max([_LEAST, *known])
    rows = max(len(costs) for pair in pairs for costs in pair.costs.values())
    return Drawing(
        heading=_measured(pairs),
        panels=tuple(
            Panel(
                pair.title,
                f"AP regained by correcting each type of error: {pair.title}",
                partial(_draw_costs, costs=pair.costs, ends=ends, looks=looks),
            )
            for pair in pairs
        ),
        legend=looks.bar_legend(name for pair in pairs for name in pair.costs),
        height=0.5 + _ROW * rows,
        same_y=True,
    )


def reliability_drawing(pairs: Sequence[PairDiagnosis], looks: Looks) -> Drawing | None:
    """Draw the mean OKS of detections against their mean score, a panel for each pair."""
    if not pairs:
        return None

    def draw(axes: Axes, pair: PairDiagnosis) -> None:
        draw_diagonal(axes)
        for name, calibration in pair.calibrations.items():
            look = {**looks.mark(name), **looks.line(name), "linewidth": 0.9}
            draw_calibration(axes, calibration, look)

    return Drawing(
        heading=_measured(pairs),
        panels=tuple(
            Panel(
                pair.title, f"Mean OKS against mean score: {pair.title}", partial(draw, pair=pair)
            )
            for pair in pairs
        ),
        legend=looks.legend(name for pair in pairs for name in pair.calibrations),
        columns=3,
        height=2.0,
        same_y=True,
    )


def _measured(pairs: Sequence[PairDiagnosis]) -> str:
    return " / ".join(dict.fromkeys(pair.protocol for pair in pairs))


def cost_points(cost: ErrorCost) -> float | None:
    """Return the AP regained by correcting one type of error alone, in points."""
    # Rounded first, so that a loss too small to see is not shown as -0.0.
    return None if cost.alone is None else float(np.round(100 * cost.alone, 1) + 0.0)


def draw_diagonal(axes: Axes) -> None:
    """Prepare axes of mean OKS against mean score."""
    axes.plot([0, 1], [0, 1], color=RULE, linewidth=1.0, linestyle=":")
    axes.set(xlabel="mean score of a bin", ylabel="mean OKS", xlim=(0, 1.02), ylim=(0, 1.02))


def draw_calibration(axes: Axes, calibration: Calibration, look: Mapping[str, Any]) -> None:
    """Draw one curve; a mark grows with the number of its bin's detections."""
    filled = [found for found in calibration.bins if found.count]
    scores, similar = ([getattr(f, n) for f in filled] for n in ("mean_score", "mean_oks"))
    line = {key: look[key] for key in ("color", "linestyle", "linewidth") if key in look}
    axes.plot(scores, similar, **line)
    most = max((found.count for found in filled), default=1)
    for found, x, y in zip(filled, scores, similar, strict=True):
        size = MARKER_SIZE * (0.5 + np.sqrt(found.count / most))
        spot = {**look, "linestyle": "none", "markersize": size}
        (mark,) = axes.plot([x], [y], **spot)
        say(mark, f"scores {found.low:g} to {found.high:g}: {found.count} detections")


def _draw_costs(
    axes: Axes,
    *,
    costs: Mapping[str, Sequence[ErrorCost]],
    ends: tuple[float, float],
    looks: Looks,
) -> None:
    for place, (name, found) in enumerate(costs.items()):
        values = [cost_points(cost) for cost in found]
        rows = np.arange(len(found)) + (place - (len(costs) - 1) / 2) * (_BAR + 0.06)
        bars = axes.barh(rows, [value or 0.0 for value in values], _BAR, **looks.bar(name))
        texts = ["" if value is None else f"{value:+.1f}" for value in values]
        axes.bar_label(bars, texts, padding=2, fontsize=SMALL)
        for bar, cost, text in zip(bars, found, texts, strict=True):
            shown = f"{cost.count} of {cost.out_of}"
            say(bar, f"{name}, {cost.name}: {text} AP, {shown}")
    names = [cost.name for cost in next(iter(costs.values()))]
    axes.set_yticks(range(len(names)), names)
    room = 0.14 * (ends[1] - ends[0])
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(ends[0] - room * (ends[0] < 0), ends[1] + room))
    axes.axvline(0, color=RULE, linewidth=0.8)
    axes.set_xlabel("AP regained (points)")
    axes.grid(visible=False)
