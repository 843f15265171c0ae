"""Names and shapes of published files' tensors, one gzipped text file each."""

from __future__ import annotations

from pathlib import Path

KEYS = Path(__file__).parent / "keys"
