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


def sha256_of(*paths: Path) -> str:
    """Return the SHA-256 of the bytes of files, one after the other, in hex."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
    return digest.hexdigest()


@cache
def code_sha256() -> str:
    """Return the SHA-256 of this package's source files."""
    digest = hashlib.sha256()
    for file in sorted(Path(posebench.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def content_key(identity: Mapping[str, Any]) -> str:
    """Return the SHA-256 of plain data, whatever the order of its keys."""
    canonical = json.dumps(identity, sort_keys=True, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
