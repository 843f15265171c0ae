"""The table of all cells, ready to sort and filter: first what people came for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from posebench.reporting.figures.inline import mark_svg
from posebench.reporting.figures.style import Looks
from posebench.reporting.page.contents import DataTable, TableCell, TableColumn
from posebench.reporting.page.pairs import ProtocolGroup
from posebench.reporting.tables.results_table import columns
from posebench.reporting.texts import NO_VALUE
from posebench.results.numbers import main_metrics, number_named
from posebench.results.store import Run, StoredCell

_FILTERS = ("paradigm", "size", "policy", "transform", "decoder", "status", "protocol")
# The first columns say which cell it is and what it scored, and then how it was run.
_FIRST = ("checkpoint", "size")
_THEN = (
    "AP official", "status", "policy", "transform", "decoder", "paradigm", "backbone", "params M",
)  # fmt: skip
# What is the same in every row stands in the caption.
_LIFTED = (
    "boxes", "flip", "protocol", "policy", "transform", "decoder", "paradigm", "status",
)  # fmt: skip


def results_table(run: Run, groups: Sequence[ProtocolGroup], looks: Looks) -> DataTable:
    """Return all cells of a run; the best AP of each protocol is marked.

    Each checkpoint has its mark before its name. The caption has what is the same in every row.
    """
    main = main_metrics(cell.result for cell in run.cells)
    letters = {cell.id: group.letter for group in groups for cell in group.cells}
    best = {
        (cell.id, name) for group in groups for name in main for cell in _best(group.cells, name)
    }
    shown = {column.header: column for column in columns([cell.result for cell in run.cells])}
    texts = {header: [c.show(cell.result) for cell in run.cells] for header, c in shown.items()}
    texts["protocol"] = [letters.get(cell.id, NO_VALUE) for cell in run.cells]
    alike = [name for name in _LIFTED if len(set(texts.get(name, ()))) == 1]
    names = {cell.result.checkpoint.name for cell in run.cells}
    marks = {name: mark_svg(looks, name) for name in names}
    first = (*_FIRST, *(n for name in main for n in (name, f"{name} 95%")), *_THEN)
    headers = [name for name in (*first, *texts) if name in texts and name not in alike]
    headers = list(dict.fromkeys(headers))
    caption = (
        f"Every cell of the run. {_units(main)}, PCK in points; the best {' and '.join(main)} of "
        "each protocol is bold. "
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
                TableCell(
                    texts[name][i],
                    _look(name, cell, (cell.id, name) in best),
                    _mark(name, cell, marks),
                )
                for name in headers
            )
            for i, cell in enumerate(run.cells)
        ),
    )


def _mark(header: str, cell: StoredCell, marks: Mapping[str, Markup]) -> str:
    return marks[cell.result.checkpoint.name] if header == "checkpoint" else ""


def _units(names: Sequence[str]) -> str:
    return ", ".join(f"{name} in {number_named(name).unit.word}" for name in names)


def _look(header: str, cell: StoredCell, is_best: bool) -> str:
    """Return the classes of a cell of the table."""
    if header == "status":
        return f"status {cell.result.status}"
    return "best" if is_best else ""


def _choices(header: str, texts: Sequence[str]) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(texts))
    return values if header in _FILTERS and len(values) > 1 else ()


def _best(cells: Sequence[StoredCell], main: str) -> list[StoredCell]:
    values = {cell.id: (cell.result.metrics or {}).get(main) for cell in cells}
    known = [value for value in values.values() if value is not None]
    best = (min if number_named(main).better == "lower" else max)(known, default=None)
    return [cell for cell in cells if best is not None and values[cell.id] == best]
