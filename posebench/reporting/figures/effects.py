"""Effects with their intervals against 0: of a verdict, and of a run's checkpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from posebench.judging.verdicts import Verdict
from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.style import INK, PAPER, RULE, SHADE, SOFT, LegendEntry
from posebench.reporting.figures.svg import clean, say
from posebench.reporting.figures.values import protocol_line
from posebench.reporting.tables.verdict_table import effect_text, interval_text
from posebench.results.cell import CellResult
from posebench.results.differences import Difference, Differences
from posebench.results.numbers import number_named

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERDICT_INCHES = (3.2, 0.55)
# Labels of 0 and a margin closer than this share of the axis would touch.
_APART = 0.15
_ROW = 0.17
_STEPS = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
_SIGNS = {"greater": (1,), "less": (-1,), "within": (-1, 1)}


def verdict_panel(verdict: Verdict, reach: float | None = None) -> Panel | None:
    """Draw effect and interval on a line with 0 and the margin; None without an effect.

    The side that supports the claim is shaded. The line ends `reach` to either side of 0, in the
    metric's unit; by default where this verdict's own numbers end.
    """
    if verdict.effect is None:
        return None
    spoken = f"Effect {effect_text(verdict)}, interval {interval_text(verdict)}"
    draw = partial(_draw, verdict=verdict, effect=verdict.effect, reach=reach or reach_of(verdict))
    return Panel(verdict.claim.id, spoken, draw)


def reach_of(verdict: Verdict) -> float:
    """Return how far from 0 a line must go that holds a verdict's numbers, in its unit."""
    ends = [end for end in (verdict.effect, verdict.low, verdict.high) if end is not None]
    scale = number_named(verdict.claim.metric).unit.scale
    return _rounded_up(1.05 * scale * max(map(abs, (*ends, verdict.claim.margin))) or 1.0)


def _rounded_up(value: float) -> float:
    """Return the next number that people write on an axis."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _STEPS if step * power >= value)


def _draw(axes: Axes, *, verdict: Verdict, effect: float, reach: float) -> None:
    claim = verdict.claim
    scale = number_named(claim.metric).unit.scale
    low, high = (scale * (effect if v is None else v) for v in (verdict.low, verdict.high))
    border = scale * claim.margin
    margins = [border * sign for sign in _SIGNS[claim.direction] if claim.margin]
    supporting = {
        "greater": (border, reach),
        "less": (-reach, -border),
        "within": (-border, border),
    }
    axes.axvspan(*supporting[claim.direction], color=SHADE, linewidth=0, zorder=0)
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
    ends = [
        value for value in (-reach, reach) if all(abs(value - m) > _APART * reach for m in margins)
    ]
    named = ["" if crowded else "0", *(f"{margin:+g}" for margin in margins)]
    if crowded and len(margins) > 1:
        named = [f"±{border:g}", "", ""]
    axes.set_xticks([0, *margins, *ends], [*named, *(f"{end:+g}" for end in ends)])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def differences_drawing(found: Differences, results: Sequence[CellResult]) -> Drawing | None:
    """Draw each difference to the baseline with its interval; None without any difference.

    `results` are those of the cells that were compared. A full mark is told apart from 0.
    """
    rows = [each for each in found.differences if each.difference is not None]
    if not rows:
        return None
    groups = [[each for each in rows if each.metric == metric] for metric in _metrics(rows)]
    looks = (("told apart", INK), ("not told apart", PAPER))
    return Drawing(
        heading=f"{protocol_line(results)} · against {clean(found.baseline)}",
        panels=tuple(_panel(found.baseline, group) for group in groups),
        legend=tuple(LegendEntry(text, _look(face)) for text, face in looks),
        columns=1,
        height=0.5 + _ROW * max(map(len, groups)),
    )


def _metrics(rows: Sequence[Difference]) -> list[str]:
    return list(dict.fromkeys(each.metric for each in rows))


def _panel(baseline: str, rows: Sequence[Difference]) -> Panel:
    """Return the panel of the differences in one number."""
    metric = rows[0].metric
    unit = number_named(metric).unit
    said = "; ".join(_said(each) for each in rows)
    label = f"difference in {metric} ({unit.word})"
    draw = partial(_draw_differences, rows=rows, scale=unit.scale, label=label)
    return Panel("", f"Differences in {metric} to {baseline}: {said}", draw)


def _look(face: str) -> dict[str, Any]:
    return {
        "color": INK,
        "marker": "D",
        "markersize": 5,
        "markerfacecolor": face,
        "linestyle": "none",
    }


def _draw_differences(axes: Axes, *, rows: Sequence[Difference], scale: float, label: str) -> None:
    axes.axvline(0, color=SOFT, linewidth=0.8)
    for row, each in enumerate(rows):
        value = scale * (each.difference or 0.0)
        if each.low is not None and each.high is not None:
            axes.plot([scale * each.low, scale * each.high], [row, row], color=INK, linewidth=1.5)
        (mark,) = axes.plot([value], [row], **_look(INK if each.told_apart else PAPER))
        say(mark, _said(each))
    axes.set_yticks(range(len(rows)), [_place(each) for each in rows])
    axes.set(ylim=(len(rows) - 0.5, -0.5))
    axes.set_xlabel(label)
    axes.grid(visible=True, axis="x")


def _place(each: Difference) -> str:
    places = [
        f"{name} {text}" if text in ("yes", "no") else text for name, text in each.place.items()
    ]
    return clean(" · ".join((each.checkpoint, *places)))


def _said(each: Difference) -> str:
    unit = number_named(each.metric).unit
    value = unit.signed(each.difference or 0.0)
    if each.low is None or each.high is None:
        return f"{_place(each)}: {value}"
    return f"{_place(each)}: {value}, 95 % {unit.signed(each.low)} to {unit.signed(each.high)}"
