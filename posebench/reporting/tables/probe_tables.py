"""What probes read, as one table for each probe and data set. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text

from posebench.reporting.escaping import for_markdown
from posebench.reporting.text_tables import cell_text, markdown_table, terminal_table
from posebench.reporting.texts import NO_VALUE
from posebench.results.probe_numbers import PROBE_NUMBERS
from posebench.results.probes import ProbeData, ProbeRow, StoredProbe

# Fields that become columns of one number, where a table would be too long.
_SPREAD: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tokens": ("match PCK@0.1", ("points", "shots")),
}


@dataclass(frozen=True)
class ProbeTable:
    """A table of one probe: its headers, its rows of texts, and how many columns are words."""

    title: str
    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int
    remarks: tuple[str, ...] = ()


def probe_tables(probes: Sequence[StoredProbe]) -> Iterator[RenderableType]:
    """Yield tables for the terminal, one for each probe and data set."""
    for table in tables_of(probes):
        rows = [list(map(cell_text, row)) for row in table.rows]
        parts: list[RenderableType] = [Text(table.title, style="bold"), cell_text(table.caption)]
        if rows:
            parts.append(terminal_table(table.headers, rows, words=table.words))
        yield Group(*parts, *map(cell_text, table.remarks), Text())


def markdown_of(probes: Sequence[StoredProbe]) -> str:
    """Return the tables as Markdown, each below a heading."""
    parts = []
    for table in tables_of(probes):
        rows = [[for_markdown(cell) for cell in row] for row in table.rows]
        headers = [for_markdown(header) for header in table.headers]
        lines = [f"## {for_markdown(table.title)}", "", for_markdown(table.caption), ""]
        lines += [*markdown_table(headers, rows, table.words), ""] if rows else []
        lines += [*map(for_markdown, table.remarks), ""] if table.remarks else []
        parts.append("\n".join(lines))
    return "\n".join(parts)


def tables_of(probes: Sequence[StoredProbe]) -> Iterator[ProbeTable]:
    """Yield what probes read, one table for each probe and data set."""
    groups: dict[tuple[str, ProbeData], list[StoredProbe]] = {}
    for probe in probes:
        groups.setdefault((probe.probe, probe.data), []).append(probe)
    for (name, _), group in groups.items():
        spread = _SPREAD.get(name)
        headers, rows, words = _spread_rows(group, *spread) if spread else _plain_rows(group)
        data = group[0].data
        yield ProbeTable(
            f"probe {name}",
            f"{data.dataset}: {data.images} images, {data.people} people"
            + ("" if spread is None else f"; {spread[0]}, {', '.join(spread[1])}"),
            headers,
            rows,
            words,
            tuple(_remarks(group)),
        )


def number_with_interval(row: ProbeRow, name: str) -> str:
    """Show a number of a row with its interval, if it has one."""
    value = row.numbers.get(name)
    if value is None:
        return NO_VALUE
    unit = PROBE_NUMBERS[name].unit
    low, high = row.low.get(name), row.high.get(name)
    ends = "" if low is None or high is None else f" ({unit.text(low)}–{unit.text(high)})"
    return f"{unit.text(value)}{ends}"


def header_of(name: str) -> str:
    """Return a number's name with its unit, if its values need one."""
    word = PROBE_NUMBERS[name].unit.word
    return name if not word or word in name or "σ" in name else f"{name}, {word}"


Rows = tuple[tuple[str, ...], tuple[tuple[str, ...], ...], int]


def _plain_rows(group: Sequence[StoredProbe]) -> Rows:
    read = [row for probe in group for row in probe.rows]
    places = list(dict.fromkeys(name for row in read for name in row.where))
    numbers = list(dict.fromkeys(name for row in read for name in row.numbers))
    rows = [
        (
            probe.checkpoint.name,
            row.arm,
            *(row.where.get(place, NO_VALUE) for place in places),
            *(number_with_interval(row, name) for name in numbers),
        )
        for probe in group
        for row in probe.rows
    ]
    headers = ("checkpoint", "arm", *places, *map(header_of, numbers))
    return headers, tuple(rows), 2 + len(places)


def _spread_rows(group: Sequence[StoredProbe], number: str, fields: tuple[str, ...]) -> Rows:
    read = [row for probe in group for row in probe.rows]
    columns = list(dict.fromkeys(tuple(row.where.get(f, "") for f in fields) for row in read))
    kept = [n for n in dict.fromkeys(n for row in read for n in row.where) if n not in fields]
    cells: dict[tuple[str, ...], dict[tuple[str, ...], str]] = {}
    for probe in group:
        for row in probe.rows:
            key = (
                probe.checkpoint.name,
                row.arm,
                *(row.where.get(name, NO_VALUE) for name in kept),
            )
            column = tuple(row.where.get(field, "") for field in fields)
            cells.setdefault(key, {})[column] = number_with_interval(row, number)
    rows = [(*key, *(own.get(c, NO_VALUE) for c in columns)) for key, own in cells.items()]
    headers = ("checkpoint", "arm", *kept, *(", ".join(column) for column in columns))
    return headers, tuple(rows), 2 + len(kept)


def _remarks(group: Sequence[StoredProbe]) -> Iterator[str]:
    """Yield why probes have no rows, and what is to be said of those that have."""
    said: dict[str, list[str]] = {}
    for probe in group:
        if probe.status != "ok":
            said.setdefault(f"{probe.status}: {probe.reason}", []).append(probe.checkpoint.name)
        for note in probe.notes:
            said.setdefault(note, []).append(probe.checkpoint.name)
    for text, names in said.items():
        yield f"{', '.join(names)}: {text}"
