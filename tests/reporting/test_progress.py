"""Progress bars: on a terminal only, with rate and time left."""

from __future__ import annotations

import io
import sys

import pytest

from posebench.reporting.progress import progress_bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_but_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bars("instances") as report:
        report("net", 1, 2)
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_for_each_label(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress_bars("instances") as report:
        for done in range(1, 4):
            report("net[best]", done, 3)
            report("other", done, 3)
    shown = stream.getvalue()
    assert "net[best]" in shown and "other" in shown
    assert "3/3" in shown
    assert "instances/s" in shown


def test_steps_share_a_bar_or_have_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [("one: latency", 0, 2), ("one: batch size 8", 1, 2), ("measuring", 2, 2)]
    shown = {}
    for name, stream in {"terminal": Terminal(), "file": io.StringIO()}.items():
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        with progress_bars("steps", lines=True) as report:
            for step in steps:
                report(*step)
        shown[name] = stream.getvalue()
    expected = "0 of 2: one: latency\n1 of 2: one: batch size 8\n2 of 2: measuring\n"
    assert shown["file"] == expected
    assert "measuring" in shown["terminal"] and "2/2" in shown["terminal"]
    assert shown["terminal"].splitlines()[-1].count("latency") == 0
