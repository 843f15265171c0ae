"""A score and the speed over many runs, in the order in which they were made. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from posebench.judging.claim_cells import comparable_identity
from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import draw_interval, draw_point
from posebench.reporting.figures.names import add_name
from posebench.reporting.figures.style import Looks
from posebench.reporting.figures.svg import clean, say
from posebench.reporting.figures.values import (
    Measure,
    View,
    is_as_trained,
    protocol_line,
    short_name,
    view_of,
    way_of,
)
from posebench.results.cell import CellResult
from posebench.results.numbers import number_named
from posebench.results.reading import ReadCell
from posebench.results.speed import compared_conditions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SPEED = "inst/s"
_DATE, _TIME = slice(0, len("2026-11-26")), slice(len("2026-11-26T"), len("2026-11-26T22:09"))
# More labels than this would cover one another.
_MOST_LABELS = 12
# Room at the right of the last run for names, as a share of the axis.
_NAME_ROOM = 0.5
# How far the lines of a run stand apart, as a share of the way to the next run.
_DODGE, _SPREAD = 0.08, 0.3


@dataclass(frozen=True)
class HistoryRun:
    """A run in a history: its name, when it was made (ISO 8601, or ""), on what, and its cells."""

    name: str
    date: str
    machine: str
    cells: tuple[ReadCell, ...]


@dataclass(frozen=True)
class _Series:
    """A cell over the runs that have it: the runs' places, and the results there."""

    label: str
    machines: tuple[str, ...]
    places: list[int] = field(default_factory=list)
    results: list[CellResult] = field(default_factory=list)


Comparable = Callable[[_Series, int], bool]
"""Tells whether the result at a position is comparable with the one before it."""


def history_drawing(
    runs: Sequence[HistoryRun],
    looks: Looks | None = None,
    measure: Measure | None = None,
    *,
    every: bool = False,
) -> Drawing | None:
    """Draw a score with its interval, and instances per second, over runs in time order.

    A cell is known by its id. Checkpoints are drawn at their trained sizes with their own decoders,
    with `every` all cells. A line joins results that are comparable: of one protocol, and speeds
    also of one machine. Returns None if no cell has the score.
    """
    ordered = sorted(runs, key=lambda run: run.date)
    cells = [cell for run in ordered for cell in run.cells]
    own = [cell for cell in cells if is_as_trained(cell.result)]
    shown = cells if every or not own else own
    view = view_of(shown, looks, measure)
    measure = view.measure
    series = _series(ordered, shown)
    scored = [each for each in series if any(measure.of(result) for result in each.results)]
    if not scored:
        return None
    days = {run.date[_DATE] for run in ordered}
    when = _TIME if len(days) == 1 else _DATE
    ticks = [f"{clean(run.name)}\n{clean(run.date[when])}" for run in ordered]
    panels = [
        Panel(
            measure.name,
            _spoken(measure.name, scored, measure.of),
            partial(_draw_scores, series=scored, ticks=ticks, view=view),
        )
    ]
    if timed := [each for each in series if any(_speed(result) for result in each.results)]:
        panels.append(
            Panel(
                "Speed",
                _spoken("instances per second", timed, _speed),
                partial(_draw_speeds, series=timed, ticks=ticks, view=view),
            )
        )
    results = [result for each in scored for result in each.results]
    broken = _broken(scored)
    return Drawing(
        heading=protocol_line(results),
        panels=tuple(panels),
        legend=view.looks.legend(result.checkpoint.name for result in results),
        height=2.2,
        note=f"lines are broken where protocols differ: {', '.join(broken)}" if broken else "",
    )


def _series(runs: Sequence[HistoryRun], shown: Sequence[ReadCell]) -> list[_Series]:
    """Return a series for each cell, in the order in which they come."""
    wanted = {id(cell) for cell in shown}
    machines = tuple(run.machine for run in runs)
    facts: dict[str, dict[str, tuple[str, ...]]] = {}
    for cell in shown:
        facts.setdefault(cell.result.checkpoint.name, {})[cell.id] = _facts(cell.result)
    found: dict[str, _Series] = {}
    for place, run in enumerate(runs):
        for cell in run.cells:
            if id(cell) in wanted:
                name = cell.result.checkpoint.name
                label = " ".join((name, *_telling(facts[name], cell.id)))
                each = found.setdefault(cell.id, _Series(label, machines))
                each.places.append(place)
                each.results.append(cell.result)
    return list(found.values())


def _facts(result: CellResult) -> tuple[str, ...]:
    """Return what a checkpoint's cells may differ in."""
    protocol = result.protocol
    flip = {True: "flip", False: "no flip", None: ""}[protocol.flip_test]
    where = (protocol.dataset, protocol.boxes, str(result.size), way_of(result))
    return (*where, protocol.decoder or "", flip, str(protocol.engine), protocol.precision)


def _telling(facts: Mapping[str, tuple[str, ...]], cell: str) -> list[str]:
    """Return which facts tell a cell from the others of its checkpoint."""
    columns = list(zip(*facts.values(), strict=True))
    return [fact for fact, column in zip(facts[cell], columns, strict=True) if len({*column}) > 1]


def _speed(result: CellResult) -> float | None:
    return number_named(SPEED).read(result)


def _spoken(what: str, series: Sequence[_Series], of: Callable[[CellResult], float | None]) -> str:
    lines = [
        f"{each.label} " + ", ".join(f"{value:.1f}" for r in each.results if (value := of(r)))
        for each in series
    ]
    return f"{what} over runs: {'; '.join(lines)}"


def _differing(series: _Series, at: int) -> list[str]:
    """Return the fields in which a result's protocol differs from the one before it."""
    one, other = (comparable_identity(result) for result in series.results[at - 1 : at + 1])
    return [name for name in one if one[name] != other[name]]


def _same_protocol(series: _Series, at: int) -> bool:
    return not _differing(series, at)


def _same_conditions(series: _Series, at: int) -> bool:
    """Tell whether a speed was measured as the one before it: same machine, and conditions."""
    one, other = series.results[at - 1 : at + 1]
    conditions = [
        None if r.speed is None else compared_conditions(r.speed.conditions) for r in (one, other)
    ]
    machines = [series.machines[place] for place in series.places[at - 1 : at + 1]]
    alike = conditions[0] == conditions[1] and machines[0] == machines[1]
    return alike and _same_protocol(series, at)


def _broken(series: Sequence[_Series]) -> list[str]:
    """Return the fields of protocols that differ between neighbours."""
    neighbours = ((each, at) for each in series for at in range(1, len(each.results)))
    return list(dict.fromkeys(name for each, at in neighbours for name in _differing(each, at)))


def _draw_scores(
    axes: Axes, *, series: Sequence[_Series], ticks: Sequence[str], view: View
) -> None:
    measure = view.measure
    for each, shift in zip(series, _shifts(len(series)), strict=True):
        _draw_lines(axes, each, (measure.of, _same_protocol), view, shift)
        for place, result in zip(each.places, each.results, strict=True):
            if measure.of(result) is not None:
                draw_interval(axes, place + shift, result, view)
                draw_point(axes, place + shift, result, view)
    _finish(axes, ticks, measure.label)
    axes.set_ylim(0, measure.top([result for each in series for result in each.results]))


def _draw_speeds(
    axes: Axes, *, series: Sequence[_Series], ticks: Sequence[str], view: View
) -> None:
    for each, shift in zip(series, _shifts(len(series)), strict=True):
        _draw_lines(axes, each, (_speed, _same_conditions), view, shift)
        for place, result in zip(each.places, each.results, strict=True):
            if (value := _speed(result)) is not None:
                look = view.looks.mark(result.checkpoint.name)
                (mark,) = axes.plot([place + shift], [value], **look)
                say(mark, f"{each.label}, {ticks[place].splitlines()[0]}: {value:.1f} instances/s")
    _finish(axes, ticks, "instances per second")
    axes.set_ylim(0, None)


def _shifts(count: int) -> list[float]:
    """Return how far each series is moved, so that marks of a run stand beside one another."""
    step = min(_DODGE, _SPREAD / count)
    return [step * (place - (count - 1) / 2) for place in range(count)]


def _draw_lines(
    axes: Axes,
    series: _Series,
    drawn: tuple[Callable[[CellResult], float | None], Comparable],
    view: View,
    shift: float,
) -> None:
    """Join neighbours that are comparable, and name the last value."""
    of, comparable = drawn
    name = series.results[-1].checkpoint.name
    known = [(p + shift, of(r)) for p, r in zip(series.places, series.results, strict=True)]
    for at in range(1, len(known)):
        ends: list[Any] = [known[at - 1], known[at]]
        if all(value is not None for _, value in ends) and comparable(series, at):
            axes.plot(*zip(*ends, strict=True), **view.looks.line(name))
    place, value = next(((p, v) for p, v in reversed(known) if v is not None), (None, None))
    if place is not None and value is not None:
        add_name(axes, place, value, short_name(series.label), view.looks.colour(name).light)


def _finish(axes: Axes, ticks: Sequence[str], label: str) -> None:
    step = -(-len(ticks) // _MOST_LABELS)
    places = list(range(0, len(ticks), step))
    upright = len(places) > 3
    axes.set_xticks(places, [ticks[place] for place in places], rotation=90 if upright else 0)
    last = max(len(ticks) - 1, 1)
    axes.set_xlim(-_SPREAD, last * (1 + _NAME_ROOM))
    axes.set_ylabel(label)
