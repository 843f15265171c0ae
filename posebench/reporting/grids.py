"""Tables of values by fields and columns, and how they are laid out where there is little room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from posebench.reporting.text_tables import TextTable, terminal_table
from posebench.reporting.texts import NO_VALUE

_COLUMN = "column"


@dataclass(frozen=True)
class Grid:
    """The fields and columns of a table, and of each row the texts of both.

    `None` is a place without anything in it.
    """

    fields: tuple[str, ...]
    columns: tuple[str, ...]
    keys: Sequence[tuple[str, ...]]
    values: Sequence[Sequence[Text | None]]

    @property
    def table(self) -> TextTable:
        """The table for the terminal: fields are words, values are numbers."""
        rows = [
            (*keys, *(NO_VALUE if value is None else value for value in own))
            for keys, own in zip(self.keys, self.values, strict=True)
        ]
        return terminal_table((*self.fields, *self.columns), rows, len(self.fields))


def fitted(grid: Grid, width: int) -> tuple[Grid, list[str]]:
    """Return a grid that fits a width, and the fields that were left out of it.

    Fields that tell no rows apart go first. If that is not enough, each value gets a line of its
    own, or, where that takes fewer lines, columns go on below. At last a difference gets a line of
    its own below its value.
    """
    grid, left_out = _without_spare_fields(grid, width)
    if grid.table.needed(width) <= width:
        return grid, left_out
    listed = _listed(grid)
    if listed.table.height(width) < grid.table.height(width):
        grid, dropped = _without_spare_fields(listed, width)
        left_out += dropped
    if grid.table.needed(width) > width:
        values = [[value and _in_two_lines(value) for value in own] for own in grid.values]
        grid = replace(grid, values=values)
    return grid, left_out


def _without_spare_fields(grid: Grid, width: int) -> tuple[Grid, list[str]]:
    """Return a grid without the fields that it has no room for and that tell no rows apart."""
    left_out = list[str]()
    for index in reversed(range(1, len(grid.fields))):
        kept = [keys[:index] + keys[index + 1 :] for keys in grid.keys]
        if grid.fields[index] == _COLUMN or len({*kept}) < len(kept):
            continue
        if grid.table.needed(width) > width:
            left_out.append(grid.fields[index])
            fields = grid.fields[:index] + grid.fields[index + 1 :]
            grid = replace(grid, fields=fields, keys=kept)
    return grid, left_out


def _listed(grid: Grid) -> Grid:
    """Return a grid with a row for each value that is there."""
    if len(grid.columns) < 2:
        return grid
    places = [
        (row, column)
        for row, values in enumerate(grid.values)
        for column, value in enumerate(values)
        if value is not None
    ]
    return Grid(
        (*grid.fields, _COLUMN),
        ("value",),
        [(*grid.keys[row], grid.columns[column]) for row, column in places],
        [[grid.values[row][column]] for row, column in places],
    )


def _in_two_lines(value: Text) -> Text:
    """Return a value with its difference in a line of its own."""
    return Text(value.plain.replace(" (", "\n("), style=value.style)
