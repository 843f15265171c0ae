"""Hashes of images' contents, which keep numbers from two renderings apart.

An image is hashed by the bytes of its file; one that posebench rendered is hashed by its pixels,
because versions of OpenCV compress the same pixels differently.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray

from posebench.files.cache import cache_directory, mark_used
from posebench.files.hashing import sha256_of, stamp
from posebench.files.writing import put_when_written, write_text

# Beside rendered images: the SHA-256 of each file and of its pixels, one pair a line.
PIXELS_FILE = "pixels.sha256"
_THREADS = 4
# Bytes; a smaller set is hashed again faster than people notice.
_WORTH_KEEPING = 2**24
# By folder and name: size in bytes, time of the last change in ns, SHA-256 of the bytes.
_Facts = tuple[int, int, str]
# What this process knows, the folder used last at the end, under the lock.
_KNOWN: dict[Path, dict[str, _Facts]] = {}
_LOCK = threading.Lock()
# Files, beyond which folders that were used longest ago are forgotten: some 100 MB.
_MOST_KNOWN = 2**18


def pixels_sha256(image: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of an image (H, W, 3) with its shape."""
    digest = hashlib.sha256(str(image.shape).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


def write_pixel_hashes(folder: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """Write the SHA-256 of rendered files and of their pixels beside them.

    Raises `OSError` if the file cannot be written.
    """
    write_text(folder / PIXELS_FILE, "".join(f"{file} {pixels}\n" for file, pixels in pairs))


def images_sha256(paths: Sequence[Path]) -> str:
    """Return one SHA-256 of the contents of images, in their order; names do not count.

    A file is read once: the hashes of larger sets are kept in the user's cache, and are valid while
    a file's size and modification time stay. An unreadable file is hashed as unreadable, and fails
    where it is needed.
    """
    digest = hashlib.sha256()
    with _LOCK:
        hashes = _file_hashes(paths)
    for each in hashes:
        digest.update(f"{each}\n".encode())
    return digest.hexdigest()


def _file_hashes(paths: Sequence[Path]) -> list[str]:
    parents = [path.parent for path in paths]
    folders = {parent: parent.resolve() for parent in set(parents)}
    pixels = {folder: _pixel_hashes(folder) for folder in folders}
    used = set(folders.values())
    for folder in used:
        _KNOWN[folder] = _KNOWN.pop(folder) if folder in _KNOWN else _read_index(folder)
    facts = [
        _kept_facts(path, _KNOWN[folders[parent]])
        for path, parent in zip(paths, parents, strict=True)
    ]
    unread = [index for index, found in enumerate(facts) if found is None]
    with ThreadPoolExecutor(_THREADS) as threads:
        read = threads.map(_facts, (paths[index] for index in unread))
        for index, found in zip(unread, read, strict=True):
            facts[index] = found
    learnt = dict.fromkeys(used, 0)
    for path, parent, found in zip(paths, parents, facts, strict=True):
        folder = folders[parent]
        if found is not None and _KNOWN[folder].get(path.name) != found:
            _KNOWN[folder][path.name] = found
            learnt[folder] += found[0]
    for folder, size in learnt.items():
        if size >= _WORTH_KEEPING:
            _write_index(folder)
    _forget_beyond(_MOST_KNOWN, used)
    hashes = (("unreadable" if found is None else found[2]) for found in facts)
    return [pixels[parent].get(file, file) for parent, file in zip(parents, hashes, strict=True)]


def _forget_beyond(most: int, used: set[Path]) -> None:
    """Forget folders, those of longest ago first, until so many files are known at most."""
    count = sum(len(known) for known in _KNOWN.values())
    for folder in [each for each in _KNOWN if each not in used]:
        if count <= most:
            return
        count -= len(_KNOWN.pop(folder))


def _kept_facts(path: Path, known: dict[str, _Facts]) -> _Facts | None:
    """Return the facts of a file that are known, None if there are none or it has changed."""
    found = known.get(path.name)
    if found is None:
        return None
    try:
        return found if found[:2] == stamp(path) else None
    except OSError:
        return None


def _facts(path: Path) -> _Facts | None:
    """Read a file and return its facts, None if it cannot be read."""
    try:
        return *stamp(path), sha256_of(path)
    except OSError:
        return None


def _pixel_hashes(folder: Path) -> dict[str, str]:
    """Return the pixel hashes of rendered images, keyed by the hashes of their files."""
    try:
        lines = (folder / PIXELS_FILE).read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = [line.split() for line in lines]
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _index(folder: Path) -> Path:
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return cache_directory() / "image-hashes" / f"{name}.json"


def _read_index(folder: Path) -> dict[str, _Facts]:
    # The cache may be missing, damaged or unusable; every file is then read.
    with contextlib.suppress(OSError, RuntimeError, ValueError, TypeError, AttributeError):
        stored = orjson.loads(_index(folder).read_bytes())
        mark_used(_index(folder))
        return {name: (int(a), int(b), str(c)) for name, (a, b, c) in stored.items()}
    return {}


def _write_index(folder: Path) -> None:
    with contextlib.suppress(OSError, RuntimeError), put_when_written(_index(folder)) as path:
        path.write_bytes(orjson.dumps(_KNOWN[folder]))
