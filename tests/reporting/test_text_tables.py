"""Tables of texts: where columns stand, which of them fit, and what lines look like."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from posebench.reporting.printing import text_of
from posebench.reporting.text_tables import (
    columns_that_fit,
    markdown_table,
    terminal_table,
    width_of,
)

ROW = {"name": "a", "first": "1", "second": "22", "third": "333"}


def table_of(names: Sequence[str]) -> Table:
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
