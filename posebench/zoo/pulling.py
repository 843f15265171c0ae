"""Published files on this machine: where they lie, how they are fetched and checked by hash.

OpenMMLab puts the first 8 digits of a file's SHA-256 into its name (MMPose's
`tools/misc/publish_model.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from posebench.errors import ZooError
from posebench.files.cache import cache_directory
from posebench.files.hashing import sha256_of
from posebench.files.locking import taken
from posebench.files.writing import write_text
from posebench.zoo.published import Match, PublishedCheckpoint, facts_for
from posebench.zoo.transfer import Progress, download, partial_path, unwritable

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pulled:
    """A published file on this machine.

    `checked` tells whether a published hash confirmed it, `fetched` whether bytes were transferred.
    """

    path: Path
    sha256: str
    checked: bool
    fetched: bool


@dataclass(frozen=True)
class Verdict:
    """Whether a file is a published one, and why, in a sentence."""

    published: bool
    sha256: str
    match: Match | None
    reason: str


def pulled_folder() -> Path:
    """Return the default folder for pulled files."""
    return cache_directory() / "zoo"


def pulled_path(entry: PublishedCheckpoint, folder: Path | None = None) -> Path:
    """Return the path at which an entry's file belongs; the file need not exist."""
    return (folder or pulled_folder()) / entry.file_name


def pull(entry: PublishedCheckpoint, folder: Path | None, progress: Progress) -> Pulled:
    """Fetch an entry's file, check its hash, and write the whole SHA-256 beside it.

    An existing file is only checked. Raises `ZooError` if nothing can be fetched, the transfer
    fails, or the bytes are not the published ones.
    """
    target = pulled_path(entry, folder)
    if target.is_file():
        return _there(entry, target)
    if not entry.urls:
        raise ZooError(f"{entry.id} cannot be fetched by a program.", hint=by_hand(entry, target))
    with _alone(target):
        if target.is_file():  # another process fetched it meanwhile
            return _there(entry, target)
        download(entry.urls[0], target, progress)
        return _checked(entry, target)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Wait until this process alone may fetch to `target`."""
    path = target.with_name(f".{target.name}.lock")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = taken(path)
        if lock is None:
            _log.warning("Another process is fetching %s: waiting for it.", target)
            lock = taken(path, -1)
    except OSError as error:
        raise unwritable(error, target) from None
    with lock or nullcontext():
        yield


def _there(entry: PublishedCheckpoint, target: Path) -> Pulled:
    """Check a file that exists already."""
    sha256 = sha256_of(target)
    if not sha256.startswith(entry.sha256_prefix or ""):
        raise ZooError(
            f"{target} exists, but is not the published file: its SHA-256 begins with "
            f"{sha256[:8]}, not {entry.sha256_prefix}.",
            hint="Move it away or delete it, then run again.",
        )
    return Pulled(target, sha256, entry.sha256_prefix is not None, fetched=False)


def _checked(entry: PublishedCheckpoint, target: Path) -> Pulled:
    """Give a finished transfer its final name if its hash is right; delete it if not."""
    partial = partial_path(target)
    sha256 = sha256_of(partial)
    if not sha256.startswith(entry.sha256_prefix or ""):
        partial.unlink()
        raise ZooError(
            f"What came from {entry.urls[0]} is not the published file: its SHA-256 begins with "
            f"{sha256[:8]}, not {entry.sha256_prefix}. It was deleted.",
            hint="Run the command again. Where that does not help, a proxy in between or the "
            "publisher changes the file.",
        )
    record = target.with_name(f"{target.name}.sha256")
    try:
        partial.replace(target)
        record.unlink(missing_ok=True)  # a link there must not be followed
        write_text(record, f"{sha256}  {target.name}\n")
    except OSError as error:
        raise unwritable(error, target) from None
    return Pulled(target, sha256, entry.sha256_prefix is not None, fetched=True)


def by_hand(entry: PublishedCheckpoint, target: Path) -> str:
    """Say where a person gets an entry's file, and where to put it."""
    if entry.urls:
        return f"Get {entry.urls[0]} and put it at {target}"
    if entry.page is None:
        return "No file of it is published."
    named = f"{entry.published_name} " if entry.published_name else "its file "
    return f"Get {named}from {entry.page} by hand and put it at {target}"


def verify(path: Path) -> Verdict:
    """Tell whether a file is a published one, by its hash alone."""
    if not path.is_file():
        raise ZooError(f"There is no file {path}.")
    sha256 = sha256_of(path)
    match = facts_for(path, sha256)
    if match is None:
        return Verdict(False, sha256, None, "No published checkpoint has its hash or its name.")
    entry = match.entry
    if match.by == "hash":
        return Verdict(True, sha256, match, f"It is the published file of {entry.id}.")
    if entry.sha256_prefix is None:
        reason = f"It has the name of {entry.id}, but no hash is published to check it by."
    else:
        reason = (
            f"It has the name of {entry.id} but not its hash ({entry.sha256_prefix}): it is "
            "damaged, cut off or was saved again."
        )
    return Verdict(False, sha256, match, reason)
