"""Tables at terminals' widths: whole names, whole numbers, no line that is too wide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from posebench.cli import app
from posebench.cli.examples import EXAMPLES
from posebench.results.store import read_run

RESULTS = Path(__file__).resolve().parents[2] / "results"
COMMANDS = (
    ["table", "ci", "--ci", "--columns", "none", "--metric", "AP,AR,PCK@0.1,median error,inst/s"],
    ["table", "ci", "--baseline", "heatmap-s", "--ci"],
    ["claims", "quickstart"],
    ["table", "probes", "--probes"],
)


def output(arguments: list[str], width: int | None, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("COLUMNS", raising=False)
    if width is not None:
        monkeypatch.setenv("COLUMNS", str(width))
    command, run, *options = arguments
    done = CliRunner().invoke(app, [command, str(RESULTS / run), *options])
    assert done.exit_code == 0, done.output
    return done.output


def numbers_in(text: str) -> set[str]:
    """Return the numbers with a decimal point, with their signs."""
    return set(re.findall(r"[-+]?\d+\.\d+", text))


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_a_terminal_loses_nothing_that_a_pipe_shows(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = output(arguments, None, monkeypatch)
    names = {cell.result.checkpoint.name for cell in read_run(RESULTS / arguments[1]).cells}
    shown = {name for name in names if name in piped}
    for width in (80, 100, 120, 200):
        text = output(arguments, width, monkeypatch)
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width
        assert numbers_in(piped) <= numbers_in(text)
        assert {name for name in names if name in text} == shown
        assert "…" not in text


def test_help_is_whole_at_80_columns() -> None:
    for command in EXAMPLES:
        done = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "80"})
        assert (done.exit_code, "…" in done.output) == (0, False), done.output


def test_reasons_that_cells_share_stand_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = str(RESULTS / "quickstart")
    text = output(["compare", "quickstart", run], None, monkeypatch)
    assert text.count("are fixed by training at 128x96") == 1
    assert text.count("are fixed by training at 64x48") == 1
