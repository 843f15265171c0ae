"""AP against size: the data that is drawn is that of the cells."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from drawn import PAIR, PROTOCOL, cell
from small_store import result

from posebench.reporting.figures.drawing import composed
from posebench.reporting.figures.resolution import resolution_drawing
from posebench.reporting.figures.style import INTERVAL_CAP, PAPER
from posebench.reporting.figures.values import MOST_IN_A_PANEL
from posebench.results.cell import CellResult, Intervals
from posebench.results.reading import ReadCell


def lines(*cells: CellResult, panel: int = 0) -> list[Any]:
    drawing = resolution_drawing([ReadCell(one) for one in cells])
    assert drawing is not None
    with composed(drawing) as figure:
        return list(figure.axes[panel].lines)


def marks(found: list[Any], marker: str) -> list[tuple[float, float]]:
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in found
        if line.get_marker() == marker
    ]


def test_marks_lie_at_size_and_ap_with_the_checkpoints_shape() -> None:
    native, resampled = lines(*PAIR), lines(*PAIR, panel=1)
    assert marks(native, "o") == [(64, 10), (128, 50)]
    assert marks(native, "s") == [(128, 40)]
    ((x, y),) = marks(native, "x")
    assert x == 64
    assert y < 0
    assert marks(resampled, "o") == [(64, 40), (128, 50)]
    assert marks(resampled, "s") == [(64, 30), (128, 40)]


def test_a_paradigm_is_told_by_fill_and_line_as_well_as_colour() -> None:
    found = lines(*PAIR, panel=1)
    faces = {line.get_marker(): line.get_markerfacecolor() for line in found}
    assert (faces["o"] == PAPER, faces["s"] == PAPER) == (False, True)
    styles = [line.get_linestyle() for line in found if len(line.get_xdata()) > 1]
    assert "-" in styles and "--" in styles


def test_many_checkpoints_have_a_row_of_plots_for_a_few_each() -> None:
    cells = [cell(f"heatmap-{n}", "128x96") for n in range(MOST_IN_A_PANEL + 1)]
    drawing = resolution_drawing([ReadCell(one) for one in cells])
    assert drawing is not None
    assert [panel.title for panel in drawing.panels] == [
        "native policy · heatmap-0 to heatmap-7",
        "native policy · heatmap-8",
    ]


def test_a_policys_line_passes_through_the_trained_size() -> None:
    for panel, expected in ((0, (10, 50)), (1, (40, 50))):
        found = lines(*PAIR, panel=panel)
        drawn = [line for line in found if line.get_marker() == "None" and len(line.get_xdata())]
        joined = {(tuple(line.get_xdata()), tuple(line.get_ydata())) for line in drawn}
        assert ((64, 128), expected) in joined


def test_intervals_are_those_of_the_cells() -> None:
    intervals = Intervals(0.95, "percentile", 9, 0, {"AP": 0.4}, {"AP": 0.7})
    found = [
        line
        for line in lines(cell("heatmap-s", "128x96", intervals=intervals))
        if line.get_marker() == INTERVAL_CAP
    ]
    assert [list(line.get_ydata()) for line in found] == [pytest.approx([40, 70])]


def test_other_decoders_are_left_out_unless_there_are_no_others() -> None:
    made = result("heatmap-s", 0.5)
    spec = {"codec": {"decoder": "dark"}}
    facts = replace(made.checkpoint, spec=spec)
    own, other = (
        replace(
            made, checkpoint=facts, protocol=replace(PROTOCOL, decoder=name), metrics={"AP": ap}
        )
        for name, ap in (("dark", 0.5), ("quarter", 0.3))
    )
    assert [y for _, y in marks(lines(own, other), "o")] == [50]
    assert [y for _, y in marks(lines(other), "o")] == [30]


def test_cells_without_a_size_are_nothing_to_draw() -> None:
    assert resolution_drawing([ReadCell(cell("simcc-t", None, ap=None, status="failed"))]) is None
