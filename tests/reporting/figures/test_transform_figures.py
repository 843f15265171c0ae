"""AP against bits and pruning: what is drawn is that of the cells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from drawn import cell, svg_texts

from posebench.reporting.figures import RUN_FIGURES
from posebench.reporting.figures.drawing import Drawing, composed, write_drawing
from posebench.reporting.figures.keypoints import keypoints_drawing
from posebench.reporting.figures.lab.transforms import bits_drawing, sparsity_drawing
from posebench.reporting.figures.resolution import resolution_drawing
from posebench.reporting.figures.style import INTERVAL_CAP
from posebench.results.cell import CellResult, Intervals
from posebench.results.reading import ReadCell

AP = {"none": 0.6, "w8": 0.6, "w4": 0.5, "w4a8": 0.45, "answers-w2": 0.4, "tokens-a4": 0.58}
PRUNED = {"none": 0.6, "prune-30": 0.5, "prune-50": 0.3, "prune-30-layer": 0.4}


def at(name: str, text: str, ap: float | None, **changes: Any) -> ReadCell:
    made = cell(name, changes.pop("size", "128x96"), ap=ap, **changes)
    return ReadCell(replace(made, protocol=replace(made.protocol, transform=text)))


def run(values: dict[str, float]) -> list[ReadCell]:
    return [
        at(f"{side}-s", text, ap) for side in ("heatmap", "simcc") for text, ap in values.items()
    ]


def lines_of(drawing: Drawing, panel: int) -> list[Any]:
    with composed(drawing) as figure:
        return list(figure.axes[panel].lines)


def curves(drawing: Drawing, panel: int) -> list[list[float]]:
    found = lines_of(drawing, panel)
    return [[*map(float, line.get_ydata())] for line in found if line.get_marker() == "None"]


def test_a_panel_for_each_kind_of_quantisation() -> None:
    drawing = bits_drawing(run(AP))
    assert drawing is not None
    titles = [panel.title for panel in drawing.panels]
    assert titles == [
        "weights · heatmap-s and simcc-s",
        "weights, activations 8 bits · heatmap-s and simcc-s",
        "weights of the answer vectors · heatmap-s and simcc-s",
        "tokens · heatmap-s and simcc-s",
    ]
    assert curves(drawing, 0) == [[50, 60, 60]] * 2  # 4, 8 bits, fp32
    assert curves(drawing, 2) == [[40, 60]] * 2
    assert "w4: AP 50.0" in drawing.panels[0].spoken


def test_pruning_is_drawn_by_its_ranking() -> None:
    drawing = sparsity_drawing(run(PRUNED))
    assert drawing is not None
    assert [panel.title.partition(" · ")[0] for panel in drawing.panels] == [
        "weights",
        "weights, layer by layer",
    ]
    assert curves(drawing, 0) == [[60, 50, 30]] * 2


def test_axes_name_the_bits_and_fp32(tmp_path: Path) -> None:
    drawing = bits_drawing(run(AP))
    assert drawing is not None
    write_drawing(drawing, tmp_path / "a.svg")
    assert {"fp32", "4", "8", "bits"} <= set(svg_texts(tmp_path / "a.svg"))


def test_intervals_are_those_of_the_cells() -> None:
    intervals = Intervals(0.95, "percentile", 9, 0, {"AP": 0.4}, {"AP": 0.7})
    drawing = bits_drawing(
        [at("heatmap-s", "w4", 0.5, intervals=intervals), at("heatmap-s", "none", 0.6)]
    )
    assert drawing is not None
    bars = [line for line in lines_of(drawing, 0) if line.get_marker() == INTERVAL_CAP]
    assert [[*map(float, bar.get_ydata())] for bar in bars] == [[40, 70]]


def test_cells_of_other_settings_or_without_numbers_are_left_out() -> None:
    others = [at("heatmap-s", "w2", 0.1, size="64x48"), at("heatmap-s", "w3", None)]
    drawing = bits_drawing([*run(AP), *others])
    assert drawing is not None
    assert curves(drawing, 0) == [[50, 60, 60]] * 2


def test_a_run_without_transforms_has_no_such_figure() -> None:
    plain = run({"none": 0.6})
    assert bits_drawing(plain) is None and sparsity_drawing(plain) is None
    assert bits_drawing(run(PRUNED)) is None and sparsity_drawing(run(AP)) is None
    assert RUN_FIGURES["bits"].draw is bits_drawing
    assert RUN_FIGURES["sparsity"].draw is sparsity_drawing


def test_figures_of_networks_as_published_leave_transforms_out() -> None:
    drawing = resolution_drawing(run(AP))
    assert drawing is not None
    assert "w4" not in drawing.panels[0].spoken
    named: list[ReadCell] = [replace(one, keypoints={"nose": 0.5}) for one in run(AP)]
    keypoints = keypoints_drawing(named)
    assert keypoints is not None and len(keypoints.panels) == 1
    alone = resolution_drawing([at("heatmap-s", "w4", 0.5)])
    assert alone is not None and "w4: AP 50.0" in alone.panels[0].spoken


def test_what_is_said_of_a_cell_without_a_transform_is_as_before() -> None:
    result: CellResult = cell("heatmap-s", "128x96", ap=0.5)
    drawing = resolution_drawing([ReadCell(result)])
    assert drawing is not None and "heatmap-s, 128x96 native: AP 50.0" in drawing.panels[0].spoken
