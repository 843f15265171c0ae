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
from posebench.results.cell import CellResult, Intervals
from posebench.results.reading import ReadCell


def lines(*cells: CellResult) -> list[Any]:
    drawing = resolution_drawing([ReadCell(one) for one in cells])
    assert drawing is not None
    with composed(drawing) as figure:
        return list(figure.axes[0].lines)


def marks(found: list[Any], marker: str) -> list[tuple[float, float]]:
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in found
        if line.get_marker() == marker
    ]


def test_marks_lie_at_size_and_ap_with_the_policys_shape() -> None:
    found = lines(*PAIR)
    assert marks(found, "o") == [(64, 10), (128, 50), (128, 40)]
    assert marks(found, "s") == [(64, 40), (64, 30)]
    ((x, y),) = marks(found, "x")
    assert x == 64
    assert y < 0


def test_a_paradigm_is_told_by_fill_as_well_as_colour() -> None:
    found = [line for line in lines(*PAIR) if line.get_marker() == "s"]
    assert [line.get_markerfacecolor() == PAPER for line in found] == [False, True]


def test_a_policys_line_passes_through_the_trained_size() -> None:
    drawn = [line for line in lines(*PAIR) if line.get_marker() == "None" and len(line.get_xdata())]
    joined = {(tuple(line.get_xdata()), tuple(line.get_ydata())) for line in drawn}
    assert ((64, 128), (40, 50)) in joined
    assert ((64, 128), (10, 50)) in joined


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
