"""Training curves: AP and loss against samples seen. Never loads torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posebench.errors import DataError, UsageError
from posebench.files.json_file import read_json
from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.names import add_name
from posebench.reporting.figures.style import (
    PARADIGMS,
    SOFT,
    LegendEntry,
    mark_look,
    paradigm_legend,
)
from posebench.reporting.figures.svg import say
from posebench.reporting.figures.values import short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 2, 1, 2)), (0, (9, 3)))
CURVE_SUFFIX = ".curve.json"
# Room at the right of the curves for their names.
_NAME_ROOM = 1.55


@dataclass(frozen=True)
class Curve:
    """One training run: `samples`, `ap` (points) and `loss` at each evaluation."""

    name: str
    pair: str
    paradigm: str
    samples: tuple[int, ...]
    ap: tuple[float, ...]
    loss: tuple[float, ...]


def read_curves(paths: Sequence[Path]) -> list[Curve]:
    """Read `.curve.json` files, or those in folders.

    Raises `DataError` if a file is no curve, and `UsageError` if there are none at all.
    """
    files = [file for path in paths for file in _curves_in(path)]
    if not files:
        raise UsageError("There is no training curve to plot.", hint=f"Give {CURVE_SUFFIX} files.")
    return [_read_curve(file) for file in files]


def training_drawing(curves: Sequence[Curve]) -> Drawing:
    """Draw AP (points) and loss against samples seen.

    Colour stands for the paradigm, line style for the matched pair.
    """
    pairs = sorted({curve.pair for curve in curves})
    styles = {pair: LINE_STYLES[i % len(LINE_STYLES)] for i, pair in enumerate(pairs)}
    said = ", ".join(f"{curve.name} {curve.ap[-1]:.1f}" for curve in curves)
    legend = (
        *paradigm_legend(curve.paradigm for curve in curves),
        *(LegendEntry(f"pair {p}", {"color": SOFT, "linestyle": styles[p]}) for p in pairs),
    )
    return Drawing(
        heading="AP (points) on validation data without flip test; losses in their own units",
        panels=(
            Panel(
                "Accuracy",
                f"AP against samples seen; last AP: {said}",
                partial(_draw_accuracy, curves=curves, styles=styles),
            ),
            Panel(
                "Training loss",
                "Training loss against samples seen",
                partial(_draw_loss, curves=curves, styles=styles),
            ),
        ),
        legend=legend,
        height=3.0,
    )


def _draw_accuracy(axes: Axes, curves: Sequence[Curve], styles: Mapping[str, Any]) -> None:
    for curve in curves:
        _draw_curve(axes, curve, curve.ap, styles[curve.pair])
        name = f"{short_name(curve.name)} {curve.ap[-1]:.1f}"
        colour = PARADIGMS[curve.paradigm].colour.light
        add_name(axes, curve.samples[-1] / 1000, curve.ap[-1], name, colour)
    axes.set(ylabel="AP (points)", ylim=(0, None), xlabel="samples seen (thousands)")
    last = max(curve.samples[-1] for curve in curves) / 1000
    axes.set_xlim(0, last * _NAME_ROOM)
    axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= last * (1 + 1e-9)])


def _draw_loss(axes: Axes, curves: Sequence[Curve], styles: Mapping[str, Any]) -> None:
    for curve in curves:
        _draw_curve(axes, curve, curve.loss, styles[curve.pair])
    axes.set(ylabel="training loss", ylim=(0, None), xlabel="samples seen (thousands)")
    axes.set_xlim(0, None)


def _draw_curve(axes: Axes, curve: Curve, values: Sequence[float], style: Any) -> None:
    look = {**mark_look(curve.paradigm), "markersize": 2.2, "markeredgewidth": 0.7}
    thousands = [count / 1000 for count in curve.samples]
    (line,) = axes.plot(thousands, values, **{**look, "linestyle": style, "linewidth": 1.0})
    say(line, curve.name)


def _curves_in(path: Path) -> list[Path]:
    """Return `path` itself, or the curves of the folder `path`."""
    return sorted(path.glob(f"*{CURVE_SUFFIX}")) if path.is_dir() else [path]


def _read_curve(file: Path) -> Curve:
    value, _ = read_json(file, "training curve")
    try:
        recipe, points = value["recipe"], value["curve"]
        curve = Curve(
            name=str(recipe["name"]),
            pair=str(recipe.get("pair") or recipe["name"]),
            paradigm=str(recipe["model"]["codec"]["kind"]),
            samples=tuple(int(point["samples"]) for point in points),
            ap=tuple(100 * float(point["AP"]) for point in points),
            loss=tuple(float(point["loss"]) for point in points),
        )
    except (KeyError, TypeError, ValueError):
        raise DataError(
            f"{file} is no training curve.", hint=f"posebench train writes NAME{CURVE_SUFFIX}."
        ) from None
    if not curve.samples or curve.paradigm not in PARADIGMS:
        raise DataError(f"The training curve {file} holds no evaluation of a known paradigm.")
    return curve
