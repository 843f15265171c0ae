"""AP against the level of corruption, a panel for each kind. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from posebench.datasets.corruptions.names import KINDS, LEVELS, parse_corruption
from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.marks import draw_point
from posebench.reporting.figures.style import Looks
from posebench.reporting.figures.values import (
    Measure,
    View,
    has_own_settings,
    main_measure,
    protocol_line,
    view_of,
)
from posebench.results.cell import CellResult
from posebench.results.reading import ReadCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT, _COLUMNS = 1.7, 4


def robustness_drawing(
    cells: Sequence[ReadCell], looks: Looks | None = None, measure: Measure | None = None
) -> Drawing | None:
    """Draw a score against the level; None without corrupted images.

    Level 0 are the clean images. Networks are shown at their own settings, with the first seed.
    Without `looks`, checkpoints look as they come.
    """
    view = view_of(cells, looks, measure)
    shown = corrupted_cells(cells, view.measure)
    kinds = [kind for kind in KINDS if any(_kind(result) == kind for result in shown)]
    if not kinds:
        return None
    top = view.measure.top(shown)
    return Drawing(
        heading=protocol_line(shown),
        panels=tuple(_panel(kind, shown, top, view) for kind in kinds),
        legend=view.looks.legend(result.checkpoint.name for result in shown),
        columns=min(len(kinds), _COLUMNS),
        height=_HEIGHT,
        same_y=True,
    )


def corrupted_cells(cells: Sequence[ReadCell], measure: Measure | None = None) -> list[CellResult]:
    """Return the results of a figure, clean ones with them; none if no images were corrupted."""
    own = [each.result for each in cells if has_own_settings(each.result)]
    measure = measure or main_measure(own)
    known = [each for each in own if measure.of(each) is not None and each.transform is None]
    shown = [each for each in known if "@" not in (each.corruption or "")]
    return shown if any(each.corruption for each in shown) else []


def _kind(result: CellResult) -> str | None:
    found = parse_corruption(result.protocol.corruption)
    return None if found is None else found.kind


def _level(result: CellResult) -> int:
    found = parse_corruption(result.protocol.corruption)
    return 0 if found is None else found.level


def _panel(kind: str, results: Sequence[CellResult], top: float, view: View) -> Panel:
    own = sorted((r for r in results if _kind(r) in (kind, None)), key=_level)
    measure = view.measure
    said = "; ".join(f"{measure.said(result)} at level {_level(result)}" for result in own)
    draw = partial(_draw, results=own, top=top, view=view)
    return Panel(kind, f"{measure.name} against {kind}: {said}", draw)


def _draw(axes: Axes, *, results: Sequence[CellResult], top: float, view: View) -> None:
    lines: dict[tuple[str, str], list[CellResult]] = {}
    for result in results:
        place = result.checkpoint.name, f"{result.protocol.dataset} {result.protocol.boxes}"
        lines.setdefault(place, []).append(result)
    for (name, _), own in lines.items():
        levels = list(map(_level, own))
        axes.plot(levels, list(map(view.measure.known, own)), **view.looks.line(name))
        for level, result in zip(levels, own, strict=True):
            draw_point(axes, level, result, view, markersize=2.5)
    axes.set_xticks([0, *LEVELS])
    axes.set(xlabel="level", ylabel=view.measure.label, ylim=(0, top))
