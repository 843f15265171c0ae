"""Tables of texts, for the terminal and as Markdown, and which columns fit a width.

One rule for widths: words fold between words, names and numbers stay whole, and columns that find
no room go on below. A table may leave its most dispensable columns out before that. A name that
would take more than half of the width, as those of published files do, goes on in a second line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, JustifyMethod
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from posebench.reporting.escaping import one_line

_GAP = 2
_NARROWEST = 6
_SHORT_NAME = 30
_MORE = "more columns of these rows, for which there was no room above:"


@dataclass(frozen=True)
class TextTable:
    """Rows of texts below a header, laid out when they are printed, for the width there is.

    `words` says which columns are words, at the left; the others are numbers, at the right. The
    leading words name a row, and are repeated where columns go on below.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    words: tuple[bool, ...]
    styles: tuple[str | None, ...] = ()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the least and the best width, as rich asks for it."""
        columns = range(len(self.header))
        best = _with_gaps(map(self._whole, columns))
        return Measurement(min(_NARROWEST, best), best)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        """Yield the table, in several parts if it is too wide, as rich asks for it."""
        for number, columns in enumerate(self._parts(options.max_width)):
            if number:
                yield Text(_MORE, style="dim")
            yield self._laid_out(columns, options.max_width)

    def height(self, width: int) -> int:
        """Return in how many lines its rows stand at a width, one for each row and part."""
        return len(self.rows) * len(self._parts(width))

    def needed(self, width: int) -> int:
        """Return how wide the table is if long names fold, as they do at a width."""
        columns = range(len(self.header))
        wholes = [
            min(self._whole(i), _longest_name(width)) if self.words[i] else self._whole(i)
            for i in columns
        ]
        return _with_gaps(wholes)

    def _parts(self, width: int) -> list[list[int]]:
        """Return which columns stand side by side, part by part."""
        names, repeated = self._names()
        others = range(len(names), len(self.header))
        least = [self._least(column, width) for column in range(len(self.header))]
        parts, part = list[list[int]](), names
        for column in others:
            beside = [*part, column]
            needed = _with_gaps(least[each] for each in beside)
            if needed > width and part not in (names, repeated):
                parts.append(part)
                part, beside = repeated, [*repeated, column]
            part = beside
        return [*parts, part]

    def _names(self) -> tuple[list[int], list[int]]:
        """Return the leading words, and those of them that tell rows apart."""
        count = next((i for i, is_word in enumerate(self.words) if not is_word), len(self.words))
        names = list(range(count))
        telling = [i for i in names if not i or len({row[i].plain for row in self.rows}) > 1]
        return names, telling

    def _laid_out(self, columns: Sequence[int], width: int) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column, room in zip(columns, self._widths(columns, width), strict=True):
            side: JustifyMethod = "left" if self.words[column] else "right"
            head = cell_text(self.header[column])
            table.add_column(head, width=room, overflow="fold", justify=side)
        for index, row in enumerate(self.rows):
            style = self.styles[index] if self.styles else None
            table.add_row(*(row[column] for column in columns), style=style)
        return table

    def _widths(self, columns: Sequence[int], width: int) -> list[int]:
        """Return widths that fit: words fold first, then numbers at spaces, then anything."""
        wholes = list(map(self._whole, columns))
        parts = list(map(self._longest_part, columns))
        limits = (
            [self._least(column, width) for column in columns],
            parts,
            [min(_NARROWEST, part) for part in parts],
        )
        for least in limits:
            wholes = _shrunk(wholes, least, width - _GAP * (len(columns) - 1))
        return wholes

    def _texts(self, column: int) -> list[str]:
        return [self.header[column], *(row[column].plain for row in self.rows)]

    def _whole(self, column: int) -> int:
        lines = (line for text in self._texts(column) for line in text.split("\n"))
        return max(Text(line).cell_len for line in lines)

    def _longest_part(self, column: int) -> int:
        """Return the width of the longest part between spaces, at least 1."""
        parts = (part for text in self._texts(column) for part in text.split())
        return max((Text(part).cell_len for part in parts), default=1)

    def _least(self, column: int, width: int) -> int:
        if self.words[column]:
            return min(self._longest_part(column), _longest_name(width))
        return self._whole(column)


def _longest_name(width: int) -> int:
    """Return how many columns of a terminal a name may take before it folds."""
    return max(width // 2, _SHORT_NAME)


def _with_gaps(widths: Iterable[int]) -> int:
    widths = list(widths)
    return sum(widths) + _GAP * (len(widths) - 1)


def _shrunk(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Return widths with a sum of `room` if possible: the widest become narrower first."""
    found = list(widths)
    while sum(found) > room:
        wide = [index for index, width in enumerate(found) if width > least[index]]
        if not wide:
            break
        found[max(wide, key=found.__getitem__)] -= 1
    return found


def terminal_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    words: int | Sequence[str] = 1,
    styles: Sequence[str | None] = (),
) -> TextTable:
    """Return a table; its first `words` columns, or those of these names, are words.

    `styles` are those of the rows.
    """
    named = [words > i if isinstance(words, int) else h in words for i, h in enumerate(header)]
    return TextTable(
        tuple(map(one_line, header)),
        tuple(tuple(map(cell_text, row)) for row in rows),
        tuple(named),
        tuple(styles),
    )


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
    table_of: Callable[[Sequence[str]], TextTable],
) -> list[str]:
    """Return the columns of `wanted` there is room for; the first `dispensable` goes first."""
    shown = [name for name in wanted if name not in dispensable]
    for name in reversed(dispensable):
        wider = [each for each in wanted if each in shown or each == name]
        if table_of(wider).needed(width) <= width:
            shown = wider
    return shown
