"""SHA-256 of files: how results say which bytes they rest on."""

from __future__ import annotations

import hashlib
from pathlib import Path

_CHUNK = 2**20


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hex, read piece by piece."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_CHUNK):
            digest.update(piece)
    return digest.hexdigest()
