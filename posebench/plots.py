"""Figures from result files and training curves, as SVG or PNG. Never loads torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.datasets.json_file import read_json
from posebench.errors import DataError, UsageError
from posebench.figures import COLOURS, GREY, figure_file, legend_line
from posebench.records import record_from_mapping
from posebench.results import READABLE_SCHEMAS, CellResult
from posebench.sizes import InputSize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

MARKERS = {"native": "o", "resample": "s", "pool": "^", "interpolate": "D"}
MISSING = {
    "unsupported": ("x", "unsupported at this size"),
    "failed": ("1", "failed"),
    "skipped": ("2", "skipped"),
}
LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (9, 3)))
CURVE_SUFFIX = ".curve.json"
_PANELS_PER_ROW = 4
_LEVEL_LABELS = 4
_LABEL_GAP = 0.045
_TITLE = 32
# Share of the height under AP 0 that is kept for the marks of cells without AP.
_FLOOR = 0.07


@dataclass(frozen=True)
class Curve:
    """One training run: `samples`, `ap` (points) and `loss` at each evaluation."""

    name: str
    pair: str
    paradigm: str
    samples: tuple[int, ...]
    ap: tuple[float, ...]
    loss: tuple[float, ...]


def plot_training_curves(curves: Sequence[Path], out: Path) -> None:
    """Draw AP (points) and loss against samples seen, of `.curve.json` files or folders of them.

    Colour stands for the paradigm, line style for the matched pair. Raises `DataError` for
    files that are no curves, `UsageError` for none at all, an unknown suffix of `out`, or where
    matplotlib is missing.
    """
    files = [file for path in curves for file in _files_in(path, f"*{CURVE_SUFFIX}")]
    if not files:
        raise UsageError("There is no training curve to plot.", hint=f"Give {CURVE_SUFFIX} files.")
    runs = [_read_curve(file) for file in files]
    with figure_file(out, (9.5, 4.2)) as figure:
        accuracy, loss = figure.subplots(1, 2)
        pairs = sorted({run.pair for run in runs})
        styles = {pair: LINE_STYLES[i % len(LINE_STYLES)] for i, pair in enumerate(pairs)}
        for run in runs:
            look = {"color": COLOURS[run.paradigm], "linestyle": styles[run.pair]}
            thousands = [count / 1000 for count in run.samples]
            accuracy.plot(thousands, run.ap, marker="o", markersize=2.5, **look)
            loss.plot(thousands, run.loss, marker="o", markersize=2.5, **look)
        accuracy.set(ylabel="AP (points), validation, without flip test", ylim=(0, None))
        loss.set(ylabel="training loss, in its paradigm's own unit", ylim=(0, None))
        for axes in (accuracy, loss):
            axes.set_xlabel("samples seen (thousands)")
            axes.set_xlim(0, None)
        _label_ends(accuracy, runs)
        lines = [
            legend_line(COLOURS[name], name) for name in _paradigms(run.paradigm for run in runs)
        ]
        lines += [legend_line(GREY, f"pair {pair}", linestyle=styles[pair]) for pair in pairs]
        figure.legend(handles=lines, loc="outside lower center", ncols=len(lines))


def plot_resolution(results_json: Path, out: Path) -> None:
    """Draw AP (points) against input height, from results JSON or the folder of an evaluation.

    One panel for each matched pair (same backbone, same trained size); colour stands for the
    paradigm, marker for the resize policy. Cells without AP are marks on the panel's floor.
    Raises as `plot_training_curves`.
    """
    cells = [cell for file in _files_in(results_json, "results.json") for cell in _read_cells(file)]
    placed = [cell for cell in cells if cell.size is not None]
    if not placed:
        raise UsageError(f"{results_json} holds no result that has an input size.")
    panels = _panels(placed)
    columns = min(len(panels), _PANELS_PER_ROW)
    rows = -(-len(panels) // columns)
    width = max(2.6 * columns + 0.8, 6.0)
    with figure_file(out, (width, 2.9 * rows + 0.8)) as figure:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _draw_panel(axes, panel)
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


def _draw_panel(axes: Axes, cells: Sequence[CellResult]) -> None:
    """Draw a line for each checkpoint, policy and decoder of one matched pair."""
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
    axes.set_title("\n".join([*names, f"{facts.backbone}", f"trained at {facts.trained_size}"]))


def _draw_series(axes: Axes, cells: Sequence[CellResult], policy: str | None) -> None:
    """Draw AP of one checkpoint under one policy, by way of its AP at the trained size.

    There every policy is `native`, so that the other policies have no cell of their own.
    """
    points: dict[int, float] = {}
    for cell in cells:
        ap, facts = _ap(cell), cell.checkpoint
        at_home = cell.policy == "native" and cell.size == facts.trained_size
        if ap is not None and cell.size is not None and (cell.policy == policy or at_home):
            points[cell.size.height] = 100 * ap
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
    """Group cells by backbone and trained size, with one checkpoint of a paradigm in each."""
    panels: dict[tuple[str | None, InputSize | None, int], list[CellResult]] = {}
    copies: dict[tuple[Any, ...], list[tuple[str, str | None]]] = {}
    for cell in cells:
        facts = cell.checkpoint
        rivals = copies.setdefault((facts.backbone, facts.trained_size, facts.paradigm), [])
        if _identity(cell) not in rivals:
            rivals.append(_identity(cell))
        key = (facts.backbone, facts.trained_size, rivals.index(_identity(cell)))
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
            for name in _paradigms(c.checkpoint.paradigm for c in cells)
        ),
        *(legend_line(GREY, name, marker=MARKERS[name], linestyle="none") for name in policies),
        *(legend_line(GREY, label, marker=mark, linestyle="none") for mark, label in missing),
        legend_line(GREY, "trained size", linestyle=":", linewidth=1.1),
    ]


def _protocol_line(cells: Sequence[CellResult], unplaced: int) -> str:
    protocol = cells[0].protocol
    flip = {True: "flip test", False: "no flip test", None: "flip test unknown"}
    facts = [
        f"{protocol.dataset}: {protocol.images} images, {protocol.instances} instances",
        f"boxes {protocol.boxes}",
        " / ".join(sorted({flip[cell.protocol.flip_test] for cell in cells})),
        protocol.evaluator,
    ]
    return " · ".join(facts + [f"{unplaced} without a size left out"] * bool(unplaced))


def _label_ends(axes: Axes, runs: Sequence[Curve]) -> None:
    """Write each run's name and last AP beside its end, moved apart where they would overlap."""
    ordered = sorted(runs, key=lambda run: run.ap[-1])
    gap = _LABEL_GAP * max(axes.get_ylim()[1], 1e-9)
    height = float("-inf")
    right = max(run.samples[-1] for run in runs) / 1000
    for run in ordered:
        height = max(run.ap[-1], height + gap)
        axes.annotate(
            f"{run.name} {run.ap[-1]:.1f}",
            (run.samples[-1] / 1000, run.ap[-1]),
            (right * 1.03, height),
            color=COLOURS[run.paradigm],
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "#BBBBBB", "linewidth": 0.6},
        )


def _files_in(path: Path, pattern: str) -> list[Path]:
    """Return `path` itself, or the files of the folder `path` that fit `pattern`."""
    return sorted(path.glob(pattern)) if path.is_dir() else [path]


def _read_curve(file: Path) -> Curve:
    value, _ = read_json(file, "training curve")
    try:
        recipe, points = value["recipe"], value["curve"]
        curve = Curve(
            name=str(recipe["name"]),
            pair=str(recipe["pair"]),
            paradigm=str(recipe["model"]["codec"]["kind"]),
            samples=tuple(int(point["samples"]) for point in points),
            ap=tuple(100 * float(point["AP"]) for point in points),
            loss=tuple(float(point["loss"]) for point in points),
        )
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{file} is no training curve.", hint=f"posebench train writes NAME{CURVE_SUFFIX}."
        ) from None
    if not curve.samples or curve.paradigm not in COLOURS:
        raise DataError(f"The training curve {file} holds no evaluation of a known paradigm.")
    return curve


def _read_cells(file: Path) -> list[CellResult]:
    value, _ = read_json(file, "results file")
    if not isinstance(value, dict) or not isinstance(value.get("results"), list):
        raise DataError(
            f"{file} is no results file.", hint="posebench eval writes one with --json or --out."
        )
    if value.get("schema_version") not in READABLE_SCHEMAS:
        raise DataError(
            f"{file} has schema {value.get('schema_version')}, this version reads "
            f"{' and '.join(map(str, READABLE_SCHEMAS))}."
        )
    return [
        record_from_mapping(CellResult, entry, where=f"{file}: result {number}")
        for number, entry in enumerate(value["results"])
    ]


def _identity(cell: CellResult) -> tuple[str, str | None]:
    return cell.checkpoint.name, cell.checkpoint.sha256


def _ap(cell: CellResult) -> float | None:
    return (cell.metrics or {}).get("AP")


def _colour(cell: CellResult) -> str:
    return COLOURS.get(cell.checkpoint.paradigm or "", GREY)


def _paradigms(names: Iterable[str | None]) -> list[str]:
    present = set(names)
    return [name for name in COLOURS if name in present]
