"""The columns of a pivot table: the values of its column fields, and their numbers. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from posebench.reporting.tables.pivot.request import PivotRequest
from posebench.reporting.tables.pivot.slots import Source, has_cell
from posebench.results.numbers import AP

Column = tuple[tuple[str, ...], str]
"""The values of the column fields, and a number."""


def texts_of(source: Source, names: Sequence[str]) -> tuple[str, ...]:
    """Return what a cell says of some fields, nothing where it lacks one."""
    return tuple(source.fields.get(name, "") for name in names)


def columns_of(sources: Sequence[Source], request: PivotRequest) -> list[Column]:
    """Return (values of the column fields, metric) of each column; sizes come smallest first."""
    values = dict.fromkeys(
        texts_of(source, request.columns)
        for source in sources
        if has_cell(source) or not request.columns
    )
    ordered = sorted(values, key=_by_size) if request.columns == ("size",) else list(values)
    return [(value, metric) for value in ordered for metric in request.metrics]


def measured(
    columns: Sequence[Column], sources: Sequence[Source], request: PivotRequest
) -> list[Column]:
    """Return the columns whose number some cell has; where data have other numbers, none is of all.

    Where no cell has any, there is one column of the first number.
    """
    known = {
        (texts_of(source, request.columns), metric)
        for source in sources
        for metric in request.metrics
        if source.cell.values.get(metric) is not None
    }
    has_any = {value for value, _ in known}
    return [
        (value, metric)
        for value, metric in columns
        if (value, metric) in known or (value not in has_any and metric == request.metrics[0])
    ]


def _by_size(value: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(int(side) for side in value[0].split("x"))


def are_named(asked: PivotRequest, metrics: Sequence[str]) -> bool:
    """Tell whether columns say their number: of several, without fields, or if nobody asked for it.

    AP goes without saying.
    """
    return len(metrics) > 1 or not asked.columns or not (asked.metrics or metrics == (AP,))
