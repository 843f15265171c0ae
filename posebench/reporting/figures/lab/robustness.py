"""AP against the level of corruption, a panel for each kind. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from posebench.datasets.corruptions.names import KINDS, LEVELS, parse_corruption
from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import draw_point
from posebench.reporting.figures.style import LINE_WIDTH, paradigm_legend, paradigm_of
from posebench.reporting.figures.values import (
    ap_points,
    ap_said,
    has_own_settings,
    known_ap,
    protocol_line,
    top_of,
)
from posebench.results.cell import CellResult
from posebench.results.reading import ReadCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT, _COLUMNS = 1.7, 4


def robustness_drawing(cells: Sequence[ReadCell]) -> Drawing | None:
    """Draw AP (points) against the level; None without corrupted images.

    Level 0 are the clean images. Networks are shown at their own settings, with the first seed.
    """
    shown = corrupted_cells(cells)
    kinds = [kind for kind in KINDS if any(_kind(result) == kind for result in shown)]
    if not kinds:
        return None
    top = top_of(shown)
    return Drawing(
        heading=protocol_line(shown),
        panels=tuple(_panel(kind, shown, top) for kind in kinds),
        legend=paradigm_legend(result.checkpoint.paradigm for result in shown),
        columns=min(len(kinds), _COLUMNS),
        height=_HEIGHT,
        same_y=True,
    )


def corrupted_cells(cells: Sequence[ReadCell]) -> list[CellResult]:
    """Return the results of a figure, clean ones with them; none if no images were corrupted."""
    own = [each.result for each in cells if has_own_settings(each.result)]
    known = [each for each in own if ap_points(each) is not None and each.transform is None]
    shown = [each for each in known if "@" not in (each.corruption or "")]
    return shown if any(each.corruption for each in shown) else []


def _kind(result: CellResult) -> str | None:
    found = parse_corruption(result.protocol.corruption)
    return None if found is None else found.kind


def _level(result: CellResult) -> int:
    found = parse_corruption(result.protocol.corruption)
    return 0 if found is None else found.level


def _panel(kind: str, results: Sequence[CellResult], top: float) -> Panel:
    own = sorted((r for r in results if _kind(r) in (kind, None)), key=_level)
    said = "; ".join(f"{ap_said(result)} at level {_level(result)}" for result in own)
    return Panel(kind, f"AP against {kind}: {said}", partial(_draw, results=own, top=top))


def _draw(axes: Axes, *, results: Sequence[CellResult], top: float) -> None:
    lines: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        place = result.checkpoint.name, f"{result.protocol.dataset} {result.protocol.boxes}"
        lines.setdefault(place, []).append(result)
    for own in lines.values():
        colour = paradigm_of(own[0].checkpoint.paradigm).colour
        levels = list(map(_level, own))
        axes.plot(levels, list(map(known_ap, own)), color=colour, linewidth=LINE_WIDTH)
        for level, result in zip(levels, own, strict=True):
            draw_point(axes, level, result, markersize=2.5)
    axes.set_xticks([0, *LEVELS])
    axes.set(xlabel="level", ylabel="AP (points)", ylim=(0, top))
