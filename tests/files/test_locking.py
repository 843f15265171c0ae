"""Locks: a lock that another process holds, and file systems without locks."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from posebench.errors import PosebenchError, UsageError
from posebench.files.locking import NoLocksError, taken
from posebench.results.shared.locks import locked


def refuse(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refused(_descriptor: int, _operation: int) -> None:
        raise OSError(code, f"errno {code}")

    monkeypatch.setattr(fcntl, "flock", refused)


def test_one_at_a_time(tmp_path: Path) -> None:
    first = taken(tmp_path / "lock")
    assert first is not None
    with first:
        assert taken(tmp_path / "lock") is None
    again = taken(tmp_path / "lock")
    assert again is not None
    with again:
        pass


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_has_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refuse(monkeypatch, code)
    with pytest.raises(NoLocksError, match="has no locks") as caught, locked(tmp_path):
        pass
    assert "POSEBENCH_LOCKS=off" in str(caught.value.hint)
    monkeypatch.setenv("POSEBENCH_LOCKS", "off")
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("code", [errno.EWOULDBLOCK, errno.EACCES])
def test_what_a_held_lock_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    refuse(monkeypatch, code)
    with pytest.raises(UsageError, match="Another process is running"), locked(tmp_path):
        pass


def test_other_errors_name_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, errno.EIO)
    with pytest.raises(PosebenchError, match="cannot be written"), locked(tmp_path):
        pass
