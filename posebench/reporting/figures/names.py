"""Names beside marks, placed where they cover neither marks nor one another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from posebench.reporting.figures.style import INTERVAL_CAP, PAPER, RULE, SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Bbox

_NAME = "name of a mark"
_NONE = (None, "None", "none", "")
_NEAR, _GAP, _STEP, _STEPS = 5.0, 1.0, 7.0, 6
# The distance, in pixels, between places at which a line is looked at.
_STRIDE = 3.0
# Lines of more names to their marks would be a thicket.
_FEW = 12
Place = tuple[float, float, str, str]


def _places() -> tuple[Place, ...]:
    """Return offsets in points, best first, each with how the text is aligned to it."""
    near: list[Place] = [
        (_NEAR, 0, "left", "center"),
        (-_NEAR, 0, "right", "center"),
        (0, _NEAR, "center", "bottom"),
        (0, -_NEAR, "center", "top"),
    ]
    far: list[Place] = [
        (side * _NEAR, way * step * _STEP, "left" if side > 0 else "right", "center")
        for step in range(1, _STEPS + 1)
        for side in (1, -1)
        for way in (1, -1)
    ]
    return (*near, *far)


_PLACES = _places()


def add_name(axes: Axes, x: float, y: float, name: str, colour: str) -> None:
    """Write a name beside a point; `arrange_names` says on which side."""
    text = axes.annotate(
        name,
        (x, y),
        (_NEAR, 0),
        textcoords="offset points",
        color=colour,
        fontsize=SMALL,
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.75, "pad": 0.4},
        arrowprops={"arrowstyle": "-", "color": RULE, "linewidth": 0.6, "shrinkB": 2.5},
    )
    text.set_label(_NAME)
    text.set_in_layout(False)


def arrange_names(figure: Figure) -> None:
    """Move each name to the first free place around its mark; hide names that find none.

    Places that no line crosses come first, and those whose line to the mark crosses nothing; with
    many names there are no others. A name that lies far from its mark has a line to it. The figure
    must be laid out before.
    """
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    for axes in figure.axes:
        names = [text for text in axes.texts if text.get_label() == _NAME]
        if not names:
            continue
        inside = axes.get_window_extent(renderer)
        taken, crossed = list(mark_boxes(axes)), list(_line_boxes(axes))
        for name in sorted(names, key=lambda name: -name.xy[1]):  # type: ignore[attr-defined]
            ways = [([*taken, *crossed], True), (taken, True)]
            ways += [(taken, False)] if len(names) <= _FEW else []
            for obstacles, straight in ways:
                box = _placed(name, obstacles, inside, renderer, straight=straight)
                if box is not None:
                    taken.append(box)
                    break
            else:
                name.set_visible(False)


def mark_boxes(axes: Axes) -> Iterator[Bbox]:
    """Yield the boxes, in pixels, of the marks and vertical intervals on axes."""
    from matplotlib.transforms import Bbox

    for line in axes.lines:
        if line.get_marker() in _NONE:
            continue
        points = _pixels(line)
        half = line.get_markersize() * axes.figure.dpi / 72 / 2
        if line.get_marker() == INTERVAL_CAP and len(points):
            low, high = points.min(axis=0), points.max(axis=0)
            yield Bbox.from_extents(low[0] - half, low[1], high[0] + half, high[1])
            continue
        for x, y in points:
            yield Bbox.from_extents(x - half, y - half, x + half, y + half)


def _line_boxes(axes: Axes) -> Iterator[Bbox]:
    """Yield small boxes along the lines between marks."""
    from matplotlib.transforms import Bbox

    for line in axes.lines:
        if line.get_linestyle() in _NONE or line.get_marker() == INTERVAL_CAP:
            continue
        points = _pixels(line)
        for start, end in pairwise(points):
            count = int(np.hypot(*(end - start)) / _STRIDE) + 2
            for x, y in np.linspace(start, end, count):
                yield Bbox.from_extents(x - 0.5, y - 0.5, x + 0.5, y + 0.5)


def _pixels(line: Line2D) -> NDArray[np.float64]:
    """Return where a line's points (N, 2) lie in pixels."""
    points = line.get_transform().transform(np.column_stack(line.get_data(orig=False)))
    return np.asarray(points[np.isfinite(points).all(axis=1)])


def _placed(
    name: Any, obstacles: list[Bbox], inside: Bbox, renderer: Any, *, straight: bool
) -> Bbox | None:
    """Put a name where it is within the axes and free of obstacles; return its box, if any.

    With `straight`, the line to its mark crosses no obstacle either.
    """
    for x, y, across, up in _PLACES:
        name.set(position=(x, y), ha=across, va=up)
        box = text_box(name, renderer)
        held = inside.x0 <= box.x0 and box.x1 <= inside.x1
        held = held and inside.y0 <= box.y0 and box.y1 <= inside.y1
        if held and not box.count_overlaps(obstacles):
            is_far = abs(y) > _NEAR
            if straight and is_far and _is_crossed(name, box, obstacles):
                continue
            name.arrow_patch.set_visible(is_far)
            return box
    return None


def _is_crossed(name: Any, box: Bbox, obstacles: list[Bbox]) -> bool:
    """Tell whether something other than its own mark lies on the line from a name to its mark."""
    mark = name.axes.transData.transform(name.xy)
    edge = np.clip(mark, box.min, box.max)
    count = int(np.hypot(*(edge - mark)) / _STRIDE) + 2
    spots = np.linspace(mark, edge, count)
    others = [each for each in obstacles if not each.contains(*mark)]
    return any(each.contains(*spot) for each in others for spot in spots)


def text_box(text: Any, renderer: Any) -> Bbox:
    """Return the box of a text alone, in pixels, without the line that leads to it."""
    from matplotlib.text import Text

    if hasattr(text, "update_positions"):
        text.update_positions(renderer)
    return Text.get_window_extent(text, renderer).padded(_GAP)
