"""AP against what it costs: parameters, computation, throughput, latency. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import draw_interval, draw_point, log_axis
from posebench.reporting.figures.names import add_name
from posebench.reporting.figures.style import LINE_WIDTH, SOFT, paradigm_legend, paradigm_of
from posebench.reporting.figures.values import (
    is_as_trained,
    known_score,
    protocol_line,
    score_axis,
    score_said,
    score_value,
    short_name,
    top_of,
    with_own_decoders,
)
from posebench.results.cell import CellResult
from posebench.results.numbers import main_metric, number_named
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


def scaling_drawing(cells: Sequence[ReadCell]) -> Drawing | None:
    """Draw AP (points) with its interval against parameters, a line for each paradigm.

    Takes every checkpoint at its trained size with its own decoder; models trained at one size make
    one line. Returns None if there are none.
    """
    results = [
        cell.result
        for cell in cells
        if is_as_trained(cell.result) and score_value(cell.result) is not None
    ]
    points = _points(PARAMETERS, results)
    if not points:
        return None
    return Drawing(
        heading=protocol_line([result for _, result in points]),
        panels=(_panel(PARAMETERS, points, _draw_families),),
        legend=paradigm_legend(result.checkpoint.paradigm for _, result in points),
        height=2.6,
    )


def pareto_drawing(cells: Sequence[ReadCell]) -> Drawing | None:
    """Draw AP (points) against GFLOPs, instances per second, and latency if it was measured.

    A cell is on a front if no other cell is at least as good in both and better in one; cells on a
    front have their interval and name. Each cell has its checkpoint's own decoder. Returns None
    without AP.
    """
    results = [cell.result for cell in with_own_decoders(cells)]
    results = [result for result in results if score_value(result) is not None]
    several = len({_execution(result) for result in results}) > 1
    panels = [
        _panel(cost, points, partial(_draw_front, cost, several))
        for cost in (GFLOPS, THROUGHPUT, LATENCY)
        if (points := _points(cost, results))
    ]
    if not panels:
        return None
    return Drawing(
        heading=protocol_line(results),
        panels=tuple(panels),
        legend=paradigm_legend((result.checkpoint.paradigm for result in results), line=False),
        height=2.5,
    )


def front(points: Sequence[Point], more_is_better: bool) -> list[Point]:
    """Return the points that no other one beats in both, from the cheapest on."""
    sign = -1 if more_is_better else 1
    found: list[Point] = []
    best = 1 if number_named(main_metric(r for _, r in points)).better == "lower" else -1
    for x, result in sorted(
        points, key=lambda point: (sign * point[0], best * known_score(point[1]))
    ):
        if not found or best * known_score(result) < best * known_score(found[-1][1]):
            found.append((x, result))
    return found


def _points(cost: Cost, results: Sequence[CellResult]) -> list[Point]:
    return [(value, result) for result in results if (value := cost.of(result) or 0.0) > 0]


def _panel(
    cost: Cost, points: Sequence[Point], draw: Callable[[Axes, Sequence[Point]], None]
) -> Panel:
    said = "; ".join(f"{score_said(result)}, {value:.3g}" for value, result in points)

    results = [result for _, result in points]

    def panel(axes: Axes) -> None:
        log_axis(axes, [value for value, _ in points])
        top = top_of(results)
        axes.set(xlabel=cost.label, ylabel=score_axis(results), ylim=(0, top))
        draw(axes, points)

    return Panel(cost.title, f"{main_metric(results)} against {cost.label}: {said}", panel)


def _draw_families(axes: Axes, points: Sequence[Point]) -> None:
    """Draw all points with their names, and a line through those of one paradigm and size."""
    families: dict[tuple[str | None, str, str], list[Point]] = {}
    for value, result in points:
        facts = result.checkpoint
        key = facts.paradigm, str(facts.trained_size), result.protocol.dataset
        families.setdefault(key, []).append((value, result))
    for own in families.values():
        own.sort(key=lambda point: point[0])
        axes.plot(
            [value for value, _ in own],
            [known_score(result) for _, result in own],
            color=_colour(own[0][1]),
            linewidth=LINE_WIDTH,
        )
        for value, result in own:
            _draw_named(axes, value, result, short_name(result.checkpoint.name))


def _draw_front(cost: Cost, with_execution: bool, axes: Axes, points: Sequence[Point]) -> None:
    """Draw all points faintly, and those on the front with interval and name."""
    best = front(points, cost.more_is_better)
    for value, result in points:
        if (value, result) not in best:
            draw_point(axes, value, result, alpha=0.4, clip_on=False)
    axes.step(
        [value for value, _ in best],
        [known_score(result) for _, result in best],
        where="post",
        color=SOFT,
        linewidth=0.8,
        linestyle=":",
        zorder=0,
    )
    for value, result in best:
        name = short_name(f"{result.checkpoint.name} {result.size}")
        execution = f" {_execution(result)}" if with_execution else ""
        _draw_named(axes, value, result, name + execution)


def _draw_named(axes: Axes, value: float, result: CellResult, name: str) -> None:
    draw_interval(axes, value, result)
    draw_point(axes, value, result, clip_on=False)
    add_name(axes, value, known_score(result), name, _colour(result))


def _execution(result: CellResult) -> str:
    return f"{result.protocol.engine} {result.protocol.precision}"


def _colour(result: CellResult) -> str:
    return paradigm_of(result.checkpoint.paradigm).colour
