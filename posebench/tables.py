"""The table of an evaluation, for the terminal. Reads results only: no torch, no pandas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from posebench.results import CellResult

NO_VALUE = "–"
METRIC_COLUMNS = {
    "coco": ("AP", "AP50", "AP75", "AP(M)", "AP(L)", "AR"),
    "crowdpose": ("AP", "AP50", "AP75", "AP(easy)", "AP(medium)", "AP(hard)", "AR"),
}


@dataclass(frozen=True)
class Column:
    """A header and how a result is shown under it."""

    header: str
    show: Callable[[CellResult], str]
    numeric: bool = False


def points(value: float | None) -> str:
    """Show a fraction 0-1 in points with one decimal."""
    return NO_VALUE if value is None else f"{100 * value:.1f}"


def _scaled(value: float | None, divisor: float, digits: int) -> str:
    return NO_VALUE if value is None else f"{value / divisor:.{digits}f}"


def _metric(name: str) -> Column:
    return Column(name, lambda result: points((result.metrics or {}).get(name)), numeric=True)


def _flip(result: CellResult) -> str:
    return {True: "yes", False: "no", None: NO_VALUE}[result.protocol.flip_test]


def columns(results: Sequence[CellResult]) -> list[Column]:
    """Return the columns that suit the evaluator behind `results`."""
    kind = results[0].protocol.evaluator.split()[0] if results else "coco"
    metrics = METRIC_COLUMNS["crowdpose" if kind == "xtcocotools" else "coco"]
    return [
        Column("checkpoint", lambda r: r.checkpoint.name),
        Column("paradigm", lambda r: r.checkpoint.paradigm or NO_VALUE),
        Column("backbone", lambda r: r.checkpoint.backbone or NO_VALUE),
        Column("params M", lambda r: _scaled(r.checkpoint.parameters, 1e6, 2), numeric=True),
        Column("GFLOPs", lambda r: _scaled(r.gflops, 1, 2), numeric=True),
        Column("size", lambda r: str(r.size or NO_VALUE), numeric=True),
        Column("policy", lambda r: r.policy),
        Column("boxes", lambda r: r.protocol.boxes),
        Column("flip", _flip),
        Column("status", lambda r: r.status),
        *(_metric(name) for name in metrics),
        Column("PCK@0.1", lambda r: points((r.pck or {}).get("0.1")), numeric=True),
        Column("inst/s", lambda r: _scaled(r.instances_per_second, 1, 1), numeric=True),
    ]


def results_table(results: Sequence[CellResult], width: int) -> RenderableType:
    """Return the table of `results`, with a line for every cell that has no numbers.

    Where the table is wider than `width`, columns that say the same in every row move to the
    line above it.
    """
    shown, lifted = columns(results), list[Column]()
    for column in list(shown):
        if Console(width=10_000).measure(_table(results, shown)).maximum <= width:
            break
        liftable = len(results) > 1 and column.header not in ("checkpoint", "size", "AP")
        if liftable and len({column.show(result) for result in results}) == 1:
            shown.remove(column)
            lifted.append(column)
    parts: list[RenderableType] = [Text(_caption(results, lifted)), _table(results, shown)]
    reasons = [
        Text(f"{r.checkpoint.name} {r.size or ''} {r.policy}: {r.status}: {r.reason}")
        for r in results
        if r.reason
    ]
    return Group(*parts, *reasons)


def _caption(results: Sequence[CellResult], lifted: Sequence[Column]) -> str:
    protocol = results[0].protocol
    facts = [
        f"{protocol.dataset}: {protocol.images} images, {protocol.instances} instances",
        *(f"{column.header} {column.show(results[0])}" for column in lifted),
        f"scored by {protocol.evaluator}",
        "AP and PCK in points",
    ]
    return " · ".join(facts)


def _table(results: Sequence[CellResult], shown: Sequence[Column]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in shown:
        table.add_column(
            column.header, justify="right" if column.numeric else "left", overflow="fold"
        )
    for result in results:
        style = None if result.status == "ok" else "dim" if result.status != "failed" else "red"
        table.add_row(*(column.show(result) for column in shown), style=style)
    return table
