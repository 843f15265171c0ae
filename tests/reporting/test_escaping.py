"""Texts of strangers: what each format would run, swallow or end at."""

from __future__ import annotations

import pytest

from posebench.reporting.escaping import (
    for_csv,
    for_github,
    for_html,
    for_latex,
    for_markdown,
    one_line,
)


def test_nothing_moves_the_cursor_or_turns_the_text() -> None:
    assert one_line("a\x1b[2Jb\nc\r\x07\u202ed é") == "a [2Jb c   d é"


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a|b", r"a\|b"),
        ("a\nb", "a b"),
        ("<script>&lt;", "&lt;script>&amp;lt;"),
        (r"C:\d", r"C:\\d"),
        ("*a* `b`", r"\*a\* \`b\`"),
        ("[here](javascript:x)", r"[here]\(javascript:x)"),
        ("49.6 [47.6, 52.6]", "49.6 [47.6, 52.6]"),
    ],
)
def test_markdown(text: str, markdown: str) -> None:
    assert for_markdown(text) == markdown


def test_latex_comments_end_with_their_line() -> None:
    assert for_latex("50 %\n\\input{x}_") == r"50 \% \textbackslash{}input\{x\}\_"


def test_html_attributes_stay_closed() -> None:
    assert for_html("\"><b>'") == "&quot;&gt;&lt;b&gt;&#x27;"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_spreadsheets_run_no_formula(first: str) -> None:
    assert for_csv(f"{first}1+1") == f"'{first}1+1"
    assert for_csv(f"a{first}") == f"a{first}"


def test_workflow_commands_end_where_they_should() -> None:
    assert for_github("50 %\n::error::") == "50 %25%0A::error::"
    assert for_github("a: b, c", as_property=True) == "a%3A b%2C c"
