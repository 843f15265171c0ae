"""The cache of rendered scenes: complete or absent."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from posebench.files.cache import cache_directory, cached_folder, unused


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
    assert [path.name for path in cache.iterdir()] == [".locks"]


def test_another_process_may_fill_the_folder_first(cache: Path) -> None:
    def race(folder: Path) -> None:
        fill(folder)
        other = cache / "scenes"
        other.mkdir()
        (other / "a.txt").write_text("theirs")

    assert (cached_folder("scenes", race) / "a.txt").read_text() == "theirs"
    assert sorted(path.name for path in cache.iterdir()) == [".locks", "scenes"]


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
    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    for variable in ("POSEBENCH_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(RuntimeError, match="home"):
        cache_directory()
    assert (cached_folder("scenes", fill) / "a.txt").read_text() == "a"


SLOW_FILL = """
import sys, time
from pathlib import Path
from posebench.files.cache import cached_folder
def make(work):
    (work / "a.txt").write_text("theirs")
    print("making", flush=True)
    time.sleep(float(sys.argv[1]))
print(cached_folder("scenes", make), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(cache: Path) -> Iterator[Callable[[float], subprocess.Popen[str]]]:
    """Start a process that fills the folder within seconds and runs until it is stopped."""
    started: list[subprocess.Popen[str]] = []

    def start(seconds: float) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW_FILL, str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "making\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_two_processes_wait_for_each_other(
    cache: Path,
    other: Callable[[float], subprocess.Popen[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    other(1.0)
    made: list[Path] = []
    with caplog.at_level(logging.WARNING):
        folder = cached_folder("scenes", made.append)
    assert (folder / "a.txt").read_text() == "theirs"
    assert made == []
    assert "Another process is making" in caplog.text


def test_a_killed_process_leaves_neither_lock_nor_folder(
    cache: Path, other: Callable[[float], subprocess.Popen[str]]
) -> None:
    process = other(60)
    process.kill()
    process.wait()
    assert len(list(cache.glob(".scenes.*"))) == 1
    start = time.monotonic()
    assert (cached_folder("scenes", fill) / "a.txt").read_text() == "a"
    assert time.monotonic() - start < 5
    assert list(cache.glob(".scenes.*")) == []


def test_a_folder_is_in_use_as_long_as_its_process_lasts(
    cache: Path, other: Callable[[float], subprocess.Popen[str]]
) -> None:
    process = other(0)
    assert process.stdout is not None
    process.stdout.readline()
    with unused(cache / "scenes") as free:
        assert not free
    process.kill()
    process.wait()
    with unused(cache / "scenes") as free:
        assert free
    assert list((cache / ".locks" / "scenes").iterdir()) == []


def test_without_locks_the_cache_is_filled_all_the_same(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    assert (cached_folder("scenes", fill) / "a.txt").read_text() == "a"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_that_may_only_be_read_is_read(cache: Path) -> None:
    (cache / "scenes").mkdir(parents=True)
    cache.chmod(0o500)
    try:
        assert cached_folder("scenes", fill) == cache / "scenes"
        assert (cached_folder("others", fill) / "a.txt").read_text() == "a"
    finally:
        cache.chmod(0o700)
