"""The tables of results and of matched pairs, ready to sort and filter."""

from __future__ import annotations

from collections.abc import Sequence

from posebench.evaluation.intervals import percentile_interval
from posebench.evidence import replicates_of
from posebench.report.contents import DataTable, TableCell, TableColumn, plain_table
from posebench.report.marks import paradigm_class
from posebench.report.pairs import MatchedPair, ProtocolGroup
from posebench.report.size_curves import average_precision
from posebench.store import Run, StoredCell
from posebench.tables import NO_VALUE, columns, points

_FILTERS = ("paradigm", "size", "policy", "decoder", "status", "protocol")
_BEST = "AP"


def results_table(run: Run, groups: Sequence[ProtocolGroup]) -> DataTable:
    """Return all cells of a run; the best AP of each protocol is marked."""
    shown = columns([cell.result for cell in run.cells])
    letters = {cell.id: group.letter for group in groups for cell in group.cells}
    best = {cell.id for group in groups for cell in _best(group.cells)}
    headers = [*(column.header for column in shown), "protocol"]
    texts = [
        [*(column.show(cell.result) for column in shown), letters.get(cell.id, NO_VALUE)]
        for cell in run.cells
    ]
    rows = []
    for cell, row in zip(run.cells, texts, strict=True):
        looks = {"paradigm": f"paradigm {paradigm_class(cell.result.checkpoint.paradigm)}"}
        looks["status"] = f"status {cell.result.status}"
        if cell.id in best:
            looks[_BEST] = "best"
        rows.append(
            tuple(TableCell(t, looks.get(h, "")) for h, t in zip(headers, row, strict=True))
        )
    numeric = {column.header for column in shown if column.numeric}
    return DataTable(
        "Every cell of the run. AP and PCK in points; the best AP of each protocol is bold. "
        "Rows of different protocols must not be subtracted.",
        tuple(
            TableColumn(header, header in numeric, _choices(header, index, texts))
            for index, header in enumerate(headers)
        ),
        tuple(rows),
    )


def _choices(header: str, index: int, rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    values = dict.fromkeys(row[index] for row in rows)
    return tuple(values) if header in _FILTERS and len(values) > 1 else ()


def _best(cells: Sequence[StoredCell]) -> list[StoredCell]:
    values = {cell.id: average_precision(cell) for cell in cells}
    highest = max((value for value in values.values() if value is not None), default=None)
    return [cell for cell in cells if highest is not None and values[cell.id] == highest]


def pairs_table(run: Run, pairs: Sequence[MatchedPair]) -> DataTable:
    """Return AP of both paradigms of each pair and the difference, with its paired interval."""
    names = [cell.id for pair in pairs for cell in pair.cells]
    draws = replicates_of(run, names, [_BEST])
    rows = []
    for pair in pairs:
        one, other = (average_precision(cell) for cell in pair.cells)
        gap = None if one is None or other is None else other - one
        keys = [(cell.id, _BEST) for cell in pair.cells]
        bounds = None
        if all(key in draws for key in keys):
            bounds = percentile_interval(draws[keys[1]] - draws[keys[0]])
        result = pair.heatmap.result
        rows.append(
            (
                pair.name,
                str(result.size),
                result.policy or NO_VALUE,
                points(one),
                points(other),
                NO_VALUE if gap is None else f"{100 * gap:+.1f}",
                NO_VALUE if bounds is None else f"{100 * bounds[0]:+.1f} to {100 * bounds[1]:+.1f}",
                pair.letter,
            )
        )
    headers = [
        ("pair", False), ("size", True), ("policy", False), ("AP heatmap", True),
        ("AP SimCC", True), ("SimCC − heatmap", True), ("95 %", True), ("protocol", False),
    ]  # fmt: skip
    return plain_table(
        "Matched pairs of one protocol, each with its own decoder. The interval is of the "
        "difference, from resamples of the images that both cells share.",
        headers,
        rows,
    )
