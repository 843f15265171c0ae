"""A verdict's effect and interval, against 0 and the margin."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from posebench.judging.verdicts import Verdict
from posebench.reporting.figures.drawing import Panel
from posebench.reporting.figures.style import INK, RULE, SOFT
from posebench.reporting.tables.verdict_table import effect_text, interval_text
from posebench.results.numbers import number_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERDICT_INCHES = (3.2, 0.55)
# Labels of 0 and a margin closer than this share of the axis would touch.
_APART = 0.15
_SIGNS = {"greater": (1,), "less": (-1,), "within": (-1, 1)}


def verdict_panel(verdict: Verdict) -> Panel | None:
    """Draw effect and interval on a line with 0 and the margin; None without an effect."""
    if verdict.effect is None:
        return None
    spoken = f"Effect {effect_text(verdict)}, interval {interval_text(verdict)}"
    return Panel(verdict.claim.id, spoken, partial(_draw, verdict=verdict, effect=verdict.effect))


def _draw(axes: Axes, *, verdict: Verdict, effect: float) -> None:
    claim = verdict.claim
    scale = number_named(claim.metric).unit.scale
    low, high = (scale * (effect if v is None else v) for v in (verdict.low, verdict.high))
    margins = [scale * claim.margin * sign for sign in _SIGNS[claim.direction] if claim.margin]
    reach = 1.15 * max(map(abs, (low, high, *margins))) or 1.0
    axes.axhline(0, color=RULE, linewidth=0.8)
    axes.axvline(0, color=SOFT, linewidth=0.8)
    for margin in margins:
        axes.axvline(margin, color=SOFT, linewidth=1.0, linestyle=":")
    axes.plot(
        [low, high], [0, 0], color=INK, linewidth=1.5, marker="|", markersize=7, markeredgewidth=1.5
    )
    axes.plot([scale * effect], [0], color=INK, marker="D", markersize=5, linestyle="none")
    axes.set(xlim=(-reach, reach), ylim=(-1, 1), yticks=[])
    crowded = any(abs(margin) < _APART * reach for margin in margins)
    axes.set_xticks([0, *margins], ["" if crowded else "0", *(f"{m:+g}" for m in margins)])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
