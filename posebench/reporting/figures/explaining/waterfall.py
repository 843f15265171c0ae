"""The waterfall of an explanation: from their AP to mine, a bar for each field that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from posebench.errors import UsageError
from posebench.reporting.explaining.table import change_text
from posebench.reporting.figures.drawing import Drawing, Panel, write_drawing
from posebench.reporting.figures.style import GRID, INK, SERIES, SOFT, LegendEntry
from posebench.reporting.figures.svg import clean, say
from posebench.results.explaining.explanation import Explanation
from posebench.scoring.statistics.estimates import Estimate
from posebench.scoring.units import POINTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.24
_MEASURED, _PUBLISHED = SERIES[0], SERIES[1]


@dataclass(frozen=True)
class _Bar:
    """One row: its label, where it starts and ends in points, its colour, what is read out."""

    label: str
    start: float
    end: float
    colour: str
    spoken: str
    estimate: Estimate | None = None


def write_waterfall(found: Explanation, out: Path) -> None:
    """Draw the way from their AP to mine.

    Raises `UsageError` if a side has no AP, and the errors of `write_drawing`.
    """
    if found.rest is None:
        raise UsageError("A waterfall needs the AP of both sides, and one has none.")
    write_drawing(waterfall_drawing(found), out)


def waterfall_drawing(found: Explanation) -> Drawing:
    """Return the waterfall; effects from published rows have a colour of their own."""
    bars = _bars(found)
    said = "; ".join(bar.spoken for bar in bars)
    panel = Panel(
        "", f"From {found.theirs.name} to {found.mine.name}: {said}", partial(_draw, bars)
    )
    legend = (
        LegendEntry("measured by switching", {"color": _MEASURED}, is_bar=True),
        LegendEntry("published pairs", {"color": _PUBLISHED}, is_bar=True),
        LegendEntry("unexplained, with its 95 % interval", {"color": GRID}, is_bar=True),
    )
    heading = clean(f"OTHER: {found.theirs.name} · MINE: {found.mine.name}")
    return Drawing(heading, (panel,), legend, height=0.6 + _ROW * len(bars))


def _bars(found: Explanation) -> list[_Bar]:
    level = POINTS.scale * (found.theirs.ap or 0.0)
    bars = [_Bar("OTHER", 0.0, level, SOFT, f"OTHER {level:.1f}")]
    for step in found.steps:
        if step.effect is not None and step.effect.value is not None:
            end = level + POINTS.scale * step.effect.value
            colour = _MEASURED if step.how == "measured" else _PUBLISHED
            label = clean(f"{step.field}: {step.theirs} → {step.mine}")
            bars.append(_Bar(label, level, end, colour, f"{label} {change_text(step.effect)}"))
            level = end
    mine = POINTS.scale * (found.mine.ap or 0.0)
    text = f"unexplained {change_text(found.rest)}"
    bars.append(_Bar("unexplained", level, mine, GRID, text, found.rest))
    bars.append(_Bar("MINE", 0.0, mine, INK, f"MINE {mine:.1f}"))
    return bars


def _draw(bars: Sequence[_Bar], axes: Axes) -> None:
    for row, bar in enumerate(bars):
        (drawn,) = axes.barh([row], [bar.end - bar.start], 0.6, left=bar.start, color=bar.colour)
        say(drawn, bar.spoken)
        known = bar.estimate
        if known is not None and known.low is not None and known.high is not None:
            ends = [bar.start + POINTS.scale * value for value in (known.low, known.high)]
            axes.plot(ends, [row, row], color=INK, linewidth=1.2)
    moved = [value for bar in bars[1:-1] for value in (bar.start, bar.end)]
    ends = [value for bar in bars for value in (bar.end,)] + moved
    room = max(1.0, 0.5 * (max(ends) - min(ends)))
    axes.set_xlim(max(0.0, min(ends) - room), max(ends) + room)
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
    axes.set(ylim=(len(bars) - 0.5, -0.5), xlabel="AP (points)")
    axes.grid(visible=True, axis="x")
