"""A score against input size, a panel for each resize policy. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import draw_interval, draw_point
from posebench.reporting.figures.names import add_name
from posebench.reporting.figures.style import (
    MARKER_SIZE,
    POLICIES,
    SOFT,
    LegendEntry,
    Looks,
)
from posebench.reporting.figures.svg import clean, say
from posebench.reporting.figures.values import (
    Measure,
    View,
    measured_by,
    protocol_line,
    shared_panels,
    short_name,
    view_of,
    with_own_decoders,
)
from posebench.results.cell import CellResult
from posebench.results.reading import ReadCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

MISSING = {
    "unsupported": ("x", "unsupported at this size"),
    "failed": ("1", "failed"),
    "skipped": ("2", "skipped"),
}
_HOME: dict[str, Any] = {"color": SOFT, "linewidth": 0.9, "linestyle": ":"}
_LEVEL_LABELS = 3
_HEIGHT, _HEIGHT_WITH_UPRIGHT_LABELS = 2.0, 2.5
# Share of the height under 0 that is kept for the marks of cells without the score.
_FLOOR = 0.09
# How far apart the marks of one size stand, and how wide they may spread, in points.
_DODGE, _SPREAD = 4.0, 14.0
# Names of more checkpoints would cover one another.
_MOST_NAMES, _MOST_COLUMNS = 4, 3
# Room beside the smallest and largest size, as factors, the latter with and without names.
_MARGIN, _NAME_ROOM = 1.25, 2.1


def resolution_drawing(
    cells: Sequence[ReadCell], looks: Looks | None = None, measure: Measure | None = None
) -> Drawing | None:
    """Draw a score with its interval against input height; None for cells without sizes.

    Each policy has a panel, and a row of them where there are many checkpoints or protocols; each
    checkpoint has its own decoder. Cells without the score are marks on the panel's floor. At the
    trained size all policies are the same, so that every policy's line passes through it. Without
    `looks`, checkpoints look as they come.
    """
    placed = [cell for cell in with_own_decoders(cells) if cell.result.size is not None]
    if not placed:
        return None
    results = [cell.result for cell in placed]
    view = view_of(cells, looks, measure)
    measure = view.measure
    without = sum(cell.result.size is None for cell in cells)
    several = len(set(map(measured_by, results))) > 1
    top = measure.top(results)
    floor = -top * _FLOOR if any(measure.of(result) is None for result in results) else 0.0
    rows = shared_panels(placed)
    panels = [
        Panel(
            _title(row, policy, several, len(rows) > 1),
            f"{measure.name} against input size, {policy} policy: "
            + "; ".join(measure.said(result) for result in _of_policy(row, policy)),
            partial(
                _draw_panel,
                results=[cell.result for cell in row],
                policy=policy,
                limits=(floor, top),
                view=view,
            ),
        )
        for row in rows
        for policy in _policies(row)
    ]
    most = max(len({cell.result.size for cell in row}) for row in rows)
    return Drawing(
        heading=protocol_line(results) + f" · {without} without a size left out" * bool(without),
        panels=tuple(panels),
        legend=_legend(results, view),
        columns=min(_MOST_COLUMNS, max(len(_policies(row)) for row in rows)),
        height=_HEIGHT if most <= _LEVEL_LABELS else _HEIGHT_WITH_UPRIGHT_LABELS,
        same_y=True,
    )


def _policies(cells: Sequence[ReadCell]) -> list[str]:
    found = dict.fromkeys(cell.result.policy or "" for cell in cells)
    return [name for name in POLICIES if name in found] + [n for n in found if n not in POLICIES]


def _title(row: Sequence[ReadCell], policy: str, with_protocol: bool, with_names: bool) -> str:
    names = list(dict.fromkeys(short_name(cell.result.checkpoint.name) for cell in row))
    named = " to ".join(dict.fromkeys((names[0], names[-1]))) if with_names else ""
    protocol = measured_by(row[0].result) if with_protocol else ""
    return clean(" · ".join(filter(None, (f"{policy} policy".strip(), named, protocol))))


def _of_policy(cells: Sequence[ReadCell], policy: str) -> list[CellResult]:
    return [cell.result for cell in cells if (cell.result.policy or "") == policy]


def _draw_panel(
    axes: Axes,
    *,
    results: Sequence[CellResult],
    policy: str,
    limits: tuple[float, float],
    view: View,
) -> None:
    sizes = sorted({result.size for result in results if result.size is not None})
    heights = sorted({size.height for size in sizes})
    labels = ["\n".join(str(size) for size in sizes if size.height == h) for h in heights]
    axes.set_xscale("log", base=2)
    axes.set_xticks(heights, labels, rotation=0 if len(heights) <= _LEVEL_LABELS else 90)
    axes.minorticks_off()
    axes.set(xlabel="input size (height × width, px)", ylabel=view.measure.label, ylim=limits)
    homes = {home.height for r in results if (home := r.checkpoint.trained_size) is not None}
    ends = [*heights, *homes]
    checkpoints = list(dict.fromkeys(result.checkpoint.name for result in results))
    has_names = len(checkpoints) <= _MOST_NAMES
    axes.set_xlim(min(ends) / _MARGIN, max(ends) * (_NAME_ROOM if has_names else _MARGIN))
    for place in sorted(homes):
        axes.axvline(place, zorder=0, **_HOME)
    step = min(_DODGE, _SPREAD / len(checkpoints))
    for place, name in enumerate(checkpoints):
        shift = _shifted(axes, step * (place - (len(checkpoints) - 1) / 2))
        own = [result for result in results if result.checkpoint.name == name]
        for decoder in dict.fromkeys(r.protocol.decoder for r in own):
            alike = [r for r in own if r.protocol.decoder == decoder]
            shown = _draw_series(axes, alike, policy, view, shift)
            if shown and has_names:
                last, colour = shown[-1], view.looks.colour(name).light
                y = view.measure.known(last)
                add_name(axes, _height(last), y, short_name(name), colour)


def _draw_series(
    axes: Axes,
    results: Sequence[CellResult],
    policy: str,
    view: View,
    shift: Transform,
) -> list[CellResult]:
    """Draw one checkpoint under one policy; return what the line passes through.

    At the trained size every policy is `native`, so that the other policies have no cell of their
    own there.
    """
    measure = view.measure
    own = [result for result in results if (result.policy or "") == policy]
    at_home = [r for r in results if r.policy == "native" and r.size == r.checkpoint.trained_size]
    if not own:
        return []
    shown = [r for r in results if measure.of(r) is not None and (r in own or r in at_home)]
    shown.sort(key=_height)
    axes.plot(
        [_height(result) for result in shown],
        [measure.known(result) for result in shown],
        **view.looks.line(own[0].checkpoint.name),
        transform=shift,
    )
    for result in shown:
        draw_interval(axes, _height(result), result, view, transform=shift)
        draw_point(axes, _height(result), result, view, transform=shift)
    for result in own:
        if measure.of(result) is None:
            _mark_missing(axes, result, view, shift)
    return shown


def _mark_missing(axes: Axes, result: CellResult, view: View, shift: Transform) -> None:
    marker, _ = MISSING.get(result.status, MISSING["failed"])
    (mark,) = axes.plot(
        [_height(result)],
        [axes.get_ylim()[0] / 2],
        marker=marker,
        color=view.looks.colour(result.checkpoint.name).light,
        markersize=MARKER_SIZE + 1,
        linestyle="none",
        transform=shift,
    )
    say(mark, view.measure.said(result))


def _shifted(axes: Axes, points: float) -> Transform:
    """Return the transform that moves data to the right by some points."""
    from matplotlib.transforms import ScaledTranslation

    figure: Any = axes.figure
    return axes.transData + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)


def _height(result: CellResult) -> float:
    assert result.size is not None
    return float(result.size.height)


def _legend(results: Sequence[CellResult], view: View) -> tuple[LegendEntry, ...]:
    missing = [
        LegendEntry(label, {"color": SOFT, "marker": marker, "linestyle": "none"})
        for status, (marker, label) in MISSING.items()
        if any(r.status == status and view.measure.of(r) is None for r in results)
    ]
    return (
        *view.looks.legend(result.checkpoint.name for result in results),
        *missing,
        LegendEntry("trained size", _HOME),
    )
