"""Training curves as a figure: AP and loss against samples seen. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.errors import DataError, UsageError
from posebench.files.json_file import read_json
from posebench.reporting.figures.style import COLOURS, GREY, figure_file, legend_line, paradigms_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (9, 3)))
CURVE_SUFFIX = ".curve.json"
_LABEL_GAP = 0.045


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
    files = [file for path in curves for file in _curves_in(path)]
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
            legend_line(COLOURS[name], name) for name in paradigms_in(run.paradigm for run in runs)
        ]
        lines += [legend_line(GREY, f"pair {pair}", linestyle=styles[pair]) for pair in pairs]
        figure.legend(handles=lines, loc="outside lower center", ncols=len(lines))


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


def _curves_in(path: Path) -> list[Path]:
    """Return `path` itself, or the curves of the folder `path`."""
    return sorted(path.glob(f"*{CURVE_SUFFIX}")) if path.is_dir() else [path]


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
