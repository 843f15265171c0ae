"""A pivot table as terminal table, Markdown, LaTeX (booktabs), CSV, HTML and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from posebench.files.records import mapping_from_record
from posebench.judging.verdicts import LEVEL
from posebench.reporting.escaping import for_csv, for_html, for_latex, for_markdown, one_line
from posebench.reporting.grids import Grid, fitted
from posebench.reporting.tables.pivot.slots import Entry
from posebench.reporting.tables.pivot.table import Pivot
from posebench.reporting.tables.reasons import PLACE
from posebench.reporting.text_tables import cell_text, markdown_table
from posebench.reporting.texts import NO_VALUE, doubted
from posebench.results.numbers import number_named

SCHEMA_VERSION = 1
MARK = "*"


def value_text(entry: Entry | None, with_interval: bool) -> str:
    """Show an entry in its unit, with its interval and its difference if it has them."""
    if entry is None:
        return NO_VALUE
    if entry.value is None:
        return entry.status if entry.status != "ok" else NO_VALUE
    number = number_named(entry.metric)
    unit, text = number.unit, number.unit.text(entry.value)
    if entry.spread is not None and number.kind != "network":
        return f"{text} ± {unit.text(entry.spread)}"
    if number.kind != "score":
        text = doubted(text, entry.unstable)
    elif with_interval and entry.low is not None and entry.high is not None:
        text += f" [{unit.text(entry.low)}, {unit.text(entry.high)}]"
    if entry.not_comparable:
        text += f" (n/c: {', '.join(entry.not_comparable)})"
    elif entry.difference is not None:
        text += f" ({_difference_text(entry, with_interval)})"
    return text


def _difference_text(entry: Entry, with_interval: bool) -> str:
    """Show a difference, with its interval and a mark if it is told apart from none."""
    unit = number_named(entry.metric).unit
    text = NO_VALUE if entry.difference is None else unit.signed(entry.difference)
    low, high = entry.difference_low, entry.difference_high
    if not with_interval or low is None or high is None:
        return text
    return f"{text} [{unit.signed(low)}, {unit.signed(high)}]{MARK if entry.told_apart else ''}"


def pivot_table(pivot: Pivot, with_interval: bool, width: int | None = None) -> RenderableType:
    """Return the table for the terminal, what all rows share and why cells have no value.

    If it is wider than `width`, it is laid out as `fitted` does; a note says what is left out.
    """
    grid = Grid(
        pivot.row_fields,
        pivot.columns,
        [row.keys for row in pivot.rows],
        [
            [None if entry is None else _marked(entry, with_interval) for entry in row.entries]
            for row in pivot.rows
        ],
    )
    grid, left_out = (grid, []) if width is None else fitted(grid, width)
    notes = [*([f"No room for {', '.join(left_out)}."] if left_out else []), *_notes(pivot)]
    return Group(*map(cell_text, pivot.findings), grid.table, *map(cell_text, notes))


def _marked(entry: Entry, with_interval: bool) -> Text:
    return Text(value_text(entry, with_interval), style="bold" if _best(entry) else "")


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
    """Return CSV with fractions at full precision; intervals as columns of their own.

    So are differences, where there are any: a number, or why there is none.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    parts = _CSV_PARTS[: None if _has_differences(pivot) else 3]
    parts = parts if with_interval else parts[::3][:2]
    header = (*pivot.row_fields, *(name + part for name in pivot.columns for part in parts))
    writer.writerow(map(for_csv, header))
    for row in pivot.rows:
        numbers = [
            numbers[part]
            for entry in row.entries
            for numbers in (_numbers(entry),)
            for part in parts
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


_CSV_PARTS = (
    "", " low", " high", " difference", " difference low", " difference high", " p (Holm)"
)  # fmt: skip


def _numbers(entry: Entry | None) -> dict[str, str]:
    """Return what CSV holds of an entry, by `_CSV_PARTS`."""
    if entry is None:
        return dict.fromkeys(_CSV_PARTS, "")
    values = (
        entry.value,
        entry.low,
        entry.high,
        entry.difference,
        entry.difference_low,
        entry.difference_high,
        entry.p_holm,
    )
    texts = ["" if value is None else repr(value) for value in values]
    found = dict(zip(_CSV_PARTS, texts, strict=True))
    if entry.not_comparable:
        found[" difference"] = f"n/c: {', '.join(entry.not_comparable)}"
    return found


def _has_differences(pivot: Pivot) -> bool:
    entries = [entry for row in pivot.rows for entry in row.entries if entry is not None]
    return any(entry.difference is not None or entry.not_comparable for entry in entries)


def _notes(pivot: Pivot) -> list[str]:
    """Return what all rows share, and the reasons of cells without a value."""
    notes = []
    if pivot.shared:
        notes.append("All: " + ", ".join(f"{name} {value}" for name, value in pivot.shared) + ".")
    entries = [entry for row in pivot.rows for entry in row.entries if entry is not None]
    if pivot.mean_over is not None:
        counts = sorted({entry.count for entry in entries if entry.count is not None})
        each = " or ".join(map(str, counts))
        notes.append(f"Mean ± standard deviation over {each} values of {pivot.mean_over}.")
    tested = sum(entry.p_holm is not None and not entry.is_native for entry in entries)
    if tested:
        notes.append(
            f"{MARK} told apart from the baseline: p below {LEVEL} after Holm over {tested} "
            f"difference{'s' * (tested != 1)}, paired over the same images."
        )
    return [*notes, *_reasons(entries)]


def _reasons(entries: Sequence[Entry]) -> list[str]:
    """Return a line for each reason why entries have no value, with the places that share it."""
    places: dict[tuple[str, str], dict[str, None]] = {}
    for entry in entries:
        if entry.value is None and entry.reason:
            found = PLACE.match(entry.reason)
            reason = entry.reason[found.end() :] if found else entry.reason
            shared = places.setdefault((entry.status, reason), {})
            if found:
                shared[f"{found['size']} {found['policy']}"] = None
    return [
        f"{status}: {', '.join(shared)}{': ' if shared else ''}{reason}"
        for (status, reason), shared in places.items()
    ]
