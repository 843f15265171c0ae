"""The parts of the page besides text: tables, and figures with a table of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from posebench.reporting.figures.style import COLOURS, Looks


@dataclass(frozen=True)
class TableCell:
    """One cell: its text, how it looks (`best` and so on, by classes), and markup before it."""

    text: str
    class_: str = ""
    mark: str = ""


@dataclass(frozen=True)
class TableColumn:
    """A header; numbers stand at the right and sort as numbers; `choices` are a filter's."""

    header: str
    numeric: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class DataTable:
    """A table; each row's first cell is its heading."""

    caption: str
    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[TableCell, ...], ...]


@dataclass(frozen=True)
class LegendEntry:
    """What a mark or line means."""

    glyph: Markup
    label: str


@dataclass(frozen=True)
class Panel:
    """One plot of a figure."""

    title: str
    drawing: Markup


@dataclass(frozen=True)
class Figure:
    """Plots with one caption and legend, and their numbers as a table.

    `protocol` says in a line what the numbers were measured on and how.
    """

    id: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    table: DataTable
    legend: tuple[LegendEntry, ...] = field(default=())
    protocol: str = ""


def verdict_class(word: str) -> str:
    """Return the class of what a difference says."""
    return {"better": "up", "worse": "down", "n/c": "apart"}.get(word, "")


def series_class(looks: Looks, name: str) -> str:
    """Return the class of a checkpoint's colour."""
    place = looks.colour_number(name)
    return "other" if place is None else f"series-{place}"


def series_css() -> str:
    """Return the colours of checkpoints: on light and dark pages, in print, and on photographs."""
    numbered = list(enumerate(COLOURS, 1))
    light = " ".join(f"--series-{place}: {colour.light};" for place, colour in numbered)
    dark = " ".join(f"--series-{place}: {colour.dark};" for place, colour in numbered)
    lines = [
        f":root {{ {light} }}",
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}",
        f"@media print {{ :root {{ {light} }} }}",
    ]
    for place, colour in numbered:
        name = f"series-{place}"
        lines += [
            f".pose.{name}, .spot.{name}, .guide.{name} {{ color: {colour.on_photo}; }}",
            f".swatch.{name} {{ background: {colour.on_photo}; }}",
        ]
    return "\n".join([*lines, ""])


def plain_table(
    caption: str, headers: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]
) -> DataTable:
    """Return a table of texts; `headers` are names and whether their column holds numbers."""
    return DataTable(
        caption,
        tuple(TableColumn(name, numeric) for name, numeric in headers),
        tuple(tuple(TableCell(text) for text in row) for row in rows),
    )
