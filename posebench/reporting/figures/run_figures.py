"""Figures of runs: AP against model size, against cost, and by keypoint. Never loads torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.errors import UsageError
from posebench.reporting.figures.style import (
    COLOURS,
    GREY,
    figure_file,
    legend_line,
    log_axis,
    paradigms_in,
)
from posebench.results.cell import CellResult
from posebench.results.reading import ReadCell, ap_bounds, read_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_CHARACTERS = 28
_MARKS = {"heatmap": "o", "simcc": "s"}
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "*")
Abscissa = Callable[[CellResult], "float | None"]


def plot_scaling(source: Path, out: Path) -> None:
    """Draw AP (points) with its interval against parameters, a line for each paradigm.

    Takes every checkpoint at its trained size with its own decoder; models trained at one size
    make one line. Raises `UsageError` where there is none, and as `figure_file`.
    """
    cells = [cell for cell in _at_home(source) if cell.checkpoint.parameters]
    _require(cells, source, "at its trained size")
    with figure_file(out, (6.2, 4.2)) as figure:
        axes = figure.subplots()
        log_axis(axes, [(cell.checkpoint.parameters or 0) / 1e6 for cell in cells])
        for family in dict.fromkeys(_line_of(cell) for cell in cells):
            own = [cell for cell in cells if _line_of(cell) == family]
            own.sort(key=lambda cell: cell.checkpoint.parameters or 0)
            places = [(cell.checkpoint.parameters or 0) / 1e6 for cell in own]
            axes.plot(places, [_ap(cell) for cell in own], color=_colour(own[0]), linewidth=1.1)
            _draw_named(axes, own, places, [_short(cell.checkpoint.name) for cell in own])
        axes.set(xlabel="parameters (millions)", ylabel="AP (points)", ylim=(0, None))
        _legend(axes, cells)
        axes.set_title(_protocol(cells), color=GREY)


def plot_pareto(source: Path, out: Path) -> None:
    """Draw AP (points) against GFLOPs, instances per second, and latency where it was measured.

    A cell is on a front if none is at least as good in both and better in one; those have their
    interval and name. Each cell counts with its checkpoint's own decoder. Raises as
    `plot_scaling`.
    """
    cells = [cell.result for cell in read_cells(source)]
    cells = [cell for cell in cells if _has_ap(cell) and cell.has_own_decoder is not False]
    _require(cells, source, "with AP")
    sides: list[tuple[str, Abscissa, bool]] = [
        ("GFLOPs of one forward pass", lambda cell: cell.gflops, False),
        ("instances per second", lambda cell: cell.instances_per_second, True),
    ]
    if any(_latency(cell) is not None for cell in cells):
        sides.append(("milliseconds for one crop, network alone", _latency, False))
    several = len({_execution(cell) for cell in cells}) > 1
    with figure_file(out, (5.25 * len(sides), 4.4)) as figure:
        panels = figure.subplots(1, len(sides))
        for axes, (label, cost, more_is_better) in zip(panels, sides, strict=True):
            points = [(value, cell) for cell in cells if (value := cost(cell))]
            log_axis(axes, [x for x, _ in points])
            for x, cell in points:
                axes.plot([x], [_ap(cell)], color=_colour(cell), alpha=0.35, **_marker(cell))
            front = _front(points, more_is_better)
            places = [x for x, _ in front]
            look = {"color": GREY, "linewidth": 0.8, "linestyle": ":", "zorder": 0}
            axes.step(places, [_ap(cell) for _, cell in front], where="post", **look)
            names = [_front_name(cell, several) for _, cell in front]
            _draw_named(axes, [cell for _, cell in front], places, names)
            axes.set(xlabel=label, ylabel="AP (points)", ylim=(0, None))
        _legend(figure.axes[0], cells)
        figure.suptitle(_protocol(cells), fontsize="medium", color=GREY)


def plot_keypoints(source: Path, out: Path) -> None:
    """Draw each keypoint's PCK@0.1, a mark for each checkpoint at its trained size.

    Raises as `plot_scaling`.
    """
    found = [cell for cell in read_cells(source) if cell.keypoints and _is_home(cell.result)]
    _require(found, source, "with its keypoints' numbers (posebench run keeps them)")
    names = list(dict.fromkeys(name for cell in found for name in cell.keypoints))
    with figure_file(out, (7.0, 1.4 + 0.24 * len(names))) as figure:
        axes = figure.subplots()
        counts: dict[str | None, int] = {}
        for cell in found:
            paradigm = cell.result.checkpoint.paradigm
            position = counts[paradigm] = counts.get(paradigm, -1) + 1
            shares = [(row, cell.keypoints.get(name)) for row, name in enumerate(names)]
            axes.plot(
                [100 * share for _, share in shares if share is not None],
                [row for row, share in shares if share is not None],
                color=_colour(cell.result),
                marker=_SHAPES[position % len(_SHAPES)],
                markersize=4.5,
                linestyle="none",
                alpha=0.8,
                label=_short(cell.result.checkpoint.name),
            )
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(None, 101))
        axes.set_xlabel("PCK@0.1 (percent of labelled keypoints)")
        figure.legend(loc="outside lower center", ncols=min(len(found), 4))
        axes.set_title(_protocol([cell.result for cell in found]), color=GREY)


def _at_home(source: Path) -> list[CellResult]:
    return [cell.result for cell in read_cells(source) if _is_home(cell.result)]


def _is_home(cell: CellResult) -> bool:
    """Tell whether a cell is its checkpoint as published: trained size, own decoder."""
    own = cell.has_own_decoder is not False and cell.policy == "native"
    return own and cell.size == cell.checkpoint.trained_size and _has_ap(cell)


def _line_of(cell: CellResult) -> tuple[str | None, str, str]:
    facts = cell.checkpoint
    return facts.paradigm, str(facts.trained_size), cell.protocol.dataset


def _front(
    points: Sequence[tuple[float, CellResult]], more_is_better: bool
) -> list[tuple[float, CellResult]]:
    """Return the cells that no other one beats in both, from the cheapest on."""
    sign = -1 if more_is_better else 1
    front: list[tuple[float, CellResult]] = []
    for x, cell in sorted(points, key=lambda point: (sign * point[0], -_ap(point[1]))):
        if not front or _ap(cell) > _ap(front[-1][1]):
            front.append((x, cell))
    return front


def _draw_named(
    axes: Axes, cells: Sequence[CellResult], places: Sequence[float], names: Sequence[str]
) -> None:
    """Draw each cell's AP with its interval and a name beside it."""
    paper = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
    for cell, x, name in zip(cells, places, names, strict=True):
        ap, colour = _ap(cell), _colour(cell)
        low, high = ap_bounds(cell) or (ap, ap)
        ends = [[max(ap - low, 0)], [max(high - ap, 0)]]
        axes.errorbar([x], [ap], yerr=ends, color=colour, linewidth=0.8, capsize=2, **_marker(cell))
        axes.annotate(
            name,
            (x, ap),
            (5, 4),
            textcoords="offset points",
            color=colour,
            fontsize="x-small",
            bbox=paper,
        )


def _latency(cell: CellResult) -> float | None:
    return None if cell.speed is None else cell.speed.latency.p50.value


def _execution(cell: CellResult) -> str:
    return f"{cell.protocol.engine} {cell.protocol.precision}"


def _front_name(cell: CellResult, with_execution: bool) -> str:
    name = _short(f"{cell.checkpoint.name} {cell.size}")
    return f"{name} {_execution(cell)}" if with_execution else name


def _marker(cell: CellResult) -> dict[str, Any]:
    return {"marker": _MARKS.get(cell.checkpoint.paradigm or "", "o"), "markersize": 4.5}


def _short(name: str) -> str:
    return name if len(name) <= _LABEL_CHARACTERS else f"{name[:_LABEL_CHARACTERS]}…"


def _legend(axes: Axes, cells: Sequence[CellResult]) -> None:
    names = paradigms_in(cell.checkpoint.paradigm for cell in cells)
    axes.legend(
        handles=[legend_line(COLOURS[name], name, marker=_MARKS[name]) for name in names],
        loc="lower right",
    )


def _protocol(cells: Sequence[CellResult]) -> str:
    protocols = dict.fromkeys(
        f"{cell.protocol.dataset}: {cell.protocol.images} images, boxes {cell.protocol.boxes}"
        for cell in cells
    )
    return " · ".join(protocols)


def _require(cells: Sequence[CellResult] | Sequence[ReadCell], source: Path, what: str) -> None:
    if not cells:
        raise UsageError(f"{source} holds no result {what}.")


def _ap(cell: CellResult) -> float:
    """Return AP in points, of a cell that has it."""
    return 100 * ((cell.metrics or {}).get("AP") or 0.0)


def _has_ap(cell: CellResult) -> bool:
    return (cell.metrics or {}).get("AP") is not None


def _colour(cell: CellResult) -> str:
    return COLOURS.get(cell.checkpoint.paradigm or "", GREY)
