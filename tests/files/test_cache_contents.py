"""The cache's contents, and which of them may be removed."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from posebench.errors import DataError, UsageError
from posebench.files.cache import cached_folder, mark_used
from posebench.files.cache_contents import KINDS, Limits, cache_contents, prune

DAY = 86_400
HASH = "0123456789abcdef" * 4


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache with an entry of 1000 bytes of each kind, the least recently used first."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("POSEBENCH_CACHE", str(folder))
    names = (
        "synthetic-v1-opencv4.11.0-standard-val/val/1.png",
        "training-v1-standard-4000/pixels.bin",
        f"predictions/{HASH}.npz",
        f"exports/{HASH}.onnx.sha256",
        "image-hashes/0123456789abcdef.json",
        "zoo/net.pth",
        f"trained/{HASH}/net.safetensors",
        ".training-v1-standard-4000.x1y2/pixels.bin",
    )
    for days, name in enumerate(reversed(names), start=2):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
        top = folder / name.split("/")[0]
        used = path if top.name in ("predictions", "exports", "image-hashes", "zoo") else top
        used = path.parent if top.name == "trained" else used
        os.utime(used, (time.time() - days * DAY,) * 2)
    yield folder


def names(folder: Path) -> set[str]:
    return {entry.kind for entry in cache_contents(folder).entries}


def test_every_kind_is_found_with_size_and_use(cache: Path) -> None:
    contents = cache_contents(cache)
    assert {entry.kind for entry in contents.entries} == set(KINDS)
    assert all(entry.size == 1000 for entry in contents.entries)
    assert contents.size == 8000
    assert contents.foreign == ()
    (oldest,) = contents.of("data-sets")
    assert time.time() - oldest.used == pytest.approx(9 * DAY, abs=60)


def test_the_least_recently_used_goes_first(cache: Path) -> None:
    mark_used(cache / "synthetic-v1-opencv4.11.0-standard-val")
    pruned = prune(cache_contents(cache), Limits(size=6000))
    assert [entry.kind for entry in pruned.removed] == ["training-scenes", "predictions"]
    assert pruned.left == 6000
    assert names(cache) == set(KINDS) - {"training-scenes", "predictions"}


def test_pulled_and_trained_checkpoints_go_only_where_asked_for(cache: Path) -> None:
    prune(cache_contents(cache), Limits(size=0))
    assert names(cache) == {"checkpoints", "trained"}
    assert prune(cache_contents(cache), Limits(size=0)).left == 2000
    prune(cache_contents(cache), Limits(size=0, kinds=("checkpoints",)))
    assert names(cache) == {"trained"}
    prune(cache_contents(cache), Limits(size=0, kinds=("trained",)))
    assert names(cache) == set()
    assert list((cache / "trained").iterdir()) == []


def test_age_and_kind_limit_what_goes(cache: Path) -> None:
    pruned = prune(cache_contents(cache), Limits(age=8.5 * DAY))
    assert [entry.kind for entry in pruned.removed] == ["data-sets"]
    pruned = prune(cache_contents(cache), Limits(size=0, kinds=("predictions",)))
    assert [entry.kind for entry in pruned.removed] == ["predictions"]
    assert pruned.left == 0


def test_a_dry_run_removes_nothing(cache: Path) -> None:
    pruned = prune(cache_contents(cache), Limits(size=0), dry_run=True)
    assert len(pruned.removed) == 6
    assert names(cache) == set(KINDS)


def test_what_a_process_uses_stays(cache: Path) -> None:
    name = "synthetic-v1-opencv4.11.0-crowd-val"
    cached_folder(name, lambda work: (work / "a").write_text("a"))
    pruned = prune(cache_contents(cache), Limits(size=0, kinds=("data-sets",)))
    assert [(entry.path.name, reason) for entry, reason in pruned.kept] == [
        (name, "a running process uses it")
    ]
    assert (cache / name / "a").exists()


def test_with_locks_off_nothing_goes_that_a_process_may_use(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "synthetic-v1-opencv4.11.0-crowd-val"
    cached_folder(name, lambda work: (work / "a").write_text("a"))
    locks = sorted((cache / ".locks").rglob("*.lock"))
    monkeypatch.setenv("POSEBENCH_LOCKS", "off")
    pruned = prune(cache_contents(cache), Limits(size=0, kinds=("data-sets",)))
    reasons = {entry.path.name: reason for entry, reason in pruned.kept}
    assert "Locks are off" in reasons[name]
    assert sorted((cache / ".locks").rglob("*.lock")) == locks


def test_parts_of_a_run_that_may_go_on_stay(cache: Path) -> None:
    part = cache / "predictions" / f"{HASH}.batch8.0-64.part.npz"
    part.write_bytes(b"x")
    limits = Limits(size=0, kinds=("predictions",))
    assert len(prune(cache_contents(cache), limits).kept) == 1
    os.utime(part, (time.time() - 2 * DAY,) * 2)
    assert prune(cache_contents(cache), limits).removed[0].path == part


def test_foreign_files_and_links_are_never_touched(cache: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a").write_text("a")
    (cache / "predictions" / "notes.txt").write_text("mine")
    (cache / "synthetic-people").mkdir()
    (cache / "synthetic-v1-crowd-val").symlink_to(precious)
    (cache / "exports" / f"{HASH[::-1]}.onnx.sha256").symlink_to(precious / "a")
    contents = cache_contents(cache)
    assert {path.name for path in contents.foreign} == {
        "notes.txt",
        "synthetic-people",
        "synthetic-v1-crowd-val",
        f"{HASH[::-1]}.onnx.sha256",
    }
    prune(contents, Limits(size=0, kinds=tuple(KINDS)))
    assert (precious / "a").exists()
    assert all(os.path.lexists(path) for path in contents.foreign)


def test_an_entry_is_removed_whole_or_not_at_all(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        prune(cache_contents(cache), Limits(size=0, kinds=("data-sets",)))
    assert cache_contents(cache).of("data-sets") == ()
    assert len(cache_contents(cache).of("leftovers")) == 2


def test_what_cannot_be_removed_says_why(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refused)
    pruned = prune(cache_contents(cache), Limits(size=0, kinds=("predictions",)))
    assert pruned.kept[0][1] == "it cannot be removed: Permission denied"


def test_folders_that_are_no_cache(tmp_path: Path) -> None:
    assert not cache_contents(tmp_path / "none").exists
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be read: Not a directory"):
        cache_contents(tmp_path / "file")
    (tmp_path / "run" / "predictions").mkdir(parents=True)
    (tmp_path / "run" / "run.yaml").write_text("")
    for folder in (tmp_path / "run", tmp_path / "run" / "predictions"):
        with pytest.raises(UsageError, match="belongs to a run"):
            cache_contents(folder)


def test_a_folder_of_predictions_alone(tmp_path: Path) -> None:
    (tmp_path / f"{HASH}.npz").write_bytes(b"x")
    assert [entry.kind for entry in cache_contents(tmp_path).entries] == ["predictions"]
