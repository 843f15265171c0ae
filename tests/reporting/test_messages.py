"""What sentences quote gives no commands: to terminals, to runners of workflows."""

from __future__ import annotations

import logging

import pytest

from posebench.reporting.messages import (
    LONGEST_LINE,
    as_line,
    as_lines,
    harmless,
    make_harmless,
    say,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a.pth", "a.pth"),
        ("ü 2×3 –\ttab", "ü 2×3 –\ttab"),
        ("a\n::error::b", r"a\n::error::b"),
        ("\x1b[31mred\x07\r\x9b", r"\x1b[31mred\x07\r\x9b"),
        ("left\u202etfel\u2028", r"left\u202etfel\u2028"),
        ("::error::x", r"\x3a:error::x"),
        (" \t::add-mask::x", " \t\\x3a:add-mask::x"),
        ("##[error]x", r"\x23#[error]x"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert harmless(text) == as_line(text) == shown
    assert harmless(shown) == shown


def test_long_lines_are_cut_in_the_middle() -> None:
    line = as_line(f"begin {'n' * 5000} end")
    assert len(line) < LONGEST_LINE + 40
    assert line.startswith("begin nnn") and line.endswith("nnn end")
    assert f"({5010 - LONGEST_LINE} characters)" in line
    assert as_line("n" * LONGEST_LINE) == "n" * LONGEST_LINE


def test_lines_that_are_meant_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert as_lines("a\n::b\n") == "a\n\\x3a:b\n"
    say("x\x1b\ny")
    say("z", err=True)
    assert capsys.readouterr() == ("x\\x1b\ny\n", "z\n")


def test_log_lines_quote_nothing_raw() -> None:
    record = logging.LogRecord("n", logging.WARNING, "p", 1, "%s is damaged", ("a\n::b",), None)
    assert make_harmless(record)
    assert record.getMessage() == r"a\n::b is damaged"
    try:
        raise ValueError("\x1b[2J")
    except ValueError as error:
        parts = (type(error), error, error.__traceback__)
    record = logging.LogRecord("n", logging.DEBUG, "p", 1, "failed", (), parts)
    make_harmless(record)
    assert "\x1b" not in logging.Formatter().format(record)
