"""Tables of texts: where columns stand, which of them fit, and what lines look like."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console
from rich.text import Text

from posebench.reporting.grids import Grid, fitted
from posebench.reporting.printing import text_of
from posebench.reporting.text_tables import (
    TextTable,
    columns_that_fit,
    markdown_table,
    terminal_table,
)

ROW = {"name": "a", "first": "1", "second": "22", "third": "333"}


def table_of(names: Sequence[str]) -> TextTable:
    return terminal_table(names, [[ROW[name] for name in names]])


def test_words_stand_at_the_left_and_numbers_at_the_right() -> None:
    table = terminal_table(["id", "AP"], [["heatmap-s", "1"], ["[b]", "100.0"]])
    lines = [line.rstrip() for line in text_of(table).splitlines()]
    assert lines == ["id            AP", "heatmap-s      1", "[b]        100.0"]
    assert markdown_table(["id", "AP"], [["a", "1"]]) == ["| id | AP |", "|---|---:|", "| a | 1 |"]


def test_the_most_dispensable_columns_go_first() -> None:
    dispensable = ("second", "third")
    for width, shown in ((99, [*ROW]), (18, ["name", "first", "third"]), (5, ["name", "first"])):
        fit = columns_that_fit([*ROW], dispensable, width, table_of)
        assert fit == shown
        assert width_of(table_of(fit)) <= width or fit == ["name", "first"]


def test_texts_of_strangers_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in text_of(terminal_table(["a"], [["\x1b[2Jx"]]))


def width_of(table: TextTable) -> int:
    """Return how wide a table would like to be."""
    return Console(width=10_000).measure(table).maximum


def at_width(table: TextTable, width: int) -> list[str]:
    """Return the lines of a table as a terminal of some width shows them."""
    console = Console(width=width, file=io.StringIO())
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 50, 80])
def test_at_any_width_names_and_numbers_stay_whole(width: int) -> None:
    header = ["a checkpoint of yours", *(f"column {i}" for i in range(7))]
    names = ["a_name-without_spaces", "left hip and right hip", "[b]"]
    numbers = [[f"{10 * row + i}.5 [1.0, 2.0]" for i in range(7)] for row in range(3)]
    rows = [[name, *own] for name, own in zip(names, numbers, strict=True)]
    lines = at_width(terminal_table(header, rows), width)
    assert max(map(len, lines)) <= width
    shown = "\n".join(lines)
    assert all(number in shown for own in numbers for number in own)
    assert names[0] in shown and "…" not in shown
    parts = shown.count("more columns of these rows") + 1
    assert shown.count(names[0]) == parts
    assert (parts > 1) == (width_of(terminal_table(header, rows)) > width)


def test_only_names_that_tell_rows_apart_are_repeated() -> None:
    rows = [["one", "torch", "1" * 20, "2" * 20], ["two", "torch", "3" * 20, "4" * 20]]
    lines = at_width(terminal_table(["id", "engine", "a", "b"], rows, words=2), 40)
    assert [line.split() for line in lines[-2:]] == [["one", "2" * 20], ["two", "4" * 20]]


def test_a_grid_lists_its_values_where_most_places_are_empty() -> None:
    def grid(filled: bool) -> Grid:
        values = [
            [Text(f"{r}.{c}") if filled or r == c else None for c in range(4)] for r in range(4)
        ]
        keys = [(f"a-name-{r}", "dark") for r in range(4)]
        return Grid(("id", "decoder"), ("64x48", "96x80", "128x96", "192x144"), keys, values)

    sparse, left_out = fitted(grid(filled=False), 26)
    assert (sparse.table.header, left_out) == (("id", "column", "value"), ["decoder"])
    full, left_out = fitted(grid(filled=True), 26)
    assert full.table.header == ("id", "64x48", "96x80", "128x96", "192x144")
    whole, left_out = fitted(grid(filled=False), 60)
    assert (whole, left_out) == (grid(filled=False), [])


def test_a_long_name_leaves_room_for_its_numbers() -> None:
    end = "256x192-ffd48c05_20230314"
    names = [f"td-hm_ViTPose-{size}-simple_8xb64-210e_coco-{end}" for size in ("huge", "base")]
    texts = {"AP": "78.9", "AP 95%": "76.1–81.7", "AR": "83.9"}

    def table_of(shown: Sequence[str]) -> TextTable:
        return terminal_table(shown, [[texts.get(each, name) for each in shown] for name in names])

    wanted = ["checkpoint", *texts]
    assert columns_that_fit(wanted, ("AP 95%", "AR"), 80, table_of) == wanted
    _, *lines = at_width(table_of(wanted), 80)
    for name, above, below in zip(names, lines[::2], lines[1::2], strict=True):
        start, *numbers = above.split(maxsplit=1)
        assert (start + below, numbers[0].split()) == (name, [*texts.values()])
