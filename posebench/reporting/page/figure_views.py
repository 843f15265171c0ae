"""The figures of the page: drawings of `reporting.figures`, each with a caption and its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from posebench.reporting.figures.cost import (
    GFLOPS,
    LATENCY,
    PARAMETERS,
    THROUGHPUT,
    pareto_drawing,
    scaling_drawing,
)
from posebench.reporting.figures.drawing import Drawing
from posebench.reporting.figures.errors import PairDiagnosis, errors_drawing, reliability_drawing
from posebench.reporting.figures.inline import drawing_svgs, glyph_svg
from posebench.reporting.figures.keypoints import keypoints_drawing
from posebench.reporting.figures.lab.transforms import (
    BITS,
    SPARSITY,
    bits_drawing,
    shown_cells,
    sparsity_drawing,
)
from posebench.reporting.figures.resolution import resolution_drawing
from posebench.reporting.figures.style import Looks, paradigm_of
from posebench.reporting.figures.values import (
    is_as_trained,
    main_measure,
    score_value,
    with_own_decoders,
)
from posebench.reporting.page.contents import DataTable, Figure, LegendEntry, Panel, plain_table
from posebench.reporting.page.diagnoses import error_table, reliability_table
from posebench.reporting.page.pairs import CellPair, ProtocolGroup, pair_title
from posebench.reporting.texts import NO_VALUE, main_text, points
from posebench.results.numbers import AP, main_metric, number_named
from posebench.results.reading import ReadCell
from posebench.results.store import StoredCell

_TEXTS = {
    "size": (
        "{} against input size",
        "One plot for each resize policy, every checkpoint with its own decoder; bars are 95 % "
        "intervals from resampled images. Every policy's line passes through the trained size, "
        "where all policies are the same.",
    ),
    "scaling": (
        "{} against model size",
        "Checkpoints at their trained sizes with their own decoders; bars are 95 % intervals. "
        "A grey line joins those of one paradigm that were trained at one size, by their mean "
        "where several have as many parameters.",
    ),
    "pareto": (
        "{} against computation and speed",
        "Every cell with its checkpoint's own decoder. The dotted line joins cells that no other "
        "cell beats in both; those have names and 95 % intervals, the others are pale. GFLOPs are "
        "multiply-accumulates of one forward pass without the flip test; instances per second are "
        "of the whole run on the machine named below, reading and cropping included.",
    ),
    "bits": (
        "{} against bits",
        "Each plot holds the checkpoints of one pair, with their weights or activations rounded to "
        "so many bits (fake quantisation); bars are 95 % intervals from resampled images.",
    ),
    "sparsity": (
        "{} against pruning",
        "Each plot holds the checkpoints of one pair, with so many percent of their smallest "
        "weights or channels at 0, not trained again; bars are 95 % intervals from resampled "
        "images.",
    ),
    "keypoints": (
        "Keypoints",
        "Share of labelled keypoints within a tenth of the longer box side (PCK@0.1), in points.",
    ),
    "errors": (
        "Types of error",
        "Points of AP regained if one type of error alone were corrected. Keypoint errors after "
        "Ronchi & Perona 2017; wrong and missing persons after TIDE. They overlap, and so do not "
        "add up.",
    ),
    "reliability": (
        "Reliability of scores",
        "Mean OKS of the detections of a bin against their mean score: on the dotted line a score "
        "means what it says. A larger mark stands for more detections. SimCC scores are raw "
        "maxima, which may exceed 1; those count as 1. Regression without deviations has the score "
        "1 throughout.",
    ),
}
_COSTS = (PARAMETERS, GFLOPS, THROUGHPUT, LATENCY)


def group_figures(group: ProtocolGroup, looks: Looks) -> list[Figure]:
    """Return AP against sizes and costs of the cells of one protocol."""
    cells = list(map(_read, group.cells))
    own = [cell for cell in cells if cell.result.has_own_decoder is not False]
    trained = [cell for cell in cells if is_as_trained(cell.result)]
    several = len({cell.result.size for cell in own}) > 1
    with_ap = [cell for cell in own if score_value(cell.result) is not None]
    several_models = len({cell.result.checkpoint.name for cell in with_ap}) > 1
    by_size = resolution_drawing(own, looks) if several else None
    scaling = scaling_drawing(cells, looks) if several_models else None
    by_cost = pareto_drawing(own, looks) if len(with_ap) > 1 else None
    pruned = _transform_table(shown_cells(cells, SPARSITY))
    found = [
        ("size", by_size, _size_table(with_own_decoders(own))),
        ("scaling", scaling, _cost_table(trained)),
        ("pareto", by_cost, _cost_table(with_own_decoders(with_ap))),
        ("bits", bits_drawing(cells, looks), _transform_table(shown_cells(cells, BITS))),
        ("sparsity", sparsity_drawing(cells, looks), pruned),
    ]
    return [
        _view(kind, drawing, table, group.letter, _main(cells))
        for kind, drawing, table in found
        if drawing is not None
    ]


def pair_figures(
    pairs: Sequence[CellPair], diagnosed: Sequence[PairDiagnosis], looks: Looks
) -> list[Figure]:
    """Return keypoints, errors and reliability of pairs."""
    cells = [[_read(cell) for cell in pair.cells] for pair in pairs]
    keypoints = keypoints_drawing([], looks, cells)
    found = [
        ("keypoints", keypoints, _keypoint_table(pairs)),
        ("errors", errors_drawing(diagnosed, looks), error_table(diagnosed)),
        ("reliability", reliability_drawing(diagnosed, looks), reliability_table(diagnosed)),
    ]
    return [_view(kind, drawing, table) for kind, drawing, table in found if drawing is not None]


def _view(
    kind: str, drawing: Drawing, table: DataTable, letter: str | None = None, number: str = AP
) -> Figure:
    title, caption = _TEXTS[kind]
    title = title.format(number)
    name = kind if letter is None else f"{kind}-{letter}"
    title = title if letter is None else f"{title}, protocol {letter}"
    return figure_of(name, (title, caption), drawing, table)


def figure_of(name: str, texts: tuple[str, str], drawing: Drawing, table: DataTable) -> Figure:
    """Return a drawing as a figure of the page, with title and caption; `name` is its id."""
    title, caption = texts
    svgs = drawing_svgs(drawing, name)
    return Figure(
        id=name,
        title=title,
        caption=caption,
        panels=tuple(
            Panel(panel.title, svg) for panel, svg in zip(drawing.panels, svgs, strict=True)
        ),
        table=table,
        protocol=drawing.heading,
        legend=tuple(
            LegendEntry(glyph_svg(entry, f"{name}-key-{place}"), entry.label)
            for place, entry in enumerate(drawing.legend, 1)
        ),
    )


def _read(cell: StoredCell) -> ReadCell:
    return ReadCell(cell.result, cell.keypoints, cell.labels)


def interval_text(cell: ReadCell | StoredCell) -> str:
    """Show the interval of a cell's main number, AP's in points."""
    bounds = main_measure([cell.result]).bounds(cell.result)
    return NO_VALUE if bounds is None else f"{bounds[0]:.1f}–{bounds[1]:.1f}"


def _main(cells: Sequence[ReadCell]) -> str:
    return main_metric(cell.result for cell in cells)


def _in_unit(cells: Sequence[ReadCell]) -> str:
    """Return what a column of scores holds: `AP in points`."""
    name = _main(cells)
    return f"{name} in {number_named(name).unit.word}"


def _size_table(cells: Sequence[ReadCell]) -> DataTable:
    headers = [
        ("checkpoint", False), ("paradigm", False), ("size", True), ("policy", False),
        (_main(cells), True), ("95 %", True), ("status", False),
    ]  # fmt: skip
    rows = [(*_first(cell), cell.result.status) for cell in cells]
    return plain_table(f"{_in_unit(cells)}, own decoders", headers, rows)


def _transform_table(cells: Sequence[ReadCell]) -> DataTable:
    headers = [
        ("checkpoint", False), ("paradigm", False), ("size", True), ("policy", False),
        (_main(cells), True), ("95 %", True), ("transform", False),
    ]  # fmt: skip
    rows = [(*_first(cell), cell.result.protocol.transform) for cell in cells]
    return plain_table(f"{_in_unit(cells)}, own decoders", headers, rows)


def _cost_table(cells: Sequence[ReadCell]) -> DataTable:
    headers = [
        ("checkpoint", False), ("paradigm", False), ("size", True), ("policy", False),
        (_main(cells), True), ("95 %", True), *((cost.label, True) for cost in _COSTS),
    ]  # fmt: skip
    rows = []
    for cell in cells:
        costs = [cost.of(cell.result) for cost in _COSTS]
        rows.append((*_first(cell), *(f"{value:.3g}" if value else NO_VALUE for value in costs)))
    return plain_table(f"{_in_unit(cells)}, and what it costs", headers, rows)


def _first(cell: ReadCell) -> tuple[str, ...]:
    result = cell.result
    return (
        result.checkpoint.name,
        paradigm_of(result.checkpoint.paradigm).name,
        str(result.size),
        result.policy or NO_VALUE,
        main_text(result),
        interval_text(cell),
    )


def _keypoint_table(pairs: Sequence[CellPair]) -> DataTable:
    headers = [("keypoint", False), ("checkpoint", False), ("PCK@0.1", True), ("pair", False)]
    rows = [
        (key.replace("_", " "), name, points(cell.keypoints[key]), pair_title(pair))
        for pair in pairs
        for key in pair.cells[0].keypoints
        for name, cell in zip(pair.names, pair.cells, strict=True)
        if key in cell.keypoints
    ]
    return plain_table("PCK@0.1 of each keypoint, in points", headers, rows)
