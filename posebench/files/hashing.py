"""SHA-256 of files: results name the bytes that they were computed from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import posebench

_CHUNK = 2**20
# Keypoint sets and records of data sets are data files beside the code.
_SOURCES = (".py", ".json", ".yaml")
# From files to keypoints: records are read, networks built, transformed and made ready, crops cut.
# What rooms besides these decide (scoring, tables, figures) leaves predictions as they are.
PREDICTING_ROOMS = (
    "files", "datasets", "networks", "checkpoints", "prediction", "lab/transforms", "running",
)  # fmt: skip

# From keypoints to numbers.
SCORING_ROOMS = ("scoring",)


def sha256_of(*paths: Path) -> str:
    """Return the SHA-256, in hex, of the concatenated bytes of files."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
    return digest.hexdigest()


def stamp(path: Path) -> tuple[int, int]:
    """Return what changes with a file's content: its size and the time of its last change."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@cache
def code_sha256(
    package: Path = Path(posebench.__file__).parent, rooms: tuple[str, ...] = PREDICTING_ROOMS
) -> str:
    """Return the SHA-256 of the source files of rooms, by default those that can move a prediction.

    Kept predictions stay valid when scoring, judging or reporting changes.
    """
    digest = hashlib.sha256()
    for room in rooms:
        files = (file for file in (package / room).rglob("*") if file.suffix in _SOURCES)
        for file in sorted(files):
            digest.update(f"{file.relative_to(package)}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def content_key(identity: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain data; the order of keys does not matter."""
    canonical = json.dumps(identity, sort_keys=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
