"""A pivot table as terminal table, Markdown, LaTeX (booktabs), CSV, HTML and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from posebench.files.records import mapping_from_record
from posebench.reporting.escaping import for_csv, for_html, for_latex, for_markdown, one_line
from posebench.reporting.tables.pivot import Pivot
from posebench.reporting.tables.pivot_slots import Entry
from posebench.reporting.text_tables import cell_text, markdown_table, terminal_table
from posebench.reporting.texts import NO_VALUE, doubted
from posebench.results.numbers import number_named

SCHEMA_VERSION = 1


def value_text(entry: Entry | None, with_interval: bool) -> str:
    """Show an entry in its unit, with its interval and its difference if it has them."""
    if entry is None:
        return NO_VALUE
    if entry.value is None:
        return entry.status if entry.status != "ok" else NO_VALUE
    number = number_named(entry.metric)
    unit, text = number.unit, number.unit.text(entry.value)
    if number.kind != "score":
        return doubted(text, entry.unstable)
    if with_interval and entry.low is not None and entry.high is not None:
        text += f" [{unit.text(entry.low)}, {unit.text(entry.high)}]"
    if entry.not_comparable:
        text += f" (n/c: {', '.join(entry.not_comparable)})"
    elif entry.difference is not None:
        text += f" ({unit.signed(entry.difference)})"
    return text


def pivot_table(pivot: Pivot, with_interval: bool) -> RenderableType:
    """Return the table for the terminal, what all rows share and why cells have no value."""
    rows: list[list[str | Text]] = [
        [
            *row.keys,
            *(
                Text(value_text(entry, with_interval), style="bold" if _best(entry) else "")
                for entry in row.entries
            ),
        ]
        for row in pivot.rows
    ]
    table = terminal_table((*pivot.row_fields, *pivot.columns), rows, len(pivot.row_fields))
    return Group(*map(cell_text, pivot.findings), table, *map(cell_text, _notes(pivot)))


def pivot_markdown(pivot: Pivot, with_interval: bool) -> str:
    """Return a Markdown table and its notes."""
    rows = [
        [
            *map(for_markdown, row.keys),
            *(_wrapped(for_markdown, "**{}**", entry, with_interval) for entry in row.entries),
        ]
        for row in pivot.rows
    ]
    header = [for_markdown(name) for name in (*pivot.row_fields, *pivot.columns)]
    found = [f"- {for_markdown(line)}" for line in pivot.findings]
    lines = markdown_table(header, rows, len(pivot.row_fields))
    notes = [for_markdown(note) for note in _notes(pivot)]
    above = [*found, ""] if found else []
    return "\n".join((*above, *lines, "", *notes)).rstrip() + "\n"


def pivot_latex(pivot: Pivot, with_interval: bool) -> str:
    """Return a LaTeX tabular with the rules of booktabs."""
    headers = [for_latex(name) for name in (*pivot.row_fields, *pivot.columns)]
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(pivot.row_fields)}{'r' * len(pivot.columns)}}}",
        r"\toprule",
        " & ".join(headers) + r" \\",
        r"\midrule",
    ]
    for row in pivot.rows:
        values = [
            _wrapped(for_latex, r"\textbf{{{}}}", entry, with_interval) for entry in row.entries
        ]
        lines.append(" & ".join((*map(for_latex, row.keys), *values)) + r" \\")
    found = [f"% {one_line(line)}" for line in pivot.findings]
    notes = [f"% {one_line(note)}" for note in _notes(pivot)]
    return "\n".join((*found, *lines, r"\bottomrule", r"\end{tabular}", *notes)) + "\n"


def pivot_csv(pivot: Pivot, with_interval: bool) -> str:
    """Return CSV with fractions at full precision; intervals as columns of their own."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    parts = ("", " low", " high") if with_interval else ("",)
    header = (*pivot.row_fields, *(name + part for name in pivot.columns for part in parts))
    writer.writerow(map(for_csv, header))
    for row in pivot.rows:
        numbers = [
            "" if value is None else repr(value)
            for entry in row.entries
            for value in _numbers(entry)[: len(parts)]
        ]
        writer.writerow([*map(for_csv, row.keys), *numbers])
    return stream.getvalue()


def pivot_html(pivot: Pivot, with_interval: bool) -> str:
    """Return an HTML table without style."""
    head = "".join(
        f'<th scope="col">{for_html(n)}</th>' for n in (*pivot.row_fields, *pivot.columns)
    )
    lines = ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for row in pivot.rows:
        keys = "".join(f'<th scope="row">{for_html(key)}</th>' for key in row.keys)
        texts = [
            _wrapped(for_html, "<strong>{}</strong>", entry, with_interval) for entry in row.entries
        ]
        values = "".join(f"<td>{text}</td>" for text in texts)
        lines.append(f"<tr>{keys}{values}</tr>")
    found = [f"<p>{for_html(line)}</p>" for line in pivot.findings]
    notes = [f"<p>{for_html(note)}</p>" for note in _notes(pivot)]
    return "\n".join((*found, *lines, "</tbody>", "</table>", *notes)) + "\n"


def pivot_json(pivot: Pivot, with_interval: bool) -> str:
    """Return JSON with fractions at full precision; intervals are always in it."""
    del with_interval
    document = {"schema_version": SCHEMA_VERSION, **mapping_from_record(pivot)}
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


TEXT_FORMATS: dict[str, Callable[[Pivot, bool], str]] = {
    "md": pivot_markdown,
    "latex": pivot_latex,
    "csv": pivot_csv,
    "html": pivot_html,
    "json": pivot_json,
}


def _best(entry: Entry | None) -> bool:
    return entry is not None and entry.best


def _wrapped(
    escaped: Callable[[str], str], best: str, entry: Entry | None, with_interval: bool
) -> str:
    """Return an escaped entry, in the form `best` if it is the best."""
    text = escaped(value_text(entry, with_interval))
    return best.format(text) if _best(entry) else text


def _numbers(entry: Entry | None) -> Sequence[float | None]:
    return (None,) * 3 if entry is None else (entry.value, entry.low, entry.high)


def _notes(pivot: Pivot) -> list[str]:
    """Return what all rows share, and the reasons of cells without a value."""
    notes = []
    if pivot.shared:
        notes.append("All: " + ", ".join(f"{name} {value}" for name, value in pivot.shared) + ".")
    reasons = dict.fromkeys(
        f"{entry.status}: {entry.reason}"
        for row in pivot.rows
        for entry in row.entries
        if entry is not None and entry.value is None and entry.reason
    )
    return [*notes, *reasons]
