"""Errors, reliability and verdicts: bars and marks have the numbers they stand for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drawn import collisions
from report_runs import CLAIM

from posebench.judging.verdicts import Verdict
from posebench.reporting.figures.drawing import composed, empty_figure, house_style
from posebench.reporting.figures.effects import verdict_panel
from posebench.reporting.figures.errors import (
    PairDiagnosis,
    cost_points,
    errors_drawing,
    reliability_drawing,
)
from posebench.reporting.figures.style import MARKER_SIZE, Looks
from posebench.scoring.diagnosis.confidence import Calibration, ReliabilityBin
from posebench.scoring.diagnosis.diagnosis import ErrorCost

COSTS = [ErrorCost("miss", 3, 10, 0.105, 0.1), ErrorCost("swap", 1, 10, -0.00001, 0.0)]
BINS = (
    ReliabilityBin(0.0, 0.5, 4, 0.4, 0.3),
    ReliabilityBin(0.5, 0.8, 0, None, None),
    ReliabilityBin(0.8, 1.0, 1, 0.9, 0.8),
)
PAIR = PairDiagnosis(
    "simcc-s against heatmap-s",
    "coco, boxes gt",
    {"heatmap-s": COSTS, "simcc-s": [replace(cost, alone=None) for cost in COSTS]},
    {"heatmap-s": Calibration(BINS, 0.1, 0.5, 5, 0)},
)
LOOKS = Looks({"heatmap-s": "heatmap", "simcc-s": "simcc"})


def test_bars_are_as_long_as_what_is_regained() -> None:
    drawing = errors_drawing([PAIR], LOOKS)
    assert drawing is not None
    with composed(drawing) as figure:
        axes: Any = figure.axes[0]
        assert [bar.get_width() for bar in axes.patches] == pytest.approx([10.5, 0, 0, 0])
        assert [text.get_text() for text in axes.texts] == ["+10.5", "+0.0", "", ""]
        assert collisions(figure) == []


def test_a_loss_too_small_to_see_is_no_minus() -> None:
    assert str(cost_points(COSTS[1])) == "0.0"


def test_marks_of_reliability_are_the_bins_that_hold_detections() -> None:
    drawing = reliability_drawing([PAIR], LOOKS)
    assert drawing is not None
    with composed(drawing) as figure:
        axes: Any = figure.axes[0]
        marks = [line for line in axes.lines if line.get_marker() == "o"]
        spots = [(*line.get_xdata(), *line.get_ydata()) for line in marks]
        assert spots == [(0.4, 0.3), (0.9, 0.8)]
        sizes = [line.get_markersize() for line in marks]
        assert sizes == pytest.approx([MARKER_SIZE * 1.5, MARKER_SIZE * (0.5 + np.sqrt(0.25))])


def test_no_pairs_are_no_figures() -> None:
    assert errors_drawing([], LOOKS) is None
    assert reliability_drawing([], LOOKS) is None


@pytest.mark.parametrize(
    ("margin", "labels"),
    [(0.05, ["0", "+5", "-15", "+15"]), (0.001, ["", "+0.1", "-15", "+15"])],
)
def test_a_verdict_is_drawn_against_its_margin(margin: float, labels: list[str]) -> None:
    verdict = Verdict(replace(CLAIM, margin=margin), "supported", 0.1, 0.08, 0.12)
    panel = verdict_panel(verdict)
    assert panel is not None
    with house_style():
        axes: Any = empty_figure(3, 0.5).subplots()
        panel.draw(axes)
        spans = [list(line.get_xdata()) for line in axes.lines if line.get_marker() == "|"]
        assert spans == [pytest.approx([8, 12])]
        assert [text.get_text() for text in axes.get_xticklabels()] == labels
    assert "+10.0 AP" in panel.spoken


@pytest.mark.parametrize(
    ("direction", "side"), [("greater", (5, 15)), ("less", (-15, -5)), ("within", (-5, 5))]
)
def test_the_side_that_supports_a_claim_is_shaded(
    direction: Any, side: tuple[float, float]
) -> None:
    claim = replace(CLAIM, margin=0.05, direction=direction)
    panel = verdict_panel(Verdict(claim, "supported", 0.1, 0.08, 0.12))
    assert panel is not None
    with house_style():
        axes: Any = empty_figure(3, 0.5).subplots()
        panel.draw(axes)
        (shaded,) = axes.patches
        span = shaded.get_extents().transformed(axes.transData.inverted())
        assert (span.x0, span.x1) == pytest.approx(side)


def test_margins_that_lie_close_have_one_label() -> None:
    panel = verdict_panel(
        Verdict(replace(CLAIM, margin=0.01, direction="within"), "untested", 0.0), 30
    )
    assert panel is not None
    with house_style():
        axes: Any = empty_figure(3, 0.5).subplots()
        panel.draw(axes)
        texts = [text.get_text() for text in axes.get_xticklabels()]
        assert texts == ["±1", "", "", "-30", "+30"]


def test_a_verdict_is_drawn_as_wide_as_others_of_its_unit() -> None:
    panel = verdict_panel(Verdict(CLAIM, "supported", 0.01, 0.005, 0.02), reach=30)
    assert panel is not None
    with house_style():
        axes: Any = empty_figure(3, 0.5).subplots()
        panel.draw(axes)
        assert axes.get_xlim() == (-30, 30)


def test_a_verdict_without_an_effect_has_no_drawing() -> None:
    assert verdict_panel(Verdict(CLAIM, "untested")) is None
