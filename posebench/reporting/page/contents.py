"""The parts of the page besides text: tables, and figures with a table of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from posebench.reporting.figures.style import PARADIGMS


@dataclass(frozen=True)
class TableCell:
    """One cell: its text, and how it looks (`best`, `paradigm` and so on, by class names)."""

    text: str
    class_: str = ""


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
    """Plots with one caption and legend, and their numbers as a table."""

    id: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    table: DataTable
    legend: tuple[LegendEntry, ...] = field(default=())


def paradigm_class(name: str | None) -> str:
    """Return the class of a paradigm's colour."""
    return name if name is not None and name in PARADIGMS else "other"


def paradigm_css() -> str:
    """Return the style of paradigms: on light and dark pages, in print, and on photographs."""
    light = " ".join(f"--{name}: {look.colour};" for name, look in PARADIGMS.items())
    dark = " ".join(f"--{name}: {look.dark};" for name, look in PARADIGMS.items())
    lines = [
        f":root {{ {light} }}",
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}",
        f"@media print {{ :root {{ {light} }} }}",
    ]
    for name, look in PARADIGMS.items():
        lines += [
            f"td.paradigm.{name} {{ color: var(--{name}); font-weight: 600; }}",
            f".pose.{name}, .spot.{name}, .guide.{name} {{ color: {look.on_photo}; }}",
            f".swatch.{name} {{ background: {look.on_photo}; }}",
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
