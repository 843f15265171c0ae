"""AP against input size as a figure. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.errors import UsageError
from posebench.networks.sizes import InputSize
from posebench.reporting.figures.style import COLOURS, GREY, figure_file, legend_line, paradigms_in
from posebench.results.cell import CellResult
from posebench.results.reading import ap_bounds, read_cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

MARKERS = {"native": "o", "resample": "s", "pool": "^", "interpolate": "D"}
MISSING = {
    "unsupported": ("x", "unsupported at this size"),
    "failed": ("1", "failed"),
    "skipped": ("2", "skipped"),
}
_FLIP = {True: "flip test", False: "no flip test", None: "flip test unknown"}
_PANELS_PER_ROW = 4
_LEVEL_LABELS = 4
_TITLE = 32
# Share of the height under AP 0 that is kept for the marks of cells without AP.
_FLOOR = 0.07


def plot_resolution(source: Path, out: Path) -> None:
    """Draw AP (points) with its interval against input height, of a run or an evaluation.

    One panel for each matched pair (same backbone, same trained size) and protocol; colour
    stands for the paradigm, marker for the resize policy. Cells without AP are marks on the
    panel's floor.
    Raises `DataError` for what holds no results, `UsageError` for results without a size, an
    unknown suffix of `out`, or where matplotlib is missing.
    """
    cells = [cell.result for cell in read_cells(source)]
    placed = [cell for cell in cells if cell.size is not None]
    if not placed:
        raise UsageError(f"{source} holds no result that has an input size.")
    panels = _panels(placed)
    columns = min(len(panels), _PANELS_PER_ROW)
    rows = -(-len(panels) // columns)
    width = max(2.6 * columns + 0.8, 6.0)
    with figure_file(out, (width, 2.9 * rows + 0.8)) as figure:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        several = len({_measured_by(cell) for cell in placed}) > 1
        for axes, panel in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, panel, _measured_by(panel[0]) if several else None)
        for row in grid:
            row[0].set_ylabel("AP (points)")
        missing = any(_ap(cell) is None for cell in placed)
        top = max((100 * (_ap(cell) or 0) for cell in placed), default=0) * 1.05 or 1.0
        grid[0, 0].set_ylim(-top * _FLOOR / (1 - _FLOOR) if missing else 0, top)
        title = _protocol_line(placed, len(cells) - len(placed))
        figure.suptitle(title, fontsize="medium", color=GREY)
        lines = _resolution_legend(placed)
        figure.legend(
            handles=lines, loc="outside lower center", ncols=min(len(lines), int(width / 1.45))
        )


def _draw_panel(axes: Axes, cells: Sequence[CellResult], protocol: str | None) -> None:
    """Draw a line for each checkpoint, policy and decoder of one matched pair.

    `protocol` is what to name where panels differ in it.
    """
    sizes = sorted({cell.size for cell in cells if cell.size is not None})
    heights = sorted({size.height for size in sizes})
    labels = ["\n".join(str(size) for size in sizes if size.height == h) for h in heights]
    axes.set_xscale("log", base=2)
    axes.set_xticks(heights, labels, rotation=0 if len(heights) <= _LEVEL_LABELS else 45)
    axes.minorticks_off()
    axes.margins(x=0.12)
    axes.set_xlabel("input size (height x width, px)")
    checkpoints = list(dict.fromkeys(_identity(cell) for cell in cells))
    for position, checkpoint in enumerate(checkpoints):
        own = [cell for cell in cells if _identity(cell) == checkpoint]
        for policy, decoder in dict.fromkeys((cell.policy, cell.protocol.decoder) for cell in own):
            _draw_series(axes, [c for c in own if c.protocol.decoder == decoder], policy)
        _mark_missing(axes, own, shift=position - (len(checkpoints) - 1) / 2)
    facts = cells[0].checkpoint
    if facts.trained_size is not None:
        axes.axvline(facts.trained_size.height, color=GREY, linewidth=1.1, linestyle=":", zorder=0)
    names = [name if len(name) <= _TITLE else f"{name[:_TITLE]}…" for name, _ in checkpoints]
    lines = [*names, f"{facts.backbone}", f"trained at {facts.trained_size}"]
    axes.set_title("\n".join([*lines, *([protocol] if protocol else [])]))


def _draw_series(axes: Axes, cells: Sequence[CellResult], policy: str | None) -> None:
    """Draw AP of one checkpoint under one policy, by way of its AP at the trained size.

    There every policy is `native`, so that the other policies have no cell of their own.
    """
    points: dict[int, float] = {}
    bounds: dict[int, tuple[float, float]] = {}
    for cell in cells:
        ap, facts = _ap(cell), cell.checkpoint
        at_home = cell.policy == "native" and cell.size == facts.trained_size
        if ap is not None and cell.size is not None and (cell.policy == policy or at_home):
            points[cell.size.height] = 100 * ap
            bounds[cell.size.height] = ap_bounds(cell) or (100 * ap, 100 * ap)
    measured = {cell.size.height for cell in cells if cell.size and cell.policy == policy}
    heights = sorted(points)
    axes.plot(
        heights,
        [points[height] for height in heights],
        color=_colour(cells[0]),
        marker=MARKERS.get(policy or "native", "o"),
        markevery=[i for i, height in enumerate(heights) if height in measured],
        markersize=4.5,
        linewidth=1.2,
        linestyle="-" if policy == "native" else (0, (4, 1.5)),
    )
    for height in heights:
        axes.plot([height] * 2, bounds[height], color=_colour(cells[0]), linewidth=0.7, alpha=0.6)


def _mark_missing(axes: Axes, cells: Sequence[CellResult], shift: float) -> None:
    """Mark on the panel's floor the cells without AP; `shift` keeps checkpoints apart."""
    for cell in cells:
        if _ap(cell) is None and cell.size is not None:
            axes.plot(
                [cell.size.height * 2 ** (0.12 * shift)],
                [_FLOOR / 2],
                marker=MISSING.get(cell.status, MISSING["failed"])[0],
                color=_colour(cell),
                markersize=6,
                linestyle="none",
                transform=axes.get_xaxis_transform(),
                gid=f"{cell.status} {cell.cell_id}",
            )


def _panels(cells: Sequence[CellResult]) -> list[list[CellResult]]:
    """Group cells by protocol, backbone and trained size, a checkpoint of a paradigm in each."""
    panels: dict[tuple[str, str | None, InputSize | None, int], list[CellResult]] = {}
    copies: dict[tuple[Any, ...], list[tuple[str, str | None]]] = {}
    for cell in cells:
        facts = cell.checkpoint
        rivals = copies.setdefault((facts.backbone, facts.trained_size, facts.paradigm), [])
        if _identity(cell) not in rivals:
            rivals.append(_identity(cell))
        place = rivals.index(_identity(cell))
        key = (_measured_by(cell), facts.backbone, facts.trained_size, place)
        panels.setdefault(key, []).append(cell)
    return list(panels.values())


def _resolution_legend(cells: Sequence[CellResult]) -> list[Line2D]:
    policies = [name for name in MARKERS if any(cell.policy == name for cell in cells)]
    missing = [
        MISSING[name]
        for name in MISSING
        if any(cell.status == name and _ap(cell) is None for cell in cells)
    ]
    return [
        *(
            legend_line(COLOURS[name], name)
            for name in paradigms_in(c.checkpoint.paradigm for c in cells)
        ),
        *(legend_line(GREY, name, marker=MARKERS[name], linestyle="none") for name in policies),
        *(legend_line(GREY, label, marker=mark, linestyle="none") for mark, label in missing),
        legend_line(GREY, "trained size", linestyle=":", linewidth=1.1),
    ]


def _measured_by(cell: CellResult) -> str:
    """Return the parts of the protocol that a suite may vary."""
    protocol = cell.protocol
    return f"{protocol.dataset}, boxes {protocol.boxes}, {_FLIP[protocol.flip_test]}"


def _protocol_line(cells: Sequence[CellResult], unplaced: int) -> str:
    protocols = [cell.protocol for cell in cells]
    facts = [
        " / ".join(dict.fromkeys(texts))
        for texts in (
            (f"{p.dataset}: {p.images} images, {p.instances} instances" for p in protocols),
            (f"boxes {p.boxes}" for p in protocols),
            sorted({_FLIP[p.flip_test] for p in protocols}),
            (p.evaluator for p in protocols),
        )
    ]
    return " · ".join(facts + [f"{unplaced} without a size left out"] * bool(unplaced))


def _identity(cell: CellResult) -> tuple[str, str | None]:
    return cell.checkpoint.name, cell.checkpoint.sha256


def _ap(cell: CellResult) -> float | None:
    return (cell.metrics or {}).get("AP")


def _colour(cell: CellResult) -> str:
    return COLOURS.get(cell.checkpoint.paradigm or "", GREY)
