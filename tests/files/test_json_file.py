"""Files larger than memory; test_coco.py tests other defects."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from posebench.errors import DataError
from posebench.files import json_file
from posebench.files.json_file import free_memory, read_json


def test_a_file_that_memory_does_not_hold_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([1.5] * 1000))
    size = path.stat().st_size
    monkeypatch.setattr(json_file, "free_memory", lambda: 5 * size)
    with pytest.raises(DataError, match="GB are free") as caught:
        read_json(path, "annotation file")
    assert "segmentation" in str(caught.value.hint)
    for free in (10 * size, None):
        monkeypatch.setattr(json_file, "free_memory", lambda free=free: free)
        assert len(read_json(path, "annotation file")[0]) == 1000


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_free_memory_is_more_than_nothing() -> None:
    free = free_memory()
    assert free is not None and free > 2**20


@pytest.mark.parametrize("text", ["[1, 2,]", '[{"a": 1},\n]', '{"a": [1], }\n'])
def test_a_comma_too_many_is_not_called_a_truncated_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match="a comma stands before the closing bracket"):
        read_json(path, "results file")


@pytest.mark.parametrize("text", ["[1, 2,", '[{"a": 1}', '{"a": [1]', '{"a": "b'])
def test_a_truncated_file_is_called_so(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match="cut off"):
        read_json(path, "results file")
