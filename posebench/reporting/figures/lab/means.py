"""A score against a field of cells: means over seeds, with a dot for each. Never loads torch."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from posebench.errors import UsageError, nearest
from posebench.judging.pairs.cells import BUDGET, USUAL_BUDGET
from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import log_axis
from posebench.reporting.figures.style import PAPER, SOFT, LegendEntry, Looks
from posebench.reporting.figures.svg import clean, say
from posebench.reporting.figures.values import Measure, main_measure, protocol_line
from posebench.reporting.tables.pivot.columns import texts_of
from posebench.reporting.tables.pivot.means import Averaging, averaged
from posebench.reporting.tables.pivot.slots import Source
from posebench.results.numbers import NUMBERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What a label that is missing means.
_UNSAID = {BUDGET: USUAL_BUDGET}
_PANEL = ("dataset", "boxes", "flip")
_SINGLE: dict[str, Any] = {
    "marker": "o",
    "markersize": 2.4,
    "markerfacecolor": PAPER,
    "linestyle": "none",
    "zorder": 3,  # on the mean's mark, which would hide it
}
_HEIGHT, _COLUMNS = 2.2, 2
# Texts that stand for a number: a plain one, a factor such as 1.5x, an input size.
_NUMBER, _SIZE = re.compile(r"-?\d+(\.\d+)?x?"), re.compile(r"(\d+)x(\d+)")
# From this ratio on an axis is logarithmic.
_WIDE = 3.0
# Of the distance between two texts, the part over which the marks of one are spread.
_SPREAD = 0.5
# Texts of more characters in all are turned, by degrees.
_LONG, _TURN = 40, 30


@dataclass(frozen=True)
class MeansRequest:
    """What to draw: a score against `x`, a line for each value of `by`, means over `over`.

    `x` is a field of a cell, as `posebench table --rows` takes them, or a number such as params M.
    """

    x: str
    by: tuple[str, ...] = ("paradigm",)
    over: str = "labels.seed"
    measure: Measure | None = None


@dataclass(frozen=True)
class Point:
    """Values at an x, in the measure's unit, and their mean; None where a cell lacks its own."""

    x: str
    mean: float | None
    singles: tuple[float, ...]


@dataclass(frozen=True)
class Line:
    """The points of one line, in the order of the cells."""

    label: str
    paradigm: str | None
    points: tuple[Point, ...]


def means_drawing(sources: Sequence[Source], request: MeansRequest) -> Drawing | None:
    """Draw means and single cells, a panel for each data set; None without the score.

    Raises `UsageError` for a field that no cell has, and if cells of one point differ in more than
    the field that means are taken over, or in their protocols.
    """
    measure = request.measure or main_measure(source.stored.result for source in sources)
    shown = _placed(sources, request)
    if all(source.cell.values.get(measure.name) is None for source in shown):
        return None
    own = [name for name in _PANEL if len({source.fields.get(name) for source in shown}) > 1]
    titles = [name for name in own if name not in (request.x, *request.by)] or ["dataset"]
    panels: dict[tuple[str, ...], list[Source]] = {}
    for source in shown:
        panels.setdefault(texts_of(source, titles), []).append(source)
    lines = {_label(key): _lines(each, request, measure) for key, each in panels.items()}
    looks = Looks({line.label: line.paradigm for each in lines.values() for line in each})
    return Drawing(
        heading=protocol_line([source.stored.result for source in shown]),
        panels=tuple(_panel(key, each, looks, request.x, measure) for key, each in lines.items()),
        legend=_legend(lines.values(), looks, request),
        columns=min(_COLUMNS, len(panels)),
        height=_HEIGHT,
    )


def _legend(
    panels: Iterable[Sequence[Line]], looks: Looks, request: MeansRequest
) -> tuple[LegendEntry, ...]:
    names = list(looks.paradigms)
    # The paradigm is left out where names say it, and of a line that is of several.
    entries = [
        replace(each, label=name)
        if "paradigm" in request.by or looks.paradigms[name] is None
        else each
        for each, name in zip(looks.legend(names), names, strict=True)
    ]
    if any(len(point.singles) > 1 for lines in panels for line in lines for point in line.points):
        single = {**_SINGLE, "color": SOFT}
        entries.append(LegendEntry(f"one value of {request.over}", single))
    return tuple(entries)


def _placed(sources: Sequence[Source], request: MeansRequest) -> list[Source]:
    """Return the sources that have x, with its text among their fields."""
    number = NUMBERS.get(request.x)
    fields = dict.fromkeys(name for source in sources for name in source.fields)
    for name in (*request.by, *([] if number else [request.x])):
        if name not in fields:
            raise UsageError(f"No result has the field {name!r}.", hint=nearest(name, fields))
    if number is None:
        return [source for source in sources if source.fields.get(request.x)]
    return [
        replace(source, fields={**source.fields, request.x: f"{number.unit.scale * value:.4g}"})
        for source in sources
        if (value := source.cell.values.get(request.x)) is not None
    ]


def _lines(sources: Sequence[Source], request: MeansRequest, measure: Measure) -> list[Line]:
    # Refuses cells of one point that differ in more than the field.
    fields = (*_PANEL, *request.by, request.x)
    averaged(sources, Averaging(request.over, fields, [measure.name], options="--by"))
    values: dict[str, dict[str, list[float | None]]] = {}
    paradigms: dict[str, set[str | None]] = {}
    for source in sources:
        texts = texts_of(source, request.by)
        said = (text or _UNSAID.get(name, "") for name, text in zip(request.by, texts, strict=True))
        result, label = source.stored.result, _label(tuple(said))
        points = values.setdefault(label, {})
        points.setdefault(source.fields[request.x], []).append(measure.of(result))
        paradigms.setdefault(label, set()).add(result.checkpoint.paradigm)
    return [
        Line(
            label,
            paradigms[label].pop() if len(paradigms[label]) == 1 else None,
            tuple(_point(x, own) for x, own in points.items() if any(v is not None for v in own)),
        )
        for label, points in values.items()
        if any(value is not None for own in points.values() for value in own)
    ]


def _point(x: str, values: Sequence[float | None]) -> Point:
    known = tuple(value for value in values if value is not None)
    return Point(x, statistics.fmean(known) if len(known) == len(values) else None, known)


def _label(texts: Sequence[str]) -> str:
    return clean(" · ".join(text or "–" for text in texts))


def position_of(text: str) -> float | None:
    """Return the number that a text stands for: a size counts by its pixels; None if it is none."""
    if (size := _SIZE.fullmatch(text)) is not None:
        return float(size[1]) * float(size[2])
    return float(text.removesuffix("x")) if _NUMBER.fullmatch(text) else None


def _panel(title: str, lines: Sequence[Line], looks: Looks, x: str, measure: Measure) -> Panel:
    said = "; ".join(
        f"{line.label} at {x} {point.x}: {measure.name} {point.mean:.1f}"
        for line in lines
        for point in line.points
        if point.mean is not None
    )
    draw = partial(_draw, lines=lines, looks=looks, x=x, measure=measure)
    return Panel(title, f"{measure.name} against {x}, {title}: {said}", draw)


def _draw(axes: Axes, *, lines: Sequence[Line], looks: Looks, x: str, measure: Measure) -> None:
    texts = list(dict.fromkeys(point.x for line in lines for point in line.points))
    numbers = {text: n for text in texts if (n := position_of(text)) is not None}
    is_number = len(numbers) == len(texts)
    spread = _SPREAD if len(texts) < sum(len(line.points) for line in lines) else 0.0
    for index, line in enumerate(lines):
        shift = spread * ((index + 0.5) / len(lines) - 0.5)
        places = numbers if is_number else {text: i + shift for i, text in enumerate(texts)}
        _draw_line(axes, line, places, looks, joined=is_number, name=measure.name)
    axes.set(xlabel=x, ylabel=measure.label)
    axes.margins(y=0.12)
    if is_number:
        _number_axis(axes, x, numbers)
    else:
        axes.set_xticks(range(len(texts)), [clean(text) for text in texts])
        axes.tick_params(axis="x", rotation=_TURN if sum(map(len, texts)) > _LONG else 0)
        axes.set_xlim(-0.6, len(texts) - 0.4)


def _number_axis(axes: Axes, x: str, numbers: Mapping[str, float]) -> None:
    known = list(numbers.values())
    if min(known) > 0 and max(known) >= _WIDE * min(known):
        log_axis(axes, known)
    if x not in NUMBERS:
        axes.set_xticks(known, [clean(text) for text in numbers])


def _draw_line(
    axes: Axes, line: Line, places: Mapping[str, float], looks: Looks, *, joined: bool, name: str
) -> None:
    points = sorted(line.points, key=lambda point: places[point.x])
    means = [(places[point.x], point.mean) for point in points if point.mean is not None]
    if joined and len(means) > 1:
        axes.plot(*zip(*means, strict=True), **looks.line(line.label))
    for point in points:
        if len(point.singles) > 1 or point.mean is None:
            look = {**_SINGLE, "color": looks.colour(line.label).light}
            axes.plot([places[point.x]] * len(point.singles), point.singles, **look)
        if point.mean is not None:
            (mark,) = axes.plot([places[point.x]], [point.mean], **looks.mark(line.label))
            say(mark, f"{line.label} at {clean(point.x)}: {name} {point.mean:.1f}")
