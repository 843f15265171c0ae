"""Runs over time: in the order of their dates, joined where results are comparable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from drawn import cell

from posebench.reporting.figures.drawing import Drawing, composed
from posebench.reporting.figures.history import HistoryRun, history_drawing
from posebench.reporting.figures.values import Measure
from posebench.results.reading import ReadCell


def made(name: str, day: int, aps: dict[str, float], **changes: Any) -> HistoryRun:
    """Return a run of checkpoints at their trained size."""
    machine = changes.pop("machine", "one")
    cells = [
        ReadCell(cell(each, "128x96", ap=ap, instances_per_second=100.0 * day), id=each)
        for each, ap in aps.items()
    ]
    if changes:
        protocol = replace(cells[0].result.protocol, **changes)
        cells = [replace(one, result=replace(one.result, protocol=protocol)) for one in cells]
    return HistoryRun(name, f"2026-11-{day:02d}T10:00:00+00:00", machine, tuple(cells))


def joined(drawing: Drawing | None, panel: int = 0) -> list[tuple[list[float], list[float]]]:
    """Return the lines between runs: places and values."""
    assert drawing is not None
    with composed(drawing) as figure:
        axes: Any = figure.axes[panel]
        return [
            ([round(x) for x in line.get_xdata()], list(line.get_ydata()))
            for line in axes.lines
            if len(line.get_xdata()) == 2 and line.get_xdata()[0] != line.get_xdata()[1]
        ]


def test_runs_stand_in_the_order_of_their_dates() -> None:
    runs = [made("late", 3, {"heatmap-s": 0.6}), made("early", 1, {"heatmap-s": 0.4})]
    drawing = history_drawing(runs)
    assert joined(drawing) == [([0, 1], [40.0, 60.0])]
    assert joined(drawing, 1) == [([0, 1], [100.0, 300.0])]
    assert drawing is not None
    with composed(drawing) as figure:
        ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert ticks == ["early\n2026-11-01", "late\n2026-11-03"]


def test_lines_are_broken_where_protocols_differ_and_the_figure_says_in_what() -> None:
    runs = [
        made("a", 1, {"heatmap-s": 0.4}),
        made("b", 2, {"heatmap-s": 0.5}, images=9),
        made("c", 3, {"heatmap-s": 0.6}, images=9),
    ]
    drawing = history_drawing(runs)
    assert drawing is not None
    assert joined(drawing) == [([1, 2], [50.0, 60.0])]
    assert drawing.note == "lines are broken where protocols differ: images"


def test_speeds_of_other_machines_are_not_joined() -> None:
    runs = [made("a", 1, {"heatmap-s": 0.4}), made("b", 2, {"heatmap-s": 0.4}, machine="other")]
    drawing = history_drawing(runs)
    assert len(joined(drawing)) == 1
    assert joined(drawing, 1) == []


def test_a_cell_that_a_run_lacks_is_passed_over_and_names_tell_cells_apart() -> None:
    both = {"heatmap-s": 0.4, "simcc-s": 0.3}
    runs = [made("a", 1, both), made("b", 2, {"simcc-s": 0.2}), made("c", 3, both)]
    small = ReadCell(cell("heatmap-s", "64x48", ap=0.1), id="small")
    runs[2] = replace(runs[2], cells=(*runs[2].cells, small))
    drawing = history_drawing(runs, every=True)
    assert ([0, 2], [40.0, 40.0]) in joined(drawing)
    assert drawing is not None
    with composed(drawing) as figure:
        names = {text.get_text() for text in figure.axes[0].texts}
    assert names == {"heatmap-s 128x96", "heatmap-s 64x48", "simcc-s"}
    as_trained = history_drawing(runs)
    assert as_trained is not None
    assert all("64x48" not in panel.spoken for panel in as_trained.panels)


def test_without_the_score_there_is_nothing_to_draw() -> None:
    runs = [made("a", 1, {"heatmap-s": 0.4})]
    assert history_drawing(runs, measure=Measure("ECE")) is None
