"""PCK of each keypoint, checkpoint beside checkpoint. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.style import RULE, Looks
from posebench.reporting.figures.svg import clean, say
from posebench.reporting.figures.values import (
    is_as_trained,
    looks_of,
    matched_panels,
    measured_by,
    panel_title,
    protocol_line,
)
from posebench.results.reading import ReadCell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW = 0.135
# How far marks of a row stand apart, so that equal ones are seen, as a share of the row.
_SHIFT = 0.5


def keypoints_drawing(
    cells: Sequence[ReadCell],
    looks: Looks | None = None,
    groups: Sequence[Sequence[ReadCell]] | None = None,
) -> Drawing | None:
    """Draw each keypoint's PCK@0.1 of checkpoints at their trained size, a panel for each pair.

    `groups` are cells to draw instead, a panel for each group. Without `looks`, checkpoints look as
    they come. Returns None if no cell has its keypoints' numbers.
    """
    if groups is None:
        groups = matched_panels([cell for cell in cells if is_as_trained(cell.result)])
    groups = [own for group in groups if (own := [cell for cell in group if cell.keypoints])]
    found = [cell for group in groups for cell in group]
    if not found:
        return None
    looks = looks or looks_of(cells)
    names = list(dict.fromkeys(name for cell in found for name in cell.keypoints))
    shares = [s for cell in found for s in cell.keypoints.values() if s is not None]
    low = 100 * min(shares, default=0.0)
    several = len({measured_by(cell.result) for cell in found}) > 1
    panels = [
        Panel(
            panel_title(panel, several),
            _spoken(panel),
            partial(_draw_rows, cells=panel, names=names, low=low, looks=looks),
        )
        for panel in groups
    ]
    return Drawing(
        heading=protocol_line([cell.result for cell in found]),
        panels=tuple(panels),
        legend=looks.legend((cell.result.checkpoint.name for cell in found), line=False),
        columns=3,
        height=0.55 + _ROW * len(names),
        same_y=True,
    )


def _draw_rows(
    axes: Axes,
    *,
    cells: Sequence[ReadCell],
    names: Sequence[str],
    low: float,
    looks: Looks,
) -> None:
    """Draw a row for each keypoint: a mark for each checkpoint, and a line between them."""
    for row, name in enumerate(names):
        shares = [100 * s for c in cells if (s := c.keypoints.get(name)) is not None]
        if shares:
            axes.plot([min(shares), max(shares)], [row, row], color=RULE, linewidth=1.6, zorder=1)
    for place, cell in enumerate(cells):
        facts = cell.result.checkpoint
        shift = _SHIFT * (place - (len(cells) - 1) / 2) / len(cells)
        for row, name in enumerate(names):
            if (share := cell.keypoints.get(name)) is None:
                continue
            (mark,) = axes.plot([100 * share], [row + shift], **looks.mark(facts.name))
            say(mark, f"{facts.name}, {name.replace('_', ' ')}: {100 * share:.1f}")
    axes.set_yticks(range(len(names)), [clean(name.replace("_", " ")) for name in names])
    axes.set(ylim=(len(names) - 0.5, -0.5), xlim=(max(0.0, low - 4), 101.5))
    axes.set_xlabel("PCK@0.1 (points)")
    axes.grid(visible=True, axis="both")


def _spoken(cells: Sequence[ReadCell]) -> str:
    names = " and ".join(dict.fromkeys(cell.result.checkpoint.name for cell in cells))
    return f"PCK of {len(cells[0].keypoints)} keypoints: {names}"
