"""The figure of `posebench diagnose`: errors, their costs, precision and confidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from posebench.reporting.figures.style import figure_file
from posebench.scoring.diagnosis.corrections import ERROR_TYPES
from posebench.scoring.diagnosis.files import DiagnosisReport
from posebench.scoring.diagnosis.keypoint_errors import STATES
from posebench.scoring.keypoint_metrics import ALL_KEYPOINTS
from posebench.scoring.matching.accumulate import RECALLS

# Okabe & Ito's colours, which colour-blind readers can tell apart.
_COLOURS = {
    "good": "#009E73",
    "jitter": "#F0E442",
    "inversion": "#D55E00",
    "swap": "#CC79A7",
    "miss": "#999999",
    "score": "#0072B2",
    "duplicate": "#56B4E9",
    "background": "#E69F00",
    "false negative": "#000000",
}
_LINES = ("-", "--", ":", "-.")


def plot_diagnosis(report: DiagnosisReport, path: Path) -> None:
    """Write the figure to `path`, .svg or .png; raise `UsageError` without matplotlib."""
    with figure_file(path, (13, 9)) as figure:
        (states, costs), (precision, reliability) = figure.subplots(2, 2)
        _draw_states(states, report)
        _draw_costs(costs, report)
        _draw_precision(precision, report)
        _draw_reliability(reliability, report)


def _names(report: DiagnosisReport) -> list[str]:
    return [Path(model.path).stem for model in report.models]


def _draw_states(axes: Any, report: DiagnosisReport) -> None:
    """Stack the shares of keypoint states, a bar for each model."""
    counts = [model.keypoint_states[ALL_KEYPOINTS] for model in report.models]
    left = np.zeros(len(counts))
    for state in STATES:
        shares = np.array([100 * row[state] / max(sum(row.values()), 1) for row in counts])
        axes.barh(_names(report), shares, left=left, color=_COLOURS[state], label=state)
        left += shares
    axes.invert_yaxis()
    axes.set(
        title="Keypoints of matched detections", xlabel="% of labelled keypoints", xlim=(0, 100)
    )
    axes.legend(ncols=len(STATES), loc="upper center", bbox_to_anchor=(0.5, -0.15), frameon=False)


def _draw_costs(axes: Any, report: DiagnosisReport) -> None:
    """Stack AP and what each correction regains on top of those before it."""
    names = _names(report)
    left = np.array([100 * (model.ap or 0) for model in report.models])
    axes.barh(names, left, color="#dddddd", label="AP")
    for index, name in enumerate(ERROR_TYPES):
        gains = [model.costs[index].in_order or 0 for model in report.models]
        # A correction may lose a little; a bar of negative length would hide others.
        widths = 100 * np.maximum(gains, 0)
        axes.barh(names, widths, left=left, color=_COLOURS[name], label=name)
        left = left + widths
    axes.invert_yaxis()
    axes.set(title="AP regained by correcting one type after the other", xlabel="AP (points)")
    axes.set_xlim(0, 100)
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.15), frameon=False)


def _draw_precision(axes: Any, report: DiagnosisReport) -> None:
    for index, (name, model) in enumerate(zip(_names(report), report.models, strict=True)):
        for style, curve in zip(_LINES, model.curves, strict=False):
            axes.plot(
                RECALLS,
                curve.precision,
                style,
                color=f"C{index}",
                label=f"{name}, OKS {curve.threshold:g}",
            )
    axes.set(title="Precision and recall", xlabel="recall", ylabel="precision", ylim=(0, 1.02))
    axes.legend(fontsize="small")


def _draw_reliability(axes: Any, report: DiagnosisReport) -> None:
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    for index, (name, model) in enumerate(zip(_names(report), report.models, strict=True)):
        ece = model.calibration.ece
        if ece is None:
            axes.plot([], [], color=f"C{index}", label=f"{name}: scores not on a scale of 0-1")
            continue
        filled = [item for item in model.calibration.bins if item.count]
        most = max(item.count for item in filled)
        score = [item.mean_score for item in filled]
        oks = [item.mean_oks for item in filled]
        size = [150 * item.count / most + 8 for item in filled]
        axes.plot(score, oks, color=f"C{index}", label=f"{name}, ECE {100 * ece:.1f}")
        axes.scatter(score, oks, s=size, color=f"C{index}", alpha=0.5)
    axes.set(title="Confidence", xlabel="mean score of a bin", ylabel="mean OKS of the best person")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.legend(fontsize="small")
