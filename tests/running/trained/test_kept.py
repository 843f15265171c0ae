"""Trained checkpoints in the cache and in run directories, with several processes at once."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from posebench.files.hashing import sha256_of
from posebench.running.trained.kept import (
    TrainedRecord,
    find_trained,
    share_trained,
    trained_folder,
    write_record,
)


def whole_folder(folder: Path, key: str) -> Path:
    folder.mkdir(parents=True)
    file = folder / "arm.safetensors"
    file.write_bytes(b"weights")
    record = TrainedRecord(key, "arm", file.name, sha256_of(file), "", {}, {}, {})
    write_record(folder, record)
    return folder


@pytest.fixture(autouse=True)
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    share_trained(whole_folder(tmp_path / "made", "k"), "k")


def test_shards_that_start_together_all_find_what_is_cached(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for index in range(10):
            run = tmp_path / str(index)
            found = list(pool.map(lambda _, run=run: find_trained(run, "arm", "k"), range(8)))
            assert all(each is not None and each.key == "k" for each in found)


def test_what_another_process_copied_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = trained_folder(tmp_path / "run", "arm")
    copy = shutil.copytree

    def copy_late(*arguments: Any, **more: Any) -> object:
        if not target.exists():
            whole_folder(target, "k")
            (target / "of the other").touch()
        return copy(*arguments, **more)

    monkeypatch.setattr(shutil, "copytree", copy_late)
    assert find_trained(tmp_path / "run", "arm", "k") is not None
    assert (target / "of the other").is_file()


def test_a_folder_of_another_training_or_a_damaged_one_is_replaced(tmp_path: Path) -> None:
    own = whole_folder(trained_folder(tmp_path, "arm"), "another")
    assert find_trained(tmp_path, "arm", "k") is not None
    (own / "arm.safetensors").write_bytes(b"damaged")
    assert find_trained(tmp_path, "arm", "k") is not None
    assert (own / "arm.safetensors").read_bytes() == b"weights"
