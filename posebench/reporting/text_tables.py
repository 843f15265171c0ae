"""Tables of texts, for the terminal and as Markdown, and which columns fit a width.

One rule for widths: words fold, numbers stay whole, and if that is not enough the most dispensable
columns are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from posebench.reporting.escaping import one_line

_NARROWEST_WORDS = 6


def terminal_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    words: int | Sequence[str] = 1,
    styles: Sequence[str | None] = (),
) -> Table:
    """Return a table; its first `words` columns, or those of these names, are words.

    `styles` are those of the rows.
    """
    lines = [[cell_text(text) for text in row] for row in rows]
    named = header[:words] if isinstance(words, int) else words
    table = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(header):
        if name in named:
            longest = max([len(name), *(line[index].cell_len for line in lines)])
            table.add_column(
                cell_text(name), overflow="fold", min_width=min(longest, _NARROWEST_WORDS)
            )
        else:
            table.add_column(cell_text(name), justify="right", no_wrap=True)
    for index, line in enumerate(lines):
        table.add_row(*line, style=styles[index] if styles else None)
    return table


def cell_text(text: str | Text) -> Text:
    """Return a text for the terminal: a plain string would lose what looks like markup."""
    return text if isinstance(text, Text) else Text(one_line(text))


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1
) -> list[str]:
    """Return the lines of a table of Markdown; the first `words` columns stand at the left.

    Cells are Markdown already: a text from a user or a file goes through `for_markdown` first.
    """
    rule = "|" + "---|" * words + "---:|" * (len(header) - words)
    return [_line(header), rule, *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def columns_that_fit(
    wanted: Sequence[str],
    dispensable: Sequence[str],
    width: int,
    table_of: Callable[[Sequence[str]], Table],
) -> list[str]:
    """Return the columns of `wanted` there is room for; the first `dispensable` goes first."""
    shown = [name for name in wanted if name not in dispensable]
    for name in reversed(dispensable):
        wider = [each for each in wanted if each in shown or each == name]
        if width_of(table_of(wider)) <= width:
            shown = wider
    return shown


def width_of(table: Table) -> int:
    """Return how wide a table would like to be."""
    return Console(width=10_000).measure(table).maximum
