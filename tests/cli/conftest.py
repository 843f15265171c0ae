"""The command line run in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from posebench.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    code: object
    out: str
    err: str


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Outcome]:
    """Return a function that runs `posebench` with its arguments."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def command(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as exited:
            main([str(argument) for argument in arguments])
        return Outcome(exited.value.code, *capsys.readouterr())

    return command
