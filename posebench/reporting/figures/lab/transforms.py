"""A score against bits and pruned weights, a panel for each pair and way. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import draw_interval, draw_point
from posebench.reporting.figures.style import Looks
from posebench.reporting.figures.svg import clean
from posebench.reporting.figures.values import (
    Measure,
    View,
    has_own_settings,
    main_measure,
    matched_panels,
    measured_by,
    protocol_line,
    short_name,
    view_of,
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


def bits_drawing(
    cells: Sequence[ReadCell], looks: Looks | None = None, measure: Measure | None = None
) -> Drawing | None:
    """Draw a score with its interval against bits; None without quantised networks.

    Without `looks`, checkpoints look as they come.
    """
    return _drawing(cells, BITS, view_of(cells, looks, measure))


def sparsity_drawing(
    cells: Sequence[ReadCell], looks: Looks | None = None, measure: Measure | None = None
) -> Drawing | None:
    """Draw a score with its interval against the pruned share; None without pruned networks.

    Without `looks`, checkpoints look as they come.
    """
    return _drawing(cells, SPARSITY, view_of(cells, looks, measure))


def shown_cells(
    cells: Sequence[ReadCell], way: Way, measure: Measure | None = None
) -> list[ReadCell]:
    """Return the cells of a figure: those of its kind, and the same networks left as they are."""
    own = [c for c in cells if c.result.corruption is None and has_own_settings(c.result)]
    measure = measure or main_measure(cell.result for cell in own)
    measured = [cell for cell in own if measure.of(cell.result) is not None]
    if not any(way.series(_transform(cell)) for cell in measured):
        return []
    return [c for c in measured if _transform(c).is_none or way.series(_transform(c))]


def _drawing(cells: Sequence[ReadCell], way: Way, view: View) -> Drawing | None:
    measure = view.measure
    shown = shown_cells(cells, way, measure)
    if not shown:
        return None
    results = [cell.result for cell in shown]
    several = len(set(map(measured_by, results))) > 1
    series = list(dict.fromkeys(found for c in shown if (found := way.series(_transform(c)))))
    top = measure.top(results)
    panels = [
        Panel(
            _title(name, own, several),
            f"{measure.name} against {way.label}, {name}: "
            + "; ".join(measure.said(cell.result) for cell in own),
            partial(_draw, way=way, cells=own, top=top, view=view),
        )
        for pair in matched_panels(shown)
        for name in series
        if len(own := [c for c in pair if way.series(_transform(c)) in (name, None)]) > 1
    ]
    return Drawing(
        heading=protocol_line(results),
        panels=tuple(panels),
        legend=view.looks.legend(result.checkpoint.name for result in results),
        columns=min(len(series), _MOST_COLUMNS),
        height=_HEIGHT,
        same_y=True,
    )


def _title(name: str, cells: Sequence[ReadCell], several: bool) -> str:
    names = " and ".join(dict.fromkeys(short_name(c.result.checkpoint.name) for c in cells))
    return clean(" · ".join([name, names, *([measured_by(cells[0].result)] if several else [])]))


def _draw(
    axes: Axes,
    *,
    way: Way,
    cells: Sequence[ReadCell],
    top: float,
    view: View,
) -> None:
    amounts = sorted({way.amount(_transform(cell)) for cell in cells})
    if way.is_logarithmic:
        axes.set_xscale("log", base=2)
    labels = ["fp32" if way is BITS and x == FLOAT_BITS else f"{x:g}" for x in amounts]
    axes.set_xticks(amounts, labels)
    axes.minorticks_off()
    axes.set(xlabel=way.label, ylabel=view.measure.label, ylim=(0, top))
    lines: dict[str, list[CellResult]] = {}
    for cell in cells:
        lines.setdefault(cell.result.checkpoint.name, []).append(cell.result)
    for place, (name, results) in enumerate(lines.items()):
        results.sort(key=lambda result: way.amount(parse_transform(result.protocol.transform)))
        span = max(amounts) - min(amounts) or 1.0
        shift = _DODGE * (2 * place - len(lines) + 1)
        xs = []
        for result in results:
            x = way.amount(parse_transform(result.protocol.transform))
            xs.append(x * 2 ** (shift * 4) if way.is_logarithmic else x + shift * span)
        axes.plot(xs, list(map(view.measure.known, results)), **view.looks.line(name))
        for x, result in zip(xs, results, strict=True):
            draw_interval(axes, x, result, view)
            draw_point(axes, x, result, view)


def _transform(cell: ReadCell) -> Transform:
    return parse_transform(cell.result.protocol.transform)
