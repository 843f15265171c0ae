"""How far a run is: results, failures, shards, and what was submitted."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_store import result, run_folder

from posebench.results.shared.ledger import JOBS, JobNote, add_notes, read_notes
from posebench.results.shared.locks import Shard, locked
from posebench.results.shared.status import run_status


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cells = {"a": result("a", 0.3), "b": result("b", None)}
    return run_folder(tmp_path / "run", cells, absent=("c", "d"))


def test_what_is_done_and_left_and_who_runs(folder: Path) -> None:
    with locked(folder, Shard(2, 2)):
        pass
    with locked(folder, Shard(1, 2)):
        status = run_status(folder)
    assert status.done == {"ok": 1, "failed": 1}
    assert (status.left, status.reasons) == (("c", "d"), {"b": "no reason"})
    assert status.shards == {Shard(1, 2): True, Shard(2, 2): False}
    assert status.running is False


def test_the_command_says_so(folder: Path, run: Callable[..., Any]) -> None:
    add_notes(folder / JOBS, [JobNote("job", "local", "999999999")])
    with locked(folder, Shard(1, 2)):
        shown = run("status", folder)
    assert shown.code == 3, shown.err
    lines = shown.out.splitlines()
    assert lines[0] == "2 of 4 results are there: 1 failed, 1 ok"
    assert "failed: b: no reason" in lines and "left: c" in lines and "Shard 1/2: running" in lines
    assert any(line.startswith("task 999999999: ") for line in lines)


def test_a_folder_that_can_only_be_read_has_a_status(
    folder: Path, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with locked(folder, Shard(1, 2)):
        pass

    def read_only(*_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("posebench.results.shared.locks.taken", read_only)
    shown = run("status", folder)
    assert shown.code == 3 and shown.out.startswith("2 of 4 results are there"), shown.err
    assert "Shard 1/2: nobody can tell here whether it runs" in shown.out


def test_a_run_that_is_done_says_what_comes_next(tmp_path: Path, run: Callable[..., Any]) -> None:
    folder = run_folder(tmp_path / "run", {"a": result("a", 0.3)})
    shown = run("status", folder)
    assert shown.code == 0 and f"posebench claims {folder}" in shown.out


def test_the_last_note_of_a_key_counts_and_damage_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_notes(tmp_path, [JobNote("a", "slurm", "1"), JobNote("b", "slurm", "2")])
    add_notes(tmp_path, [JobNote("a", "slurm", "3")])
    assert {note.key: note.id for note in read_notes(tmp_path)} == {"a": "3", "b": "2"}
    (tmp_path / "submitted.json").write_text('[{"key": "a"}]')
    assert read_notes(tmp_path) == ()
    assert "is left out" in caplog.text
