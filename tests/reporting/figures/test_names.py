"""Texts of figures: none covers another, a mark or the edge, however close the marks lie."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from drawn import PAIR, cell, collisions, ladder

from posebench.reporting.figures import RUN_FIGURES
from posebench.reporting.figures.drawing import Drawing, Panel, composed
from posebench.reporting.figures.lab.training import Curve, training_drawing
from posebench.reporting.figures.names import add_name
from posebench.reporting.figures.style import BLUE
from posebench.results.reading import ReadCell

LEVELS = [(name, level) for name in ("blur", "noise", "occluders") for level in range(1, 6)]
TRANSFORMS = {
    "bits": ("w8", "w6", "w5", "w4", "w3", "w4a8", "answers-w4", "tokens-a4", "backbone-w4"),
    "sparsity": tuple(f"prune-{percent}" for percent in range(10, 100, 10)),
}


def transformed(cell: ReadCell, text: str) -> ReadCell:
    protocol = replace(cell.result.protocol, transform=text)
    return replace(cell, result=replace(cell.result, protocol=protocol))


def corrupted(cell: ReadCell, text: str) -> ReadCell:
    protocol = replace(cell.result.protocol, corruption=text)
    return replace(cell, result=replace(cell.result, protocol=protocol))


def named(positions: list[tuple[float, float]]) -> Drawing:
    def draw(axes: Any) -> None:
        for index, (x, y) in enumerate(positions):
            axes.plot([x], [y], marker="o", linestyle="none")
            add_name(axes, x, y, f"name-{index}", BLUE)
        axes.set(xlim=(0, 10), ylim=(0, 10))

    return Drawing("heading", (Panel("title", "spoken", draw),))


def names_in(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts if text.get_visible()]


def test_names_make_room_for_one_another() -> None:
    with composed(named([(5, 5), (5.1, 5), (5, 5.2), (9.9, 9.9), (0.1, 0.1)])) as figure:
        assert collisions(figure) == []
        assert len(names_in(figure)) == 5


def test_a_name_without_room_is_left_out() -> None:
    crowd = [(4 + x / 5, 4 + y / 5) for x in range(10) for y in range(10)]
    with composed(named(crowd)) as figure:
        assert collisions(figure) == []
        assert 10 < len(names_in(figure)) < 100


@pytest.mark.parametrize("kind", list(RUN_FIGURES))
@pytest.mark.parametrize("count", [1, 2, 5])
def test_figures_of_runs_are_free_of_collisions(kind: str, count: int) -> None:
    keypoints = {"left_wrist": 0.5, "nose": 0.9}
    cells = [ReadCell(c.result, keypoints, c.labels) for c in ladder(count)]
    for text in TRANSFORMS.get(kind, ()):
        cells += [transformed(c, text) for c in cells if c.result.transform is None]
    if kind == "robustness":
        cells += [corrupted(c, f"{name}-{level}") for c in cells for name, level in LEVELS]
    drawing = RUN_FIGURES[kind].draw(cells)
    assert drawing is not None
    with composed(drawing) as figure:
        assert collisions(figure) == []


def test_many_sizes_are_free_of_collisions() -> None:
    sizes = [(64, 48), (128, 96), (192, 144), (256, 192), (384, 288), (512, 384)]
    many = [
        ReadCell(cell(name, f"{h}x{w}", ap=0.3))
        for name in ("heatmap-s", "simcc-s")
        for h, w in sizes
    ]
    drawing = RUN_FIGURES["resolution"].draw([*many, *map(ReadCell, PAIR)])
    assert drawing is not None
    with composed(drawing) as figure:
        assert collisions(figure) == []


def test_training_curves_that_end_together_have_names_apart() -> None:
    curves = [
        Curve(f"{p}-{n}", n, p, (1000, 2000), (10.0, 50.0 + i / 2), (2.0, 1.0))
        for n in "sml"
        for i, p in enumerate(("heatmap", "simcc"))
    ]
    with composed(training_drawing(curves)) as figure:
        assert collisions(figure) == []
        assert len(names_in(figure)) == 6
