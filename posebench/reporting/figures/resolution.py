"""AP against input size, a panel for each matched pair. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import draw_interval, draw_point
from posebench.reporting.figures.style import (
    LINE_WIDTH,
    MARKER_SIZE,
    POLICY_MARKERS,
    SOFT,
    LegendEntry,
    paradigm_legend,
    paradigm_of,
    policy_legend,
    policy_line,
)
from posebench.reporting.figures.svg import say
from posebench.reporting.figures.values import (
    known_score,
    matched_panels,
    measured_by,
    panel_title,
    protocol_line,
    score_axis,
    score_said,
    score_value,
    top_of,
    with_own_decoders,
)
from posebench.results.cell import CellResult
from posebench.results.numbers import main_metric
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
# Share of the height under AP 0 that is kept for the marks of cells without AP.
_FLOOR = 0.09
# How far apart the marks of one size stand, in points.
_DODGE = 2.0


def resolution_drawing(cells: Sequence[ReadCell]) -> Drawing | None:
    """Draw AP (points) with its interval against input height; None for cells without sizes.

    Colour stands for the paradigm, a mark's shape for the resize policy; each checkpoint has its
    own decoder. Cells without AP are marks on the panel's floor. A policy's line passes through
    the trained size, where all policies are the same.
    """
    placed = [cell for cell in with_own_decoders(cells) if cell.result.size is not None]
    if not placed:
        return None
    results = [cell.result for cell in placed]
    without = sum(cell.result.size is None for cell in cells)
    several = len(set(map(measured_by, results))) > 1
    top = top_of(results)
    floor = -top * _FLOOR if any(score_value(result) is None for result in results) else 0.0
    grouped = matched_panels(placed)
    most = max(len({cell.result.size for cell in panel}) for panel in grouped)
    panels = [
        Panel(
            panel_title(panel, several),
            f"{main_metric(results)} against input size: "
            + "; ".join(score_said(cell.result) for cell in panel),
            partial(_draw_panel, results=[cell.result for cell in panel], limits=(floor, top)),
        )
        for panel in grouped
    ]
    return Drawing(
        heading=protocol_line(results) + f" · {without} without a size left out" * bool(without),
        panels=tuple(panels),
        legend=_legend(results),
        columns=3,
        height=_HEIGHT if most <= _LEVEL_LABELS else _HEIGHT_WITH_UPRIGHT_LABELS,
        same_y=True,
    )


def _draw_panel(axes: Axes, *, results: Sequence[CellResult], limits: tuple[float, float]) -> None:
    sizes = sorted({result.size for result in results if result.size is not None})
    heights = sorted({size.height for size in sizes})
    labels = ["\n".join(str(size) for size in sizes if size.height == h) for h in heights]
    axes.set_xscale("log", base=2)
    axes.set_xticks(heights, labels, rotation=0 if len(heights) <= _LEVEL_LABELS else 90)
    axes.minorticks_off()
    axes.set(xlabel="input size (height × width, px)", ylabel=score_axis(results), ylim=limits)
    homes = {home.height for r in results if (home := r.checkpoint.trained_size) is not None}
    ends = [*heights, *homes]
    axes.set_xlim(min(ends) / 1.25, max(ends) * 1.25)
    for place in sorted(homes):
        axes.axvline(place, zorder=0, **_HOME)
    checkpoints = list(dict.fromkeys(result.checkpoint.name for result in results))
    for place, name in enumerate(checkpoints):
        shift = _shifted(axes, _DODGE * (2 * place - len(checkpoints) + 1))
        own = [result for result in results if result.checkpoint.name == name]
        for decoder, policy in dict.fromkeys((r.protocol.decoder, r.policy) for r in own):
            _draw_series(axes, [r for r in own if r.protocol.decoder == decoder], policy, shift)


def _draw_series(
    axes: Axes, results: Sequence[CellResult], policy: str | None, shift: Transform
) -> None:
    """Draw one checkpoint under one policy, by way of its AP at the trained size.

    At that size every policy is `native`, so that the other policies have no cell of their own.
    """
    at_home = [r for r in results if r.policy == "native" and r.size == r.checkpoint.trained_size]
    own = [result for result in results if result.policy == policy]
    shown = [r for r in results if score_value(r) is not None and (r in own or r in at_home)]
    shown.sort(key=_height)
    axes.plot(
        [_height(result) for result in shown],
        [known_score(result) for result in shown],
        color=paradigm_of(own[0].checkpoint.paradigm).colour,
        linewidth=LINE_WIDTH,
        linestyle=policy_line(policy),
        transform=shift,
    )
    for result in own:
        if score_value(result) is None:
            _mark_missing(axes, result, shift)
            continue
        draw_interval(axes, _height(result), result, transform=shift)
        marker = POLICY_MARKERS.get(policy or "", "o")
        draw_point(axes, _height(result), result, marker, transform=shift)


def _mark_missing(axes: Axes, result: CellResult, shift: Transform) -> None:
    marker, _ = MISSING.get(result.status, MISSING["failed"])
    (mark,) = axes.plot(
        [_height(result)],
        [axes.get_ylim()[0] / 2],
        marker=marker,
        color=paradigm_of(result.checkpoint.paradigm).colour,
        markersize=MARKER_SIZE + 1,
        linestyle="none",
        transform=shift,
    )
    say(mark, score_said(result))


def _shifted(axes: Axes, points: float) -> Transform:
    """Return the transform that moves data to the right by some points."""
    from matplotlib.transforms import ScaledTranslation

    figure: Any = axes.figure
    return axes.transData + ScaledTranslation(points / 72, 0, figure.dpi_scale_trans)


def _height(result: CellResult) -> float:
    assert result.size is not None
    return float(result.size.height)


def _legend(results: Sequence[CellResult]) -> tuple[LegendEntry, ...]:
    missing = [
        LegendEntry(label, {"color": SOFT, "marker": marker, "linestyle": "none"})
        for status, (marker, label) in MISSING.items()
        if any(result.status == status and score_value(result) is None for result in results)
    ]
    return (
        *paradigm_legend(result.checkpoint.paradigm for result in results),
        *policy_legend(result.policy for result in results),
        *missing,
        LegendEntry("trained size", _HOME),
    )
