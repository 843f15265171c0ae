"""Sizes and ages as people write them."""

from __future__ import annotations

import re

from posebench.errors import UsageError

_SIZE = re.compile(r"([\d.]+)\s*(?:([kmgt]?)(i?)b)?", re.IGNORECASE)
_AGE = re.compile(r"([\d.]+)\s*([hdw])", re.IGNORECASE)
_SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}


def parse_size(text: str) -> int:
    """Return the bytes of `500MB`, `1.5 GB` or `2GiB`.

    Raises `UsageError` if `text` is not a size.
    """
    match = _SIZE.fullmatch(text.strip())
    number = _number(match[1]) if match else None
    if match is None or number is None:
        raise UsageError(f"{text!r} is not a size.", hint="Write it like 500MB, 1.5GB or 2GiB.")
    base = 1024 if match[3] else 1000
    return int(number * base ** " kmgt".index((match[2] or " ").lower()))


def parse_age(text: str) -> float:
    """Return the seconds of `12h`, `30d` or `2w`.

    Raises `UsageError` if `text` is not an age.
    """
    match = _AGE.fullmatch(text.strip())
    number = _number(match[1]) if match else None
    if match is None or number is None:
        raise UsageError(f"{text!r} is not an age.", hint="Write it like 12h, 30d or 2w.")
    return number * _SECONDS[match[2].lower()]


def shown_size(count: int) -> str:
    """Return a number of bytes as people write it, in powers of 1000."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{size:.0f} {unit}" if size >= 99.5 or unit == "B" else f"{size:.1f} {unit}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
