"""AP against parameters, multiply-accumulates and speed of the checkpoints as trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from posebench.reporting.page.contents import Figure, Panel, plain_table
from posebench.reporting.page.drawing.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    draw_axes,
    linear_axis,
    log_axis,
)
from posebench.reporting.page.drawing.marks import (
    error_bar,
    paradigm_class,
    paradigm_legend,
    paradigm_name,
)
from posebench.reporting.page.drawing.svg import mark, picture, text
from posebench.reporting.page.pairs import ProtocolGroup, is_as_trained
from posebench.reporting.page.size_curves import average_precision, highest, interval, interval_text
from posebench.reporting.texts import NO_VALUE, points
from posebench.results.cell import CellResult
from posebench.results.store import StoredCell

Cost = Callable[[CellResult], float | None]
_COSTS: tuple[tuple[str, str, Cost], ...] = (
    (
        "parameters (M)",
        "Parameters",
        lambda r: r.checkpoint.parameters / 1e6 if r.checkpoint.parameters else None,
    ),
    ("GFLOPs (multiply-accumulates)", "Computation", lambda r: r.gflops),
    (
        "milliseconds per person, end to end",
        "Latency",
        lambda r: 1000 / r.instances_per_second if r.instances_per_second else None,
    ),
)
_LABEL_GAP, _NAME_ROOM = 11.0, 84.0
# More names than this would cover the marks; the table has them all.
_MOST_NAMES = 16


def cost_figure(group: ProtocolGroup) -> Figure | None:
    """Return AP against what it costs; None without checkpoints at their trained size."""
    cells = [
        cell for cell in group.cells if is_as_trained(cell) and average_precision(cell) is not None
    ]
    panels = tuple(
        Panel(title, _plot(label, cost, having))
        for label, title, cost in _COSTS
        if (having := [cell for cell in cells if (cost(cell.result) or 0) > 0])
    )
    if not panels:
        return None
    return Figure(
        id=f"cost-{group.letter}",
        title="AP against model size, computation and latency",
        caption=(
            "Checkpoints at their trained sizes with their own decoders; bars are 95 % intervals. "
            "GFLOPs are of one forward pass without the flip test; latency is of the whole run "
            "on the machine named below, reading and cropping included."
        ),
        panels=panels,
        table=plain_table(
            "AP and cost as trained",
            [
                ("checkpoint", False), ("paradigm", False), ("size", True), ("AP", True),
                ("95 %", True), *((label, True) for label, _, _ in _COSTS),
            ],
            [_row(cell) for cell in cells],
        ),
        legend=paradigm_legend(cells),
    )  # fmt: skip


def _plot(label: str, cost: Cost, cells: Sequence[StoredCell]) -> Markup:
    values = {cell.id: cost(cell.result) or 0.0 for cell in cells}
    x = log_axis(label, list(values.values()), LEFT, RIGHT)
    top = max(highest(cell) or 0.0 for cell in cells)
    y = linear_axis("AP (points)", 0.0, 100 * top or 1.0, BOTTOM, TOP)
    parts = [draw_axes(x, y)]
    for cell in cells:
        look = paradigm_class(cell.result.checkpoint.paradigm)
        at, ap = x.scale(values[cell.id]), average_precision(cell) or 0.0
        bounds = interval(cell)
        if bounds is not None:
            low, up = (y.scale(100 * bound) for bound in bounds)
            parts.append(error_bar(at, low, up, f"error {look}"))
        said = f"{cell.result.checkpoint.name}: AP {points(ap)}, {label} {values[cell.id]:.3g}"
        parts.append(mark("circle", at, y.scale(100 * ap), f"mark {look}", said))
    if len(cells) <= _MOST_NAMES:
        spots = [
            (x.scale(values[c.id]), y.scale(100 * (average_precision(c) or 0.0)), c) for c in cells
        ]
        parts += _names(spots)
    name = f"AP against {label}, {len(cells)} checkpoints. The table below has the numbers."
    return picture(WIDTH, HEIGHT, name, *parts)


def _names(spots: Sequence[tuple[float, float, StoredCell]]) -> list[Markup]:
    """Write each checkpoint's name beside its mark, moved down where two would overlap."""
    written: list[tuple[float, float]] = []
    parts = []
    for x, height, cell in sorted(spots, key=lambda spot: spot[1]):
        y = height
        # A pair's marks lie side by side: their names go to either side where there is room.
        at_left = cell.result.checkpoint.paradigm == "simcc" or x > RIGHT - _NAME_ROOM
        at_left = at_left and x > LEFT + _NAME_ROOM
        end = x - _NAME_ROOM if at_left else x
        while any(abs(y - v) < _LABEL_GAP and abs(end - u) < _NAME_ROOM for u, v in written):
            y += 1.0
        written.append((end, y))
        look = paradigm_class(cell.result.checkpoint.paradigm)
        parts.append(
            text(
                x - 8 if at_left else x + 8,
                y + 3.5,
                cell.result.checkpoint.name[:22],
                text_anchor="end" if at_left else "start",
                class_=f"name {look}",
            )
        )
    return parts


def _row(cell: StoredCell) -> tuple[str, ...]:
    result = cell.result
    costs = [cost(result) for _, _, cost in _COSTS]
    return (
        result.checkpoint.name,
        paradigm_name(result.checkpoint.paradigm),
        str(result.size),
        points(average_precision(cell)),
        interval_text(cell),
        *(NO_VALUE if value is None else f"{value:.3g}" for value in costs),
    )
