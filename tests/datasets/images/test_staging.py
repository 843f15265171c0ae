"""Copies of images on another disk: made once, made anew when a file changes, by its own clock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from posebench.datasets.images.hashes import images_sha256
from posebench.datasets.images.staging import staged_paths
from posebench.errors import DataError


def quiet(_done: int, _total: int) -> None: ...


@pytest.fixture
def images(people: Path) -> list[Path]:
    return sorted((people / "val").glob("*.png"))


def test_copies_hold_the_same_images(images: list[Path], tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    copies = staged_paths(images, tmp_path, lambda *step: steps.append(step))
    assert len(copies) == len(images) == 4 and steps[-1] == (4, 4)
    assert all(tmp_path in copy.parents for copy in copies)
    assert [copy.read_bytes() for copy in copies] == [path.read_bytes() for path in images]
    # Rendered images are known by their pixels, at either place.
    assert images_sha256(copies) == images_sha256(images)


def test_a_copy_is_made_once_and_anew_when_its_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(b"one")
    os.utime(file, (1e9, 1e9))  # by a file server whose clock is years behind
    (copy,) = staged_paths([file], tmp_path / "stage", quiet)
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copyfile", None)
        assert staged_paths([file], tmp_path / "stage", quiet) == [copy]
    file.write_bytes(b"two")
    os.utime(file, (1e9 + 3600, 1e9 + 3600))
    staged_paths([file], tmp_path / "stage", quiet)
    assert copy.read_bytes() == b"two"


def test_folders_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    files = [tmp_path / name / "val" / "a.jpg" for name in ("x", "y")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text(str(file))
    one, other = staged_paths(files, tmp_path / "stage", quiet)
    assert one != other and one.read_text() == str(files[0])


def test_what_is_not_there_keeps_its_path(tmp_path: Path) -> None:
    missing = tmp_path / "a.jpg"
    assert staged_paths([missing], tmp_path / "stage", quiet) == [missing]


def test_a_disk_that_is_full_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a.jpg").write_bytes(b"x")
    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(DataError, match="stage cannot be written: No space left on device"):
        staged_paths([tmp_path / "a.jpg"], tmp_path / "stage", quiet)
