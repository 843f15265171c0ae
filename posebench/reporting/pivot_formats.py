"""A pivot table as terminal table, Markdown, LaTeX (booktabs), CSV, HTML and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from html import escape

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from posebench.files.records import mapping_from_record
from posebench.reporting.pivot import Pivot
from posebench.reporting.pivot_slots import PLAIN_METRICS, Entry
from posebench.reporting.texts import NO_VALUE

SCHEMA_VERSION = 1
_TWO_DECIMALS = ("params M", "GFLOPs", "latency ms", "p90 ms", "p99 ms")
_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "–": "--", "−": "$-$", "×": r"$\times$",
})  # fmt: skip


def value_text(entry: Entry | None, with_interval: bool) -> str:
    """Show an entry: points with one decimal, its interval and its difference where it has them."""
    if entry is None:
        return NO_VALUE
    if entry.value is None:
        return entry.status if entry.status != "ok" else NO_VALUE
    if entry.metric in PLAIN_METRICS:
        text = f"{entry.value:.{2 if entry.metric in _TWO_DECIMALS else 1}f}"
        return text if entry.unstable is None else f"{text} (unstable, {entry.unstable})"
    text = f"{100 * entry.value:.1f}"
    if with_interval and entry.low is not None and entry.high is not None:
        text += f" [{100 * entry.low:.1f}, {100 * entry.high:.1f}]"
    if entry.not_comparable:
        text += f" (n/c: {', '.join(entry.not_comparable)})"
    elif entry.difference is not None:
        text += f" ({100 * entry.difference:+.1f})"
    return text


def pivot_table(pivot: Pivot, with_interval: bool) -> RenderableType:
    """Return the table for the terminal, what all rows share and why cells have no value."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in pivot.row_fields:
        table.add_column(Text(name))
    for name in pivot.columns:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for row in pivot.rows:
        values = [
            Text(value_text(entry, with_interval), style="bold" if _best(entry) else "")
            for entry in row.entries
        ]
        table.add_row(*map(Text, row.keys), *values)
    return Group(table, *(Text(line) for line in _notes(pivot)))


def pivot_markdown(pivot: Pivot, with_interval: bool) -> str:
    """Return a Markdown table and its notes."""
    lines = [
        f"| {' | '.join((*pivot.row_fields, *pivot.columns))} |",
        "|" + "---|" * len(pivot.row_fields) + "---:|" * len(pivot.columns),
    ]
    for row in pivot.rows:
        values = [_wrapped(entry, with_interval, "**{}**") for entry in row.entries]
        cells = [text.replace("|", "\\|").replace("<", "&lt;") for text in (*row.keys, *values)]
        lines.append(f"| {' | '.join(cells)} |")
    notes = [note.replace("<", "&lt;") for note in _notes(pivot)]
    return "\n".join((*lines, "", *notes)).rstrip() + "\n"


def pivot_latex(pivot: Pivot, with_interval: bool) -> str:
    """Return a LaTeX tabular with the rules of booktabs."""
    headers = [name.translate(_LATEX) for name in (*pivot.row_fields, *pivot.columns)]
    lines = [
        rf"\begin{{tabular}}{{{'l' * len(pivot.row_fields)}{'r' * len(pivot.columns)}}}",
        r"\toprule",
        " & ".join(headers) + r" \\",
        r"\midrule",
    ]
    for row in pivot.rows:
        values = [
            rf"\textbf{{{text}}}" if _best(entry) else text
            for entry in row.entries
            for text in [value_text(entry, with_interval).translate(_LATEX)]
        ]
        lines.append(" & ".join((*(key.translate(_LATEX) for key in row.keys), *values)) + r" \\")
    notes = [f"% {note}" for note in _notes(pivot)]
    return "\n".join((*lines, r"\bottomrule", r"\end{tabular}", *notes)) + "\n"


def pivot_csv(pivot: Pivot, with_interval: bool) -> str:
    """Return CSV with fractions at full precision; intervals as columns of their own."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    parts = ("", " low", " high") if with_interval else ("",)
    writer.writerow([*pivot.row_fields, *(name + part for name in pivot.columns for part in parts)])
    for row in pivot.rows:
        numbers = [
            "" if value is None else repr(value)
            for entry in row.entries
            for value in _numbers(entry)[: len(parts)]
        ]
        writer.writerow([*row.keys, *numbers])
    return stream.getvalue()


def pivot_html(pivot: Pivot, with_interval: bool) -> str:
    """Return an HTML table without style."""
    head = "".join(f'<th scope="col">{escape(n)}</th>' for n in (*pivot.row_fields, *pivot.columns))
    lines = ["<table>", f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for row in pivot.rows:
        keys = "".join(f'<th scope="row">{escape(key)}</th>' for key in row.keys)
        values = "".join(
            f"<td>{f'<strong>{text}</strong>' if _best(entry) else text}</td>"
            for entry in row.entries
            for text in [escape(value_text(entry, with_interval))]
        )
        lines.append(f"<tr>{keys}{values}</tr>")
    notes = [f"<p>{escape(note)}</p>" for note in _notes(pivot)]
    return "\n".join((*lines, "</tbody>", "</table>", *notes)) + "\n"


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


def _wrapped(entry: Entry | None, with_interval: bool, form: str) -> str:
    text = value_text(entry, with_interval)
    return form.format(text) if _best(entry) else text


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
