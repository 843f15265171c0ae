"""PCK of each keypoint, paradigm beside paradigm. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.style import RULE, mark_look, paradigm_legend, paradigm_of
from posebench.reporting.figures.svg import clean, say
from posebench.reporting.figures.values import (
    is_as_trained,
    matched_panels,
    measured_by,
    panel_title,
    protocol_line,
)
from posebench.results.reading import ReadCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.135


def keypoints_drawing(cells: Sequence[ReadCell]) -> Drawing | None:
    """Draw each keypoint's PCK@0.1 of checkpoints at their trained size, a panel for each pair.

    Returns None if no cell has its keypoints' numbers.
    """
    found = [cell for cell in cells if cell.keypoints and is_as_trained(cell.result)]
    if not found:
        return None
    names = list(dict.fromkeys(name for cell in found for name in cell.keypoints))
    shares = [s for cell in found for s in cell.keypoints.values() if s is not None]
    low = 100 * min(shares, default=0.0)
    several = len({measured_by(cell.result) for cell in found}) > 1
    panels = [
        Panel(
            panel_title(panel, several),
            _spoken(panel),
            partial(_draw_rows, cells=panel, names=names, low=low),
        )
        for panel in matched_panels(found)
    ]
    return Drawing(
        heading=protocol_line([cell.result for cell in found]),
        panels=tuple(panels),
        legend=paradigm_legend((c.result.checkpoint.paradigm for c in found), line=False),
        columns=3,
        height=0.55 + _ROW * len(names),
        same_y=True,
    )


def _draw_rows(axes: Axes, *, cells: Sequence[ReadCell], names: Sequence[str], low: float) -> None:
    """Draw a row for each keypoint: a mark for each checkpoint, and a line between them."""
    for row, name in enumerate(names):
        shares = [100 * s for c in cells if (s := c.keypoints.get(name)) is not None]
        if shares:
            axes.plot([min(shares), max(shares)], [row, row], color=RULE, linewidth=1.6, zorder=1)
    for cell in cells:
        facts = cell.result.checkpoint
        for row, name in enumerate(names):
            if (share := cell.keypoints.get(name)) is None:
                continue
            (mark,) = axes.plot([100 * share], [row], **mark_look(facts.paradigm))
            say(mark, f"{facts.name}, {name.replace('_', ' ')}: {100 * share:.1f}")
    axes.set_yticks(range(len(names)), [clean(name.replace("_", " ")) for name in names])
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(max(0.0, low - 4), 101.5))
    axes.set_xlabel("PCK@0.1 (points)")
    axes.grid(visible=True, axis="both")


def _spoken(cells: Sequence[ReadCell]) -> str:
    sides = [
        f"{paradigm_of(cell.result.checkpoint.paradigm).name} {cell.result.checkpoint.name}"
        for cell in cells
    ]
    return f"PCK of {len(cells[0].keypoints)} keypoints: {' and '.join(sides)}"
