"""A score against what it costs: parameters, computation, speed. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import draw_interval, draw_point, log_axis
from posebench.reporting.figures.names import add_name
from posebench.reporting.figures.style import LINE_WIDTH, SOFT, Looks, line_legend, paradigm_of
from posebench.reporting.figures.svg import clean
from posebench.reporting.figures.values import (
    Measure,
    View,
    is_as_trained,
    main_measure,
    measured_by,
    protocol_line,
    short_name,
    view_of,
    with_own_decoders,
)
from posebench.results.cell import CellResult
from posebench.results.reading import ReadCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, CellResult]


@dataclass(frozen=True)
class Cost:
    """What a result costs, None or 0 if it is not known."""

    title: str
    label: str
    of: Callable[[CellResult], float | None]
    more_is_better: bool = False


PARAMETERS = Cost(
    "Model size", "parameters (millions)", lambda result: (result.checkpoint.parameters or 0) / 1e6
)
GFLOPS = Cost("Computation", "GFLOPs of one forward pass", lambda result: result.gflops)
THROUGHPUT = Cost(
    "Throughput",
    "instances per second",
    lambda result: result.instances_per_second,
    more_is_better=True,
)
LATENCY = Cost(
    "Latency",
    "milliseconds for one crop, network alone",
    lambda result: None if result.speed is None else result.speed.latency.p50.value,
)


def scaling_drawing(
    cells: Sequence[ReadCell], looks: Looks | None = None, measure: Measure | None = None
) -> Drawing | None:
    """Draw a score with its interval against parameters, a line for each paradigm.

    Takes every checkpoint at its trained size with its own decoder; models trained at one size make
    one line, through the mean of those with as many parameters. Without `looks`, checkpoints look
    as they come. Returns None if there are none.
    """
    view = view_of(cells, looks, measure)
    measure = view.measure
    results = [
        cell.result
        for cell in cells
        if is_as_trained(cell.result) and measure.of(cell.result) is not None
    ]
    points = _points(PARAMETERS, results)
    if not points:
        return None
    families = list(_families(points).values())
    joined = [own[0][1].checkpoint.paradigm for own in families if len({x for x, _ in own}) > 1]
    return Drawing(
        heading=protocol_line([result for _, result in points]),
        panels=(_panel(PARAMETERS, points, partial(_draw_families, view), measure),),
        legend=(
            *view.looks.legend((result.checkpoint.name for _, result in points), line=False),
            *line_legend(joined),
        ),
        height=2.6,
    )


def pareto_drawing(
    cells: Sequence[ReadCell], looks: Looks | None = None, measure: Measure | None = None
) -> Drawing | None:
    """Draw a score against GFLOPs, instances per second, and latency if it was measured.

    A cell is on a front if no other cell is at least as good in both and better in one; cells on a
    front have their interval and name. Each cell has its checkpoint's own decoder, and each
    protocol its own panels. Without `looks`, checkpoints look as they come. Returns None without
    the score.
    """
    view = view_of(cells, looks, measure)
    measure = view.measure
    results = [cell.result for cell in with_own_decoders(cells)]
    results = [result for result in results if measure.of(result) is not None]
    several = len({_execution(result) for result in results}) > 1
    protocols = list(dict.fromkeys(map(measured_by, results)))
    costs = [cost for cost in (GFLOPS, THROUGHPUT, LATENCY) if _points(cost, results)]
    panels = [
        _panel(
            _titled(cost, protocol if len(protocols) > 1 else ""),
            points,
            partial(_draw_front, cost, several, view),
            measure,
        )
        for protocol in protocols
        for cost in costs
        if (points := _points(cost, [r for r in results if measured_by(r) == protocol]))
    ]
    if not panels:
        return None
    return Drawing(
        heading=protocol_line(results),
        panels=tuple(panels),
        legend=view.looks.legend((result.checkpoint.name for result in results), line=False),
        height=2.5,
    )


def _titled(cost: Cost, protocol: str) -> Cost:
    """Return a cost whose title also says by which protocol results were measured."""
    return replace(cost, title=clean(f"{cost.title} · {protocol}")) if protocol else cost


def front(
    points: Sequence[Point], more_is_better: bool, measure: Measure | None = None
) -> list[Point]:
    """Return the points that no other one beats in both, from the cheapest on.

    Without a `measure` it is the score that results are known by.
    """
    sign = -1 if more_is_better else 1
    drawn = measure or main_measure(result for _, result in points)

    found: list[Point] = []
    for x, result in sorted(points, key=lambda point: (sign * point[0], -drawn.worth(point[1]))):
        if not found or drawn.worth(result) > drawn.worth(found[-1][1]):
            found.append((x, result))
    return found


def _points(cost: Cost, results: Sequence[CellResult]) -> list[Point]:
    return [(value, result) for result in results if (value := cost.of(result) or 0.0) > 0]


def _panel(
    cost: Cost,
    points: Sequence[Point],
    draw: Callable[[Axes, Sequence[Point]], None],
    measure: Measure,
) -> Panel:
    said = "; ".join(f"{measure.said(result)}, {value:.3g}" for value, result in points)

    def panel(axes: Axes) -> None:
        log_axis(axes, [value for value, _ in points])
        top = measure.top([result for _, result in points])
        axes.set(xlabel=cost.label, ylabel=measure.label, ylim=(0, top))
        draw(axes, points)

    return Panel(cost.title, f"{measure.name} against {cost.label}: {said}", panel)


def _families(points: Sequence[Point]) -> dict[tuple[str | None, str, str], list[Point]]:
    """Return points of one paradigm, trained size and data set together, the smallest first."""
    families: dict[tuple[str | None, str, str], list[Point]] = {}
    for value, result in sorted(points, key=lambda point: point[0]):
        facts = result.checkpoint
        key = facts.paradigm, str(facts.trained_size), result.protocol.dataset
        families.setdefault(key, []).append((value, result))
    return families


def _draw_families(view: View, axes: Axes, points: Sequence[Point]) -> None:
    """Draw all points with their names, and a line through those of one paradigm and size."""
    for (paradigm, *_), own in _families(points).items():
        heights: dict[float, list[float]] = {}
        for value, result in own:
            heights.setdefault(value, []).append(view.measure.known(result))
        axes.plot(
            list(heights),
            [sum(values) / len(values) for values in heights.values()],
            color=SOFT,
            linewidth=LINE_WIDTH,
            linestyle=paradigm_of(paradigm).line,
            zorder=1,
        )
        for value, result in own:
            _draw_named(axes, value, result, short_name(result.checkpoint.name), view)


def _draw_front(
    cost: Cost, with_execution: bool, view: View, axes: Axes, points: Sequence[Point]
) -> None:
    """Draw all points faintly, and those on the front with interval and name."""
    best = front(points, cost.more_is_better, view.measure)
    for value, result in points:
        if (value, result) not in best:
            draw_point(axes, value, result, view, alpha=0.4, clip_on=False)
    axes.step(
        [value for value, _ in best],
        [view.measure.known(result) for _, result in best],
        where="post",
        color=SOFT,
        linewidth=0.8,
        linestyle=":",
        zorder=0,
    )
    sizes = {str(result.size) for _, result in points}
    for value, result in best:
        parts = [short_name(result.checkpoint.name)]
        parts += [str(result.size)] if len(sizes) > 1 else []
        parts += [_execution(result)] if with_execution else []
        _draw_named(axes, value, result, " ".join(parts), view)


def _draw_named(axes: Axes, value: float, result: CellResult, name: str, view: View) -> None:
    draw_interval(axes, value, result, view)
    draw_point(axes, value, result, view, clip_on=False)
    colour = view.looks.colour(result.checkpoint.name).light
    add_name(axes, value, view.measure.known(result), name, colour)


def _execution(result: CellResult) -> str:
    return f"{result.protocol.engine} {result.protocol.precision}"
