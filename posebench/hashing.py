"""SHA-256 of files: how results say which bytes they rest on."""

from __future__ import annotations

import hashlib
from pathlib import Path

_CHUNK = 2**20


def sha256_of(*paths: Path) -> str:
    """Return the SHA-256 of the bytes of files, one after the other, in hex."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
    return digest.hexdigest()
