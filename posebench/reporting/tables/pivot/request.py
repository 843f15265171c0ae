"""What a pivot table is asked to show. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posebench.errors import UsageError, nearest
from posebench.reporting.tables.pivot.slots import Source


@dataclass(frozen=True)
class PivotRequest:
    """What to show: fields of the rows and columns, metrics, and the row to compare with.

    No `rows` means every field that varies and is in no column, no `metrics` AP, or the main number
    of data that have none. `baseline` is a checkpoint's name, to which differences have intervals
    with `intervals`; `sort` names the column that orders the rows, best first: a column of values
    or of a row field, or `best`, which is the first; a metric's name is its first column. Numbers
    are means over the cells of a place that differ in `mean_over`.
    """

    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ("size",)
    metrics: tuple[str, ...] = ()
    baseline: str | None = None
    sort: str | None = None
    intervals: bool = False
    mean_over: str | None = None


def check_request(sources: Sequence[Source], request: PivotRequest) -> None:
    """Check that a request fits results.

    Raises `UsageError` if a field, metric or baseline is unknown, or if options exclude each other.
    """
    _check_means(request)
    fields = dict.fromkeys(name for source in sources for name in source.fields)
    for name in (*request.rows, *request.columns, *filter(None, [request.mean_over])):
        if name not in fields:
            raise UsageError(f"No result has the field {name!r}.", hint=nearest(name, fields))
    metrics = dict.fromkeys(name for source in sources for name in source.cell.values)
    for name in request.metrics:
        if name not in metrics:
            raise UsageError(f"No result has the metric {name!r}.", hint=nearest(name, metrics))
    names = dict.fromkeys(source.fields["checkpoint"] for source in sources)
    if request.baseline is not None and request.baseline not in names:
        hint = nearest(request.baseline, names)
        raise UsageError(f"No result is of the checkpoint {request.baseline!r}.", hint=hint)


def _check_means(request: PivotRequest) -> None:
    if request.mean_over is None:
        return
    if not request.rows:
        raise UsageError(f"--mean-over {request.mean_over} needs --rows, the fields of a place.")
    if request.mean_over in (*request.rows, *request.columns):
        what = f"--mean-over {request.mean_over} leaves no such field for --rows or --columns."
        raise UsageError(what)
    if request.baseline is not None or request.intervals:
        raise UsageError(
            "--mean-over shows means and standard deviations, no differences or intervals.",
            hint="posebench claims compares arms over seeds and images.",
        )
