"""AP against input size, a plot for each matched pair, with intervals and cells that cannot run."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from posebench.reporting.page.contents import DataTable, Figure, LegendEntry, Panel, plain_table
from posebench.reporting.page.drawing.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Scale,
    draw_axes,
    linear_axis,
)
from posebench.reporting.page.drawing.marks import (
    POLICY_MARKS,
    error_bar,
    glyph,
    paradigm_class,
    paradigm_legend,
    paradigm_name,
    policy_legend,
)
from posebench.reporting.page.drawing.svg import line, mark, path, picture
from posebench.reporting.page.pairs import ProtocolGroup, pair_name
from posebench.reporting.texts import NO_VALUE, points
from posebench.results.store import StoredCell

# How far apart marks of one size stand, in the drawing's units.
_DODGE = 7.0


def size_figure(group: ProtocolGroup) -> Figure | None:
    """Return AP against input size by paradigm and policy; None without two sizes."""
    cells = [cell for cell in group.cells if cell.result.has_own_decoder is not False]
    if len({cell.result.size for cell in cells}) < 2:
        return None
    names = list(dict.fromkeys(map(pair_name, cells)))
    top = max((ap for cell in cells if (ap := highest(cell)) is not None), default=0.0)
    missing = any(average_precision(cell) is None for cell in cells)
    legend = (*paradigm_legend(cells), *policy_legend(cells))
    legend += (LegendEntry(glyph(line(14, 0, 14, 16, "home")), "trained size"),)
    if missing:
        legend += (
            LegendEntry(glyph(mark("cross", 14, 8, "missing other")), "cannot run, or failed"),
        )
    return Figure(
        id=f"size-{group.letter}",
        title="AP against input size",
        caption=(
            "Each plot holds the checkpoints of one pair with their own decoders; bars are 95 % "
            "intervals from resampled images. Lines of a policy pass through the trained size, "
            "where all policies are the same."
        ),
        panels=tuple(
            _panel(name, [c for c in cells if pair_name(c) == name], top) for name in names
        ),
        table=_table(cells),
        legend=legend,
    )


def average_precision(cell: StoredCell) -> float | None:
    """Return a cell's AP, a fraction, None where it has none."""
    return (cell.result.metrics or {}).get("AP")


def interval(cell: StoredCell) -> tuple[float, float] | None:
    """Return the interval of a cell's AP, if it has one."""
    found = cell.result.intervals
    low, high = (None, None) if found is None else (found.low.get("AP"), found.high.get("AP"))
    return None if low is None or high is None else (low, high)


def highest(cell: StoredCell) -> float | None:
    """Return where a cell's AP and its interval end."""
    bounds, ap = interval(cell), average_precision(cell)
    return ap if bounds is None or ap is None else max(ap, bounds[1])


def interval_text(cell: StoredCell) -> str:
    """Show the interval of a cell's AP in points."""
    bounds = interval(cell)
    return NO_VALUE if bounds is None else f"{points(bounds[0])}–{points(bounds[1])}"


def _panel(name: str, cells: Sequence[StoredCell], top: float) -> Panel:
    sizes = sorted({size for cell in cells if (size := cell.result.size) is not None})
    heights = sorted({size.height for size in sizes})
    ticks = [(float(h), " ".join(str(s) for s in sizes if s.height == h)) for h in heights]
    room = 1.25 if len(heights) > 1 else 2.0
    across = Scale(heights[0] / room, heights[-1] * room, LEFT, RIGHT, log=True)
    y = linear_axis("AP (points)", 0.0, 100 * top or 1.0, BOTTOM, TOP)
    parts = [draw_axes(Axis(across, "input size (height x width)", ticks), y)]
    homes = {home.height for c in cells if (home := c.result.checkpoint.trained_size) is not None}
    parts += [line(across(home), TOP, across(home), BOTTOM, "home") for home in sorted(homes)]
    series = list(dict.fromkeys((c.result.checkpoint.name, c.result.policy) for c in cells))
    step = _DODGE / max(1, len(series) / 4)
    shifts = {key: step * (place - (len(series) - 1) / 2) for place, key in enumerate(series)}

    def spot(cell: StoredCell) -> tuple[float, float | None]:
        result, ap = cell.result, average_precision(cell)
        assert result.size is not None
        x = across(result.size.height) + shifts[result.checkpoint.name, result.policy]
        return x, None if ap is None else y.scale(100 * ap)

    for checkpoint, policy in series:
        own = [cell for cell in cells if cell.result.checkpoint.name == checkpoint]
        parts.append(_series(own, policy, spot, y.scale))
    return Panel(_title(name, cells), picture(WIDTH, HEIGHT, _spoken(name, cells), *parts))


def _series(
    own: Sequence[StoredCell],
    policy: str | None,
    spot: Callable[[StoredCell], tuple[float, float | None]],
    up: Scale,
) -> Markup:
    """Draw one checkpoint under one policy, by way of its AP at the trained size."""
    look = paradigm_class(own[0].result.checkpoint.paradigm)
    parts, corners = [], []
    for cell in sorted(own, key=_pixels):
        result = cell.result
        home = result.size == result.checkpoint.trained_size and result.policy == "native"
        if result.policy != policy and not home:
            continue
        x, y = spot(cell)
        if y is not None:
            corners.append((x, y))
        if result.policy != policy:
            continue
        if y is None:
            parts.append(mark("cross", x, BOTTOM - 7, f"missing {look}", _said(cell)))
            continue
        bounds = interval(cell)
        if bounds is not None:
            parts.append(error_bar(x, up(100 * bounds[0]), up(100 * bounds[1]), f"error {look}"))
        shape = POLICY_MARKS.get(policy or "", "circle")
        parts.append(mark(shape, x, y, f"mark {look}", _said(cell)))
    dashed = "" if policy == "native" else " dashed"
    return Markup("").join([path(corners, f"series {look}{dashed}"), *parts])


def _said(cell: StoredCell) -> str:
    result = cell.result
    where = f"{result.checkpoint.name}, {result.size} {result.policy}"
    if average_precision(cell) is None:
        return f"{where}: {result.status}"
    return f"{where}: AP {points(average_precision(cell))} ({interval_text(cell)})"


def _title(name: str, cells: Sequence[StoredCell]) -> str:
    backbones = dict.fromkeys(c.result.checkpoint.backbone or NO_VALUE for c in cells)
    return f"{name} · {', '.join(backbones)}" if name not in backbones else name


def _spoken(name: str, cells: Sequence[StoredCell]) -> str:
    names = dict.fromkeys(cell.result.checkpoint.name for cell in cells)
    return (
        f"AP against input size, pair {name}: {', '.join(names)}. The table below has the numbers."
    )


def _table(cells: Sequence[StoredCell]) -> DataTable:
    headers = [
        ("checkpoint", False), ("paradigm", False), ("size", True), ("policy", False),
        ("AP", True), ("95 %", True), ("status", False),
    ]  # fmt: skip
    return plain_table(
        "AP in points, own decoders",
        headers,
        [
            (
                cell.result.checkpoint.name,
                paradigm_name(cell.result.checkpoint.paradigm),
                str(cell.result.size),
                cell.result.policy or NO_VALUE,
                points(average_precision(cell)),
                interval_text(cell),
                cell.result.status,
            )
            for cell in cells
        ],
    )


def _pixels(cell: StoredCell) -> int:
    size = cell.result.size
    return 0 if size is None else size.height * size.width
