"""The figure of `posebench diagnose`: errors, their costs, precision and confidence."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posebench.reporting.figures.drawing import Drawing, Panel
from posebench.reporting.figures.errors import draw_calibration, draw_diagonal
from posebench.reporting.figures.style import GRID, MARKER_SIZE, SERIES, SOFT, LegendEntry
from posebench.reporting.figures.svg import clean, say
from posebench.reporting.texts import file_labels
from posebench.scoring.diagnosis.corrections import ERROR_TYPES
from posebench.scoring.diagnosis.files import DiagnosisReport
from posebench.scoring.diagnosis.keypoint_errors import STATES
from posebench.scoring.keypoint_metrics import ALL_KEYPOINTS
from posebench.scoring.matching.accumulate import RECALLS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind readers can tell apart.
_COLOURS = {
    "good": "#009e73",
    "jitter": "#f0e442",
    "inversion": "#d55e00",
    "swap": "#cc79a7",
    "miss": "#999999",
    "score": "#0072b2",
    "duplicate": "#56b4e9",
    "background": "#e69f00",
    "false negative": "#000000",
}
_LINES = ("-", "--", ":", "-.")


def diagnosis_drawing(report: DiagnosisReport) -> Drawing:
    """Draw shares of keypoint states, costs of errors, precision and reliability of each file.

    Files are letters, as in the tables of `posebench diagnose`.
    """
    names = file_labels(len(report.models))
    stems = [Path(model.path).stem for model in report.models]
    files = " · ".join(f"{name}: {stem}" for name, stem in zip(names, stems, strict=True))
    annotations = f"{Path(report.data.annotations).name}, {report.data.images} images"
    panels = (
        ("Keypoints of matched detections", _draw_states),
        ("AP regained by correcting one type after the other", _draw_costs),
        ("Precision and recall", _draw_precision),
        ("Confidence", _draw_reliability),
    )
    return Drawing(
        heading=clean(f"{annotations} · {files}"),
        panels=tuple(
            Panel(title, f"{title}: {files}", partial(draw, report=report, names=names))
            for title, draw in panels
        ),
        legend=_legend(report, names),
        height=2.7,
    )


def _legend(report: DiagnosisReport, names: Sequence[str]) -> tuple[LegendEntry, ...]:
    thresholds = dict.fromkeys(curve.threshold for model in report.models for curve in model.curves)
    return (
        *(LegendEntry(name, {"color": _colour(index)}) for index, name in enumerate(names)),
        *(
            LegendEntry(f"OKS {threshold:g}", {"color": SOFT, "linestyle": style})
            for style, threshold in zip(_LINES, thresholds, strict=False)
        ),
    )


def _colour(index: int) -> str:
    return SERIES[index % len(SERIES)]


def _draw_states(axes: Axes, report: DiagnosisReport, names: Sequence[str]) -> None:
    """Stack the shares of keypoint states, a bar for each file."""
    counts = [model.keypoint_states[ALL_KEYPOINTS] for model in report.models]
    left = np.zeros(len(counts))
    for state in STATES:
        shares = np.array([100 * row[state] / max(sum(row.values()), 1) for row in counts])
        _stack(axes, names, state, shares, left)
        left = left + shares
    _finish_bars(axes, names, "% of labelled keypoints")


def _draw_costs(axes: Axes, report: DiagnosisReport, names: Sequence[str]) -> None:
    """Stack AP and what each correction regains on top of those before it."""
    left = np.array([100 * (model.ap or 0) for model in report.models])
    bars = axes.barh(range(len(names)), left, 0.6, color=GRID, label="AP")
    for bar, name, value in zip(bars, names, left, strict=True):
        say(bar, f"{name}, AP: {value:.1f}")
    for index, error in enumerate(ERROR_TYPES):
        gains = [model.costs[index].in_order or 0 for model in report.models]
        # A correction may lose a little; a bar of negative length would hide others.
        widths = 100 * np.maximum(gains, 0)
        _stack(axes, names, error, widths, left)
        left = left + widths
    _finish_bars(axes, names, "AP (points)")


def _stack(
    axes: Axes, names: Sequence[str], what: str, widths: np.ndarray, left: np.ndarray
) -> None:
    rows = range(len(names))
    bars = axes.barh(rows, widths, 0.6, left=left, color=_COLOURS[what], label=what)
    for bar, name, width in zip(bars, names, widths, strict=True):
        say(bar, f"{name}, {what}: {width:.1f}")


def _finish_bars(axes: Axes, names: Sequence[str], label: str) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel=label, xlim=(0, 100), ylim=(len(names) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2))


def _draw_precision(axes: Axes, report: DiagnosisReport, names: Sequence[str]) -> None:
    for index, (name, model) in enumerate(zip(names, report.models, strict=True)):
        for style, curve in zip(_LINES, model.curves, strict=False):
            (line,) = axes.plot(
                RECALLS, curve.precision, style, color=_colour(index), linewidth=1.1
            )
            say(line, f"{name}, OKS {curve.threshold:g}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))


def _draw_reliability(axes: Axes, report: DiagnosisReport, names: Sequence[str]) -> None:
    draw_diagonal(axes)
    for index, (name, model) in enumerate(zip(names, report.models, strict=True)):
        colour, ece = _colour(index), model.calibration.ece
        label = f"{name}: scores not on a scale of 0–1"
        if ece is not None:
            label = f"{name}, calibration error {100 * ece:.1f}"
            look = {"color": colour, "marker": "o", "linestyle": "-", "linewidth": 1.0}
            draw_calibration(axes, model.calibration, look)
        axes.plot([], [], color=colour, marker="o", markersize=MARKER_SIZE, label=label)
    axes.legend(loc="upper left")
