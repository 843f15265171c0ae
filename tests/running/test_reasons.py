"""Why something failed, in one line."""

from __future__ import annotations

import errno

import pytest

from posebench.errors import DataError
from posebench.running.reasons import reason_of


def test_a_users_error_a_fault_of_the_system_and_one_of_ours_are_told_apart() -> None:
    assert reason_of(DataError("No file.", hint="Make one."), "x") == "No file. Make one."
    full = OSError(errno.ENOSPC, "No space left on device")
    assert reason_of(full, "x") == "No space left on device (--debug shows where)"
    full.filename = "a.bin"
    assert reason_of(full, "x") == "a.bin cannot be used: No space left on device"
    assert reason_of(KeyError("k"), "x") == "internal error, KeyError: 'k' (--debug shows where)"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TimeoutError(), "TimeoutError"),
        (ConnectionResetError(), "ConnectionResetError"),
        (BrokenPipeError(), "BrokenPipeError"),
        (OSError(), "OSError"),
        (TimeoutError("timed\nout"), "timed out"),
        (AssertionError(), "internal error, AssertionError"),
    ],
)
def test_an_error_without_words_is_called_by_its_type(error: Exception, said: str) -> None:
    assert reason_of(error, "x") == f"{said} (--debug shows where)"
