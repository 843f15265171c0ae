"""AP against cost: the front by its definition, axes that say something."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from drawn import cell, ladder

from posebench.reporting.figures.cost import front, pareto_drawing, scaling_drawing
from posebench.reporting.figures.drawing import composed, empty_figure, house_style
from posebench.reporting.figures.marks import log_axis
from posebench.reporting.figures.values import worth_of
from posebench.results.reading import ReadCell


@pytest.mark.parametrize("more_is_better", [True, False])
def test_nothing_beats_what_is_on_the_front(more_is_better: bool) -> None:
    points = [
        (cost, cell(f"heatmap-{cost}-{ap}", "64x48", ap=ap))
        for cost, ap in ((1, 0.3), (2, 0.5), (2, 0.4), (3, 0.45), (4, 0.8), (5, 0.8), (6, 0.1))
    ]
    sign = -1 if more_is_better else 1
    expected = [
        (x, one)
        for x, one in points
        if not any(
            sign * u <= sign * x
            and worth_of(other) >= worth_of(one)
            and (u != x or worth_of(other) > worth_of(one))
            for u, other in points
        )
    ]
    assert sorted(front(points, more_is_better), key=lambda p: p[0]) == expected


def test_a_front_of_errors_is_the_lowest() -> None:
    costs = ((1.0, 0.3), (2.0, 0.1), (3.0, 0.2))
    faces = [
        (cost, replace(cell(f"heatmap-{cost}", "64x48", ap=0.5), metrics={"NME": error}))
        for cost, error in costs
    ]
    assert [cost for cost, _ in front(faces, more_is_better=False)] == [1, 2]


def test_names_lines_and_marks_are_those_of_the_checkpoints() -> None:
    cells = ladder(3)
    drawing = scaling_drawing(cells)
    assert drawing is not None
    with composed(drawing) as figure:
        axes: Any = figure.axes[0]
        joined = [list(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 3]
        assert joined == [pytest.approx([40, 43, 46]), pytest.approx([41, 44, 47])]
        names = {text.get_text() for text in axes.texts}
        assert names == {one.result.checkpoint.name for one in cells}


def test_latency_has_a_panel_where_it_was_measured() -> None:
    measured, plain = (
        pareto_drawing(ladder(1)),
        pareto_drawing([ReadCell(cell("heatmap-s", "64x48", gflops=0.1))]),
    )
    assert measured is not None
    assert plain is not None
    titles = [panel.title for panel in measured.panels]
    assert titles == ["Computation", "Throughput", "Latency"]
    assert [panel.title for panel in plain.panels] == ["Computation"]


@pytest.mark.parametrize("values", [[0.2, 2.4], [5, 6, 7], [900, 900], [0.03, 300]])
def test_log_ticks_lie_within_and_say_something(values: list[float]) -> None:
    with house_style():
        axes = empty_figure(3, 2).subplots()
        log_axis(axes, values)
        low, high = axes.get_xlim()
        ticks = axes.get_xticks()
        assert 2 <= len(ticks) <= 9
        assert low < min(values) and max(values) < high
        assert all(low <= tick <= high for tick in ticks)
        texts = [label.get_text() for label in axes.get_xticklabels()]
        assert texts == [f"{tick:g}" for tick in ticks]
