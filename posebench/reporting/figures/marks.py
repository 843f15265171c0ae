"""Marks that figures share: a point with its interval, and axes of AP and of costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from posebench.reporting.figures.style import INTERVAL_CAP, mark_look, paradigm_of
from posebench.reporting.figures.svg import say
from posebench.reporting.figures.values import known_score, score_said
from posebench.results.cell import CellResult
from posebench.results.reading import score_bounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN = 1.6
_DIGITS, _LEAST_TICKS = ((1,), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)), 3


def draw_point(axes: Axes, x: float, result: CellResult, marker: str = "o", **look: Any) -> None:
    """Draw a result's AP in points at x with its interval; a tooltip says what it is."""
    (mark,) = axes.plot(
        [x], [known_score(result)], **{**mark_look(result.checkpoint.paradigm, marker), **look}
    )
    say(mark, score_said(result))


def draw_interval(axes: Axes, x: float, result: CellResult, **look: Any) -> None:
    """Draw the interval of a result's AP, if it has one."""
    if (bounds := score_bounds(result)) is not None:
        axes.plot(
            [x, x],
            bounds,
            color=paradigm_of(result.checkpoint.paradigm).colour,
            linewidth=0.8,
            marker=INTERVAL_CAP,
            markersize=4.0,
            **look,
        )


def log_axis(axes: Axes, values: Sequence[float]) -> None:
    """Make x logarithmic, wide enough for values above 0, with ticks as people write them."""
    low, high = min(values) / _MARGIN, max(values) * _MARGIN
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for digits in _DIGITS:
        ticks = [d * 10.0**p for p in powers for d in digits if low <= d * 10.0**p <= high]
        if len(ticks) >= _LEAST_TICKS:
            break
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(low, high)
