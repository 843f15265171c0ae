"""Checkpoint files that words mean, and their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from posebench.errors import CheckpointError, SpecError
from posebench.running.sources import checkpoint_entries, distinct_names


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_names_tell_files_apart(tmp_path: Path) -> None:
    a, b = touch(tmp_path / "a" / "best.pth"), touch(tmp_path / "b" / "best.pth")
    onnx, other = touch(tmp_path / "b" / "best.onnx"), touch(tmp_path / "other.pth")
    assert distinct_names([a]) == ["best"]
    assert distinct_names([a, other]) == ["best", "other"]
    assert distinct_names([a, b, other]) == ["a/best.pth", "b/best.pth", "other"]
    assert distinct_names([b, onnx]) == ["best.pth", "best.onnx"]


def test_a_file_given_twice_is_one_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = touch(tmp_path / "a.pth")
    monkeypatch.chdir(tmp_path)
    entries = checkpoint_entries([str(path), "a.pth", "./a.pth", "heatmap-s"], None)
    assert [entry.file for entry in entries] == [str(path), "heatmap-s"]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no embedded checkpoints"):
        checkpoint_entries([], None)
    with pytest.raises(CheckpointError, match="no file"):
        checkpoint_entries([str(tmp_path / "none.pth")], None)
    with pytest.raises(SpecError, match="no file"):
        checkpoint_entries([str(touch(tmp_path / "a.pth"))], tmp_path / "none.yaml")
