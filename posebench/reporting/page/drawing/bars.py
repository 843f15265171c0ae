"""Grouped bars, one for each paradigm in a row: keypoints and types of error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from posebench.reporting.page.drawing.axes import WIDTH
from posebench.reporting.page.drawing.svg import element, line, picture, text

_LABELS = 96.0
_ROW, _BAR = 23.0, 8.5
_END = WIDTH - 34.0


@dataclass(frozen=True)
class BarRow:
    """A row: its label, and a value with its text for each paradigm (None draws no bar)."""

    label: str
    heatmap: float | None
    simcc: float | None
    heatmap_text: str
    simcc_text: str


def draw_bars(name: str, rows: Sequence[BarRow], low: float, high: float) -> Markup:
    """Return bars from 0, the data between `low` (at most 0) and `high`; `name` is read out."""
    height = _ROW * len(rows) + 8
    span = (high - low) or 1.0

    def across(value: float) -> float:
        return _LABELS + (_END - _LABELS) * (min(max(value, low), high) - low) / span

    zero = across(0.0)
    parts = [line(zero, 0, zero, height - 4, "axis")]
    for index, row in enumerate(rows):
        top = 3 + index * _ROW
        parts.append(text(_LABELS - 8, top + 13, row.label, text_anchor="end"))
        sides = (("heatmap", row.heatmap, row.heatmap_text), ("simcc", row.simcc, row.simcc_text))
        for place, (look, value, shown) in enumerate(sides):
            if value is None:
                continue
            y, end = top + place * (_BAR + 1), across(value)
            parts.append(
                element(
                    "rect",
                    x=min(zero, end),
                    y=y,
                    width=abs(end - zero),
                    height=_BAR,
                    class_=f"bar {look}",
                )
            )
            parts.append(text(max(zero, end) + 4, y + _BAR - 0.5, shown, class_="value"))
    return picture(WIDTH, height, name, *parts)
