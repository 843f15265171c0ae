"""AP against bits and against pruned weights, a panel for each pair and way. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import draw_interval, draw_point
from posebench.reporting.figures.style import LINE_WIDTH, paradigm_legend, paradigm_of
from posebench.reporting.figures.svg import clean
from posebench.reporting.figures.values import (
    ap_points,
    ap_said,
    has_own_settings,
    known_ap,
    matched_panels,
    measured_by,
    protocol_line,
    short_name,
    top_of,
)
from posebench.results.cell import CellResult
from posebench.results.reading import ReadCell
from posebench.suites.transforms import FLOAT_BITS, Transform, parse_transform

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT, _MOST_COLUMNS = 1.7, 5
# Marks of the two sides stand this far apart, as a share of the axis.
_DODGE = 0.006


@dataclass(frozen=True)
class Way:
    """A kind of transform: how its amount is called, read and placed on an axis.

    `series` names what a transform does besides its amount, None if it is of another kind.
    """

    title: str
    label: str
    amount: Callable[[Transform], float]
    series: Callable[[Transform], str | None]
    is_logarithmic: bool = False


def _of_part(transform: Transform) -> str:
    part = "answer vectors" if transform.part == "answers" else transform.part
    return "" if part == "whole" else f" of the {part}"


def _quantised(transform: Transform) -> str | None:
    what = _of_part(transform)
    if transform.weight_bits is None:
        named = "tokens" if transform.part == "tokens" else f"activations{what}"
        return None if transform.activation_bits is None else named
    with_activations = transform.activation_bits
    return f"weights{what}" + (f", activations {with_activations} bits" if with_activations else "")


def _pruned(transform: Transform) -> str | None:
    if transform.pruned is None:
        return None
    by = {"global": "weights", "layer": "weights, layer by layer", "channel": "channels"}
    return f"{by[transform.ranking]}{_of_part(transform)}"


BITS = Way("Bits", "bits", lambda t: t.bits, _quantised, is_logarithmic=True)
SPARSITY = Way("Pruning", "pruned (%)", lambda t: t.pruned or 0, _pruned)


def bits_drawing(cells: Sequence[ReadCell]) -> Drawing | None:
    """Draw AP (points) with its interval against bits; None without quantised networks."""
    return _drawing(cells, BITS)


def sparsity_drawing(cells: Sequence[ReadCell]) -> Drawing | None:
    """Draw AP (points) with its interval against the pruned share; None without pruned networks."""
    return _drawing(cells, SPARSITY)


def shown_cells(cells: Sequence[ReadCell], way: Way) -> list[ReadCell]:
    """Return the cells of a figure: those of its kind, and the same networks left as they are."""
    clean = [c for c in cells if c.result.corruption is None]
    measured = [c for c in clean if has_own_settings(c.result) and ap_points(c.result) is not None]
    if not any(way.series(_transform(cell)) for cell in measured):
        return []
    return [c for c in measured if _transform(c).is_none or way.series(_transform(c))]


def _drawing(cells: Sequence[ReadCell], way: Way) -> Drawing | None:
    shown = shown_cells(cells, way)
    if not shown:
        return None
    results = [cell.result for cell in shown]
    several = len(set(map(measured_by, results))) > 1
    series = list(dict.fromkeys(found for c in shown if (found := way.series(_transform(c)))))
    top = top_of(results)
    panels = [
        _panel(way, name, own, several, top)
        for pair in matched_panels(shown)
        for name in series
        if len(own := [c for c in pair if way.series(_transform(c)) in (name, None)]) > 1
    ]
    return Drawing(
        heading=protocol_line(results),
        panels=tuple(panels),
        legend=paradigm_legend(result.checkpoint.paradigm for result in results),
        columns=min(len(series), _MOST_COLUMNS),
        height=_HEIGHT,
        same_y=True,
    )


def _panel(way: Way, name: str, cells: Sequence[ReadCell], several: bool, top: float) -> Panel:
    names = " and ".join(dict.fromkeys(short_name(c.result.checkpoint.name) for c in cells))
    parts = [name, names, *([measured_by(cells[0].result)] if several else [])]
    said = "; ".join(ap_said(cell.result) for cell in cells)
    return Panel(
        clean(" · ".join(parts)),
        f"AP against {way.label}, {name}: {said}",
        partial(_draw, way=way, cells=cells, top=top),
    )


def _draw(axes: Axes, *, way: Way, cells: Sequence[ReadCell], top: float) -> None:
    amounts = sorted({way.amount(_transform(cell)) for cell in cells})
    if way.is_logarithmic:
        axes.set_xscale("log", base=2)
    labels = ["fp32" if way is BITS and x == FLOAT_BITS else f"{x:g}" for x in amounts]
    axes.set_xticks(amounts, labels)
    axes.minorticks_off()
    axes.set(xlabel=way.label, ylabel="AP (points)", ylim=(0, top))
    lines: dict[str, list[CellResult]] = {}
    for cell in cells:
        lines.setdefault(cell.result.checkpoint.name, []).append(cell.result)
    for place, results in enumerate(lines.values()):
        results.sort(key=lambda result: way.amount(parse_transform(result.protocol.transform)))
        colour = paradigm_of(results[0].checkpoint.paradigm).colour
        span = max(amounts) - min(amounts) or 1.0
        shift = _DODGE * (2 * place - len(lines) + 1)
        xs = []
        for result in results:
            x = way.amount(parse_transform(result.protocol.transform))
            xs.append(x * 2 ** (shift * 4) if way.is_logarithmic else x + shift * span)
        axes.plot(xs, list(map(known_ap, results)), color=colour, linewidth=LINE_WIDTH)
        for x, result in zip(xs, results, strict=True):
            draw_interval(axes, x, result)
            draw_point(axes, x, result)


def _transform(cell: ReadCell) -> Transform:
    return parse_transform(cell.result.protocol.transform)
