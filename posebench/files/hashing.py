"""SHA-256 of files: how results say which bytes they rest on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import posebench

_CHUNK = 2**20
# Keypoint sets are data beside the code.
_SOURCES = (".py", ".json")
# From image and checkpoint file to keypoints. The rooms above choose what is predicted, all of
# which is in the key of a kept prediction; `zoo` finds files and `files` reads them, whose bytes
# have hashes of their own.
PREDICTING_ROOMS = ("datasets", "networks", "checkpoints", "prediction")


def sha256_of(*paths: Path) -> str:
    """Return the SHA-256 of the bytes of files, one after the other, in hex."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
    return digest.hexdigest()


@cache
def code_sha256(package: Path = Path(posebench.__file__).parent) -> str:
    """Return the SHA-256 of the source files that can move a prediction.

    A change of how results are run, scored, stored or shown leaves kept predictions good.
    """
    digest = hashlib.sha256()
    for room in PREDICTING_ROOMS:
        files = (file for file in (package / room).rglob("*") if file.suffix in _SOURCES)
        for file in sorted(files):
            digest.update(f"{file.relative_to(package)}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


def content_key(identity: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain data, whatever the order of its keys."""
    canonical = json.dumps(identity, sort_keys=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
