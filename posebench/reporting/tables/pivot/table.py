"""Results as a table over any two sets of fields: best values, intervals, differences. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posebench.datasets.corruptions.names import NO_CORRUPTION
from posebench.errors import UsageError, nearest
from posebench.judging.claim_cells import cells_of
from posebench.reporting.tables.pivot.columns import (
    Column,
    are_named,
    columns_of,
    measured,
    texts_of,
)
from posebench.reporting.tables.pivot.means import Averaging, averaged
from posebench.reporting.tables.pivot.request import PivotRequest, check_request
from posebench.reporting.tables.pivot.slots import (
    RUN,
    Entry,
    Row,
    Slot,
    Source,
    add_chance,
    has_cell,
    mark_best,
    subtract,
)
from posebench.reporting.texts import natural
from posebench.results.findings import finding_lines
from posebench.results.numbers import main_metrics, number_named
from posebench.results.store import Run, read_run
from posebench.suites.claims import LABEL
from posebench.suites.transforms import NO_TRANSFORM

# What goes without saying.
_UNSAID = (("transform", {NO_TRANSFORM}), ("corruption", {NO_CORRUPTION}))
_SHOWN = 3
BEST = "best"


@dataclass(frozen=True)
class PivotRow:
    """The values of the row fields, and an entry or None for each column."""

    keys: tuple[str, ...]
    entries: tuple[Entry | None, ...]


@dataclass(frozen=True)
class Pivot:
    """A table: headers of the row fields, labels of the columns, rows, and what all rows share.

    `findings` say what is odd in the data and the checkpoints; numbers are means over `mean_over`.
    """

    row_fields: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[PivotRow, ...]
    shared: tuple[tuple[str, str], ...]
    findings: tuple[str, ...] = ()
    mean_over: str | None = None


def pivot_runs(folders: Sequence[Path], request: PivotRequest) -> Pivot:
    """Return the table of run directories.

    Raises `UsageError` if a field or metric is unknown or two cells would fall into one place, and
    another `PosebenchError` if a run cannot be read.
    """
    runs = [read_run(folder) for folder in folders]
    sources = _all_sources(folders, runs)
    asked, request = request, _with_metrics(request, runs)
    check_request(sources, request)
    found = finding_lines(source.stored.result for source in sources)
    row_fields = request.rows or _varying(sources, request.columns)
    if request.mean_over is not None:
        places = (*row_fields, *request.columns)
        sources = averaged(sources, Averaging(request.mean_over, places, request.metrics))
    columns = columns_of(sources, request)
    if not asked.metrics:
        columns = measured(columns, sources, request)
    lines = _lines(sources, row_fields, request.columns)
    homes = _homes(sources, row_fields, request.columns)
    matrix = [
        Row(keys, [Slot(_at(found, c), metric, policy) for c, metric in columns], row_fields)
        for keys, found in lines.items()
        for found in [{**homes.get(_elsewhere(keys, row_fields), {}), **found}]
        for policy in [dict(zip(row_fields, keys, strict=True)).get("policy")]
    ]
    subtracted = []
    for index in range(len(columns)):
        mark_best([row.slots[index] for row in matrix])
        if request.baseline is not None:
            column = [(row, row.slots[index]) for row in matrix]
            subtracted += subtract(column, request.baseline)
    if request.intervals:
        add_chance(subtracted, runs)
    rows = [PivotRow(row.keys, tuple(slot.entry for slot in row.slots)) for row in matrix]
    is_named = are_named(asked, request.metrics)
    labels = tuple(" ".join((*c, metric) if is_named else c) for c, metric in columns)
    if request.sort is not None:
        rows.sort(key=_order(request.sort, row_fields, labels, columns))
    averaged_over = () if request.mean_over is None else (request.mean_over, "checkpoint")
    told = {*row_fields, *request.columns, *averaged_over}
    shared = _shared(sources, told)
    return Pivot(row_fields, labels, tuple(rows), shared, tuple(found), request.mean_over)


def _all_sources(folders: Sequence[Path], runs: Sequence[Run]) -> list[Source]:
    names = [folder.resolve().name for folder in folders]
    shown = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    sources = [
        source
        for index, (run, name) in enumerate(zip(runs, shown, strict=True))
        for source in sources_of(name, run, index)
    ]
    if not sources:
        raise UsageError(
            "The runs have no results yet.",
            hint="posebench run SUITE makes some; --probes shows what probes read.",
        )
    return sources


def _with_metrics(request: PivotRequest, runs: Sequence[Run]) -> PivotRequest:
    main = main_metrics(cell.result for run in runs for cell in run.cells)
    return replace(request, metrics=request.metrics or main)


def _lines(
    sources: Sequence[Source], row_fields: Sequence[str], columns: Sequence[str]
) -> dict[tuple[str, ...], dict[tuple[str, ...], Source]]:
    """Return cells by the values of row and column fields; two in one place are an error."""
    lines: dict[tuple[str, ...], dict[tuple[str, ...], Source]] = {}
    for source in sources:
        keys, column = texts_of(source, row_fields), texts_of(source, columns)
        other = lines.setdefault(keys, {}).setdefault(column, source)
        if other is not source:
            raise _ambiguous(source, other, (*row_fields, *columns))
    return lines


def _elsewhere(keys: tuple[str, ...], row_fields: Sequence[str]) -> tuple[str, ...]:
    """Return a row's values without its policy."""
    pairs = zip(row_fields, keys, strict=True)
    return tuple(key for name, key in pairs if name != "policy")


def _homes(
    sources: Sequence[Source], row_fields: Sequence[str], columns: Sequence[str]
) -> dict[tuple[str, ...], dict[tuple[str, ...], Source]]:
    """Return the cells at trained sizes by row without policy and by column.

    All policies are the same there, so that rows of other policies show them too.
    """
    homes: dict[tuple[str, ...], dict[tuple[str, ...], Source]] = {}
    if "policy" not in row_fields:
        return homes
    for source in sources:
        if source.fields.get("relative_size") == "1x":
            keys = _elsewhere(texts_of(source, row_fields), row_fields)
            homes.setdefault(keys, {})[texts_of(source, columns)] = source
    return homes


def _at(found: dict[tuple[str, ...], Source], column: tuple[str, ...]) -> Source | None:
    """Return the cell of a column; one without a loaded checkpoint stands in every column."""
    lost = next((source for source in found.values() if not has_cell(source)), None)
    return found.get(column, lost)


def sources_of(name: str, run: Run, index: int = 0) -> list[Source]:
    """Return the cells of a run, which is called `name` where several stand side by side."""
    return [
        Source(cell, stored, {**cell.fields, RUN: name}, index)
        for cell, stored in zip(cells_of(run), run.cells, strict=True)
    ]


def _varying(sources: Sequence[Source], columns: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that tell cells apart and are no labels or columns."""
    names = dict.fromkeys(name for source in sources for name in source.fields)
    implied = {"trained_size", "relative_size", "own_decoder", "publisher", "paradigm", "backbone"}
    if "relative_size" in columns:
        implied.add("size")
    return tuple(
        name
        for name in names
        if name not in {*columns, *implied}
        and not name.startswith(LABEL)
        and len({source.fields.get(name) for source in sources if has_cell(source)}) > 1
    ) or ("checkpoint",)


def _order(
    column: str, row_fields: Sequence[str], labels: Sequence[str], columns: Sequence[Column]
) -> Callable[[PivotRow], Any]:
    """Return a key that sorts rows by a column.

    Raises `UsageError` if there is no such column.
    """
    if column in row_fields:
        index = row_fields.index(column)
        return lambda row: natural(row.keys[index])
    if column in labels:
        index = labels.index(column)
        return lambda row: _badness([row.entries[index]])
    metrics = list(dict.fromkeys(metric for _, metric in columns))
    if column in metrics:
        places = [index for index, (_, metric) in enumerate(columns) if metric == column]
        return lambda row: _badness([row.entries[index] for index in places])
    if column != BEST:
        shown = (*row_fields, *labels, *metrics, BEST)
        raise UsageError(f"The table has no column {column!r}.", hint=nearest(column, shown))
    return lambda row: _badness(row.entries)


def _badness(entries: Sequence[Entry | None]) -> float:
    """Return a key that sorts rows by their first value, best first, those without one last."""
    entry = next((e for e in entries if e is not None and e.value is not None), None)
    if entry is None or entry.value is None:
        return math.inf
    return entry.value if number_named(entry.metric).better == "lower" else -entry.value


def _shared(sources: Sequence[Source], used: set[str]) -> tuple[tuple[str, str], ...]:
    """Return the fields that are the same in all cells and not in the table.

    Networks and images that are left as they are go without saying.
    """
    names = dict.fromkeys(name for source in sources for name in source.fields)
    return tuple(
        (name, next(iter(values)))
        for name in names
        if name not in used
        and len(values := {source.fields.get(name, "") for source in sources}) == 1
        and (name, values) not in _UNSAID
    )


def _ambiguous(one: Source, other: Source, used: Sequence[str]) -> UsageError:
    names = [
        name
        for name in one.fields
        if name not in used and one.fields[name] != other.fields.get(name)
    ]
    if not names:
        return UsageError(
            f"The cell {one.cell.id} comes twice, and no field differs.",
            hint="Name each run once.",
        )
    return UsageError(
        f"{one.cell.id} and {other.cell.id} would fall into one place of the table.",
        hint=f"Add a field that differs to --rows or --columns: {', '.join(names[:_SHOWN])}.",
    )
