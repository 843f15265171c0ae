"""The cache of rendered scenes: complete or absent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from posebench.files.cache import cache_directory, cached_folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def fill(folder: Path) -> None:
    (folder / "a.txt").write_text("a")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POSEBENCH_CACHE", "/own")
    assert cache_directory() == Path("/own")
    monkeypatch.delenv("POSEBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_directory() == Path("/xdg/posebench")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_directory() == tmp_path / ".cache" / "posebench"


def test_made_once(cache: Path) -> None:
    folder = cached_folder("scenes", fill)
    assert folder == cache / "scenes"
    (folder / "a.txt").write_text("kept")
    assert (cached_folder("scenes", fill) / "a.txt").read_text() == "kept"


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_half_of_a_folder_never_stays(cache: Path, failure: type[BaseException]) -> None:
    def stopped(folder: Path) -> None:
        fill(folder)
        raise failure

    with pytest.raises(failure):
        cached_folder("scenes", stopped)
    assert list(cache.iterdir()) == []


def test_another_run_may_be_faster(cache: Path) -> None:
    def race(folder: Path) -> None:
        fill(folder)
        other = cache / "scenes"
        other.mkdir()
        (other / "a.txt").write_text("theirs")

    assert (cached_folder("scenes", race) / "a.txt").read_text() == "theirs"
    assert [path.name for path in cache.iterdir()] == ["scenes"]


def test_without_a_cache_a_temporary_folder_lasts_as_long_as_the_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "temporary").mkdir()
    code = """
from pathlib import Path
from posebench.files.cache import cached_folder
folder = cached_folder("scenes", lambda work: (work / "a.txt").write_text("a"))
print(folder, (folder / "a.txt").read_text())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "POSEBENCH_CACHE": str(tmp_path / "file" / "cache"),
            "TMPDIR": str(tmp_path / "temporary"),
        },
    )
    assert done.stdout.startswith(str(tmp_path / "temporary"))
    assert done.stdout.endswith(" a\n")
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_user_without_a_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("POSEBENCH_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert (cached_folder("scenes", fill) / "a.txt").read_text() == "a"
