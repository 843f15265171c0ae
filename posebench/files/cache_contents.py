"""The contents of the cache, and removal of the least recently used."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from posebench.errors import DataError, UsageError
from posebench.files.cache import cache_directory, unused
from posebench.files.locking import NoLocksError

_HEX = "[0-9a-f]"
_HASH = f"{_HEX}{{64}}"
_RENDERER = r"v\d+(-opencv[\w.]+)?"
_DAY = 86_400


@dataclass(frozen=True)
class Kind:
    """One kind of entry: where it lies and what its names look like.

    `folder` is "" for the cache itself. `pinned` entries cannot be made again, or take hours, so
    they are removed only on request, by kind. With `locks`, entries are folders that a process
    locks while it uses them.
    """

    folder: str
    pattern: str
    pinned: bool = False
    locks: bool = False


KINDS: dict[str, Kind] = {
    "data-sets": Kind("", rf"synthetic-{_RENDERER}-[a-z]+-[a-z]+", locks=True),
    "training-scenes": Kind("", rf"training-{_RENDERER}-[a-z]+-\d+", locks=True),
    "predictions": Kind("predictions", rf"{_HASH}(\.batch\d+\.\d+-\d+\.part)?\.npz"),
    "exported-graphs": Kind("exports", rf"{_HASH}\.onnx\.sha256"),
    "image-hashes": Kind("image-hashes", rf"{_HEX}{{16}}\.json"),
    "checkpoints": Kind("zoo", r"[^.].*", pinned=True),
    "trained": Kind("trained", _HASH, pinned=True),
    # Files that a killed process left under a temporary name.
    "leftovers": Kind("", rf"\.(synthetic|training)-{_RENDERER}-.+|\.removed-{_HEX}{{32}}"),
}
_OF_FOLDERS = ("data-sets", "training-scenes", "trained", "leftovers")


@dataclass(frozen=True)
class Entry:
    """One file or folder of the cache; `used` is the time of its last use in seconds.

    `problem` says why `size` is incomplete.
    """

    kind: str
    path: Path
    size: int
    used: float
    problem: str | None = None


@dataclass(frozen=True)
class Contents:
    """The entries of a folder; `foreign` lists what posebench did not put there."""

    folder: Path
    entries: tuple[Entry, ...] = ()
    foreign: tuple[Path, ...] = ()
    exists: bool = True

    @property
    def size(self) -> int:
        """Bytes of all entries."""
        return sum(entry.size for entry in self.entries)

    def of(self, kind: str) -> tuple[Entry, ...]:
        """Return the entries of a kind."""
        return tuple(entry for entry in self.entries if entry.kind == kind)


@dataclass(frozen=True)
class Limits:
    """What to remove: the least recently used until `size` bytes are left, or all.

    Only entries of `kinds` (by default all but pinned ones) that were not used for `age` seconds
    are removed. `size` limits the sum over `kinds`, or over the whole cache if no kinds are given.
    """

    size: int | None = None
    age: float = 0.0
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pruned:
    """The entries removed, those that stayed with the reason, and the bytes left and free."""

    removed: tuple[Entry, ...]
    kept: tuple[tuple[Entry, str], ...]
    left: int
    free: int


def users_cache() -> Path:
    """Return the user's cache folder.

    Raises `UsageError` if the user has no home folder.
    """
    try:
        return cache_directory()
    except RuntimeError:
        raise UsageError(
            "There is no cache: the user has no home folder.",
            hint="Name one in the environment variable POSEBENCH_CACHE, or give --folder.",
        ) from None


def cache_contents(folder: Path) -> Contents:
    """List a cache or a folder of predictions, without following links.

    Raises `DataError` if the folder cannot be read, and `UsageError` if it is a run directory.
    """
    if any((place / "run.yaml").exists() for place in (folder, folder.parent)):
        raise UsageError(
            f"{folder} belongs to a run: it holds results, not a cache.",
            hint="Name a cache, or leave --folder out for the user's.",
        )
    if not os.path.lexists(folder):
        return Contents(folder, exists=False)
    entries, foreign = list[Entry](), list[Path]()
    places = {kind.folder for kind in KINDS.values()} - {""}
    for path in _children(folder):
        if path.name in places and path.is_dir() and not path.is_symlink():
            for inner in _children(path):
                _sort(inner, _kind_of(inner.name, path.name), entries, foreign)
        elif path.name != ".locks":
            # A folder of predictions may lie anywhere: `eval --cache` names it.
            kind = _kind_of(path.name, "") or _kind_of(path.name, "predictions")
            _sort(path, kind, entries, foreign)
    return Contents(folder, tuple(entries), tuple(foreign))


def prune(contents: Contents, limits: Limits, *, dry_run: bool = False) -> Pruned:
    """Remove entries by `limits`, each of them whole; entries in use stay."""
    kinds = limits.kinds or tuple(name for name, kind in KINDS.items() if not kind.pinned)
    counted = [e for e in contents.entries if not limits.kinds or e.kind in kinds]
    left, now = sum(entry.size for entry in counted), time.time()
    removed, kept = list[Entry](), list[tuple[Entry, str]]()
    for entry in sorted((e for e in counted if e.kind in kinds), key=lambda e: e.used):
        if limits.size is not None and left <= limits.size:
            break
        if now - entry.used < limits.age:
            continue
        reason = _in_use(entry, now) if dry_run else _remove(entry, now)
        if reason is None:
            removed.append(entry)
            left -= entry.size
        else:
            kept.append((entry, reason))
    return Pruned(tuple(removed), tuple(kept), left, shutil.disk_usage(contents.folder).free)


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"The cache {folder} cannot be read: {error.strerror}.") from None


def _kind_of(name: str, folder: str) -> str | None:
    for kind, facts in KINDS.items():
        if facts.folder == folder and re.fullmatch(facts.pattern, name):
            return kind
    # A file gets its name when complete; a killed process leaves the temporary name.
    temporary = rf"\.{_HEX}{{16}}.*\.(npz|sha256|json)|\.(copied|removed)-{_HEX}{{32}}"
    is_temporary = re.fullmatch(temporary, name)
    return "leftovers" if folder and is_temporary else None


def _sort(path: Path, kind: str | None, entries: list[Entry], foreign: list[Path]) -> None:
    with contextlib.suppress(FileNotFoundError):  # another process may have removed it
        status = path.lstat()
        if kind is not None and stat.S_ISREG(status.st_mode):
            entries.append(Entry(kind, path, status.st_size, status.st_mtime))
        elif kind in _OF_FOLDERS and stat.S_ISDIR(status.st_mode):
            entries.append(Entry(kind, path, *_size(path, status.st_mtime)))
        else:
            foreign.append(path)


def _size(folder: Path, used: float) -> tuple[int, float, str | None]:
    """Return the bytes in a folder, the time of its last use, and why the size is incomplete."""
    total, problem = 0, None
    waiting = [folder]
    while waiting:
        try:
            for path in waiting.pop().iterdir():
                status = path.lstat()
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)
                else:
                    total += status.st_size
        except OSError as error:
            problem = f"not all of it can be read: {error.strerror}"
    return total, used, problem


@contextlib.contextmanager
def _reserved(entry: Entry, now: float) -> Iterator[str | None]:
    """Yield why an entry must stay, or None; nobody can begin to use it meanwhile."""
    recent = now - entry.used < _DAY
    if entry.kind == "leftovers" or entry.path.name.endswith(".part.npz"):
        yield "it is less than a day old, so a run in progress may need it" if recent else None
    elif not KINDS[entry.kind].locks:
        yield None
    else:
        try:
            with unused(entry.path) as free:
                yield None if free else "a running process uses it"
        except NoLocksError as error:
            yield f"it may be in use: {error.message}"


def _in_use(entry: Entry, now: float) -> str | None:
    try:
        with _reserved(entry, now) as reason:
            return reason
    except OSError as error:
        return f"it cannot be removed: {error.strerror}"


def _remove(entry: Entry, now: float) -> str | None:
    """Remove an entry; return None, or the reason why it stays."""
    try:
        with _reserved(entry, now) as reason:
            if reason is None:
                _delete(entry.path)
            return reason
    except OSError as error:
        return f"it cannot be removed: {error.strerror}"


def _delete(path: Path) -> None:
    """Delete a file or a folder; a folder is renamed first, so that nobody sees half of it."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    away = path.with_name(f".removed-{uuid.uuid4().hex}")
    path.rename(away)
    shutil.rmtree(away)
