"""Figures as matplotlib draws them, read for what they show: texts, data, boxes that overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import small_run
from small_speed import SPEED

from posebench.networks.sizes import InputSize
from posebench.reporting.figures.names import mark_boxes, text_box
from posebench.results.cell import CellResult, CheckpointFacts, RunSettings, write_results
from posebench.results.reading import ReadCell

TRAINED = InputSize(128, 96)
PROTOCOL = replace(small_run.PROTOCOL, dataset="synthetic")
HOSTILE = '_$x^2$ <script>alert(1)</script> & "quoted"\x1b[0m'


def cell(
    name: str, size: str | None, policy: str = "native", ap: float | None = 0.5, **changes: Any
) -> CellResult:
    """Return a cell whose paradigm is what its name begins with."""
    paradigm = name.partition("-")[0]
    parameters = changes.pop("parameters", 10**6)
    facts = CheckpointFacts(name, name, "posebench", paradigm, "ResNet-18", TRAINED, parameters)
    metrics: dict[str, float | None] | None = None if ap is None else {"AP": ap}
    status = changes.pop("status", "ok" if ap is not None else "unsupported")
    parsed = None if size is None else InputSize.parse(size)
    return CellResult(facts, parsed, policy, status, PROTOCOL, metrics=metrics, **changes)


PAIR = (
    cell("heatmap-s", "64x48", ap=0.1),
    cell("heatmap-s", "128x96", ap=0.5),
    cell("heatmap-s", "64x48", "resample", 0.4),
    cell("simcc-s", "64x48", ap=None, reason="locked"),
    cell("simcc-s", "128x96", ap=0.4),
    cell("simcc-s", "64x48", "resample", 0.3),
)


def ladder(count: int) -> list[ReadCell]:
    """Return checkpoints of both paradigms, close together in size and AP, with costs."""
    return [
        ReadCell(
            cell(
                f"{paradigm}-model-{step}",
                "128x96",
                ap=0.4 + 0.03 * step + 0.01 * side,
                parameters=int(1e6 * 1.3**step),
                gflops=0.1 * 1.3**step,
                instances_per_second=300 / 1.2**step,
                speed=SPEED,
            )
        )
        for step in range(count)
        for side, paradigm in enumerate(("heatmap", "simcc"))
    ]


def results_file(folder: Path, cells: Any) -> Path:
    """Write a results file, as `posebench eval` does."""
    path = folder / "results.json"
    write_results(path, cells, RunSettings(1, 8, 1, 0, "cpu"))
    return path


def svg_texts(path: Path) -> list[str]:
    """Return the texts that an SVG shows."""
    root = ElementTree.parse(path).getroot()
    assert root.tag.endswith("svg")
    return ["".join(node.itertext()).strip() for node in root.iter() if node.tag.endswith("text")]


def svg_titles(path: Path) -> list[str]:
    """Return the tooltips of an SVG's marks."""
    nodes = ElementTree.parse(path).getroot().iter()
    return [node.text or "" for node in nodes if node.tag.endswith("title")]


def collisions(figure: Any) -> list[tuple[str, str]]:
    """Return what covers what: texts other texts, names marks, and texts the figure's edge."""
    renderer = figure.canvas.get_renderer()
    boxes = [(text.get_text(), text_box(text, renderer)) for text in _shown_texts(figure)]
    # Boxes have a point of room around them, which may touch.
    boxes = [(text, box.padded(-1.5)) for text, box in boxes]
    found = [(one, other) for (one, a), (other, b) in combinations(boxes, 2) if a.overlaps(b)]
    marks = [box.padded(-1.0) for axes in figure.axes for box in mark_boxes(axes)]
    found += [(text, "a mark") for text, box in boxes if box.count_overlaps(marks)]
    edge = figure.bbox
    found += [
        (text, "the edge")
        for text, box in boxes
        if box.x0 < edge.x0 or box.x1 > edge.x1 or box.y0 < edge.y0 or box.y1 > edge.y1
    ]
    return found


def _shown_texts(figure: Any) -> Iterator[Any]:
    texts = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    for axes in (each for each in figure.axes if each.get_visible()):
        texts += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            # matplotlib keeps ticks beyond the axis, and draws none of them.
            texts += [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
    yield from (text for text in texts if text.get_visible() and text.get_text().strip())
