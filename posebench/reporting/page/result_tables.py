"""The tables of results and of matched pairs, ready to sort and filter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from posebench.judging.claim_cells import replicates_of
from posebench.reporting.figures.values import way_of
from posebench.reporting.page.contents import (
    DataTable,
    TableCell,
    TableColumn,
    paradigm_class,
    plain_table,
)
from posebench.reporting.page.pairs import IncomparablePair, MatchedPair, ProtocolGroup
from posebench.reporting.tables.results_table import columns
from posebench.reporting.texts import NO_VALUE, number_text
from posebench.results.numbers import main_metric, number_named
from posebench.results.store import Run, StoredCell
from posebench.scoring.statistics.intervals import percentile_interval

_FILTERS = ("paradigm", "size", "policy", "transform", "decoder", "status", "protocol")
# The first columns tell cells apart, and have the numbers that people look for.
_FIRST = (
    "checkpoint", "paradigm", "size", "policy", "transform", "decoder", "status",
)  # fmt: skip
_LIFTED = ("boxes", "flip", "protocol")


def results_table(run: Run, groups: Sequence[ProtocolGroup]) -> DataTable:
    """Return all cells of a run; the best AP of each protocol is marked.

    The caption has what is the same in every row.
    """
    main = main_metric(cell.result for cell in run.cells)
    letters = {cell.id: group.letter for group in groups for cell in group.cells}
    best = {cell.id for group in groups for cell in _best(group.cells, main)}
    shown = {column.header: column for column in columns([cell.result for cell in run.cells])}
    texts = {header: [c.show(cell.result) for cell in run.cells] for header, c in shown.items()}
    texts["protocol"] = [letters.get(cell.id, NO_VALUE) for cell in run.cells]
    alike = [name for name in _LIFTED if len(set(texts[name])) == 1]
    first = (*_FIRST, main, f"{main} 95%", "AP official")
    headers = [name for name in (*first, *texts) if name in texts and name not in alike]
    headers = list(dict.fromkeys(headers))
    caption = (
        f"Every cell of the run. {main} in {number_named(main).unit.word}, PCK in points; the best "
        f"{main} of each protocol is bold. "
        "Rows of different protocols must not be subtracted."
    )
    said = ", ".join(f"{name} {texts[name][0]}" for name in alike if run.cells)
    return DataTable(
        f"{caption} In all rows: {said}." if said else caption,
        tuple(
            TableColumn(name, name in shown and shown[name].numeric, _choices(name, texts[name]))
            for name in headers
        ),
        tuple(
            tuple(
                TableCell(texts[name][i], _look(name, cell, best if name == main else ()))
                for name in headers
            )
            for i, cell in enumerate(run.cells)
        ),
    )


def _look(header: str, cell: StoredCell, best: Collection[str]) -> str:
    """Return the classes of a cell of the table."""
    if header == "paradigm":
        return f"paradigm {paradigm_class(cell.result.checkpoint.paradigm)}"
    if header == "status":
        return f"status {cell.result.status}"
    return "best" if cell.id in best else ""


def _choices(header: str, texts: Sequence[str]) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(texts))
    return values if header in _FILTERS and len(values) > 1 else ()


def _best(cells: Sequence[StoredCell], main: str) -> list[StoredCell]:
    values = {cell.id: (cell.result.metrics or {}).get(main) for cell in cells}
    known = [value for value in values.values() if value is not None]
    best = (min if number_named(main).better == "lower" else max)(known, default=None)
    return [cell for cell in cells if best is not None and values[cell.id] == best]


def pairs_table(
    run: Run, pairs: Sequence[MatchedPair], apart: Sequence[IncomparablePair]
) -> DataTable:
    """Return both paradigms' AP (or main number), and the difference with its paired interval.

    For pairs of different protocols, the fields that differ take the place of a difference.
    """
    names = [cell.id for pair in pairs for cell in pair.cells]
    main = main_metric(cell.result for cell in run.cells)
    draws = replicates_of(run, names, [main])
    rows = [_pair_row(pair, main, draws) for pair in pairs]
    rows += [
        (
            pair.name,
            pair.size,
            pair.way,
            pair.paradigms[0],
            NO_VALUE,
            pair.paradigms[1],
            NO_VALUE,
            "n/c",
            f"other {', '.join(pair.fields)}",
            " / ".join(pair.letters),
        )
        for pair in apart
    ]
    headers = [
        ("pair", False), ("size", True), ("policy", False), ("first", False),
        (f"{main} of first", True), ("second", False), (f"{main} of second", True),
        ("second − first", True), ("95 %", True), ("protocol", False),
    ]  # fmt: skip
    return plain_table(
        "Matched pairs of one protocol, each with its own decoder. The interval is of the "
        "difference, from resamples of the images that both cells share. n/c: not comparable.",
        headers,
        rows,
    )


def _pair_row(
    pair: MatchedPair, main: str, draws: Mapping[tuple[str, str], Any]
) -> tuple[str, ...]:
    unit = number_named(main).unit
    one, other = ((cell.result.metrics or {}).get(main) for cell in pair.cells)
    gap = None if one is None or other is None else other - one
    keys = [(cell.id, main) for cell in pair.cells]
    bounds = None
    if all(key in draws for key in keys):
        bounds = percentile_interval(draws[keys[1]] - draws[keys[0]])
    result = pair.cells[0].result
    return (
        pair.name,
        str(result.size),
        way_of(result) or NO_VALUE,
        pair.paradigm_names[0],
        number_text(one, unit),
        pair.paradigm_names[1],
        number_text(other, unit),
        NO_VALUE if gap is None else unit.signed(gap),
        NO_VALUE if bounds is None else " to ".join(map(unit.signed, bounds)),
        pair.letter,
    )
