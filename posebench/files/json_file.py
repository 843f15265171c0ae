"""Read JSON files of annotations, boxes and results, with errors that say what is wrong."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import json
from pathlib import Path
from typing import Any

import orjson

from posebench.errors import DataError
from posebench.files.inputs import not_a_file

# A file cut off inside a literal or number fails at that token's start: at most this many
# characters before the end.
_LONGEST_CUT_TOKEN = 5
# Bytes of memory per byte of file while annotations are parsed, at most (5 afterwards), measured on
# 156 MB.
_MEMORY_PER_BYTE = 9.2


def read_json(path: Path, what: str) -> tuple[Any, str]:
    """Return the parsed value of `path` and the sha256 of its bytes.

    `what` names the file's role in errors ("annotation file"). Raises `DataError` if the file is
    missing, empty, cut off, malformed, or larger than memory allows. If parsing fails at the very
    end of the text, the file is reported as cut off.
    """
    try:
        other = not_a_file(path)
        if other is not None:
            raise DataError(f"The {what} {path} is {other}, not a file.")
        if not fits_memory(path):
            raise _too_large(path, what)
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"There is no {what} {path}.") from None
    except OSError as error:
        raise DataError(f"The {what} {path} cannot be read: {error.strerror}.") from None
    if not data.strip():
        raise DataError(f"The {what} {path} is empty.", hint="Get the file again.")
    digest = hashlib.sha256(data).hexdigest()
    with contextlib.suppress(ValueError):
        return orjson.loads(data.removeprefix(codecs.BOM_UTF8)), digest
    # The standard library is slower, but accepts NaN and says where a file is broken.
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"The {what} {path} is not JSON text (byte {error.start} is not UTF-8).",
            hint="Is it an archive or a binary file? Unpack it, or name the .json file.",
        ) from None
    try:
        return json.loads(text), digest
    except json.JSONDecodeError as error:
        raise _decode_error(path, what, text, error) from None
    except RecursionError:
        raise DataError(f"The {what} {path} is nested too deeply.") from None


def is_strict(value: Any) -> bool:
    """Tell whether a parsed value is free of NaN and infinities, which JSON lacks."""
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def fits_memory(path: Path) -> bool:
    """Tell whether memory suffices for the parsed value of a file; True if that is unknown."""
    free = free_memory()
    return free is None or path.stat().st_size * _MEMORY_PER_BYTE <= free


def free_memory() -> int | None:
    """Return the bytes of memory available without swapping, or None if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found = next(line for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    return 1024 * int(found.split()[1])


def _too_large(path: Path, what: str) -> DataError:
    size, free = path.stat().st_size / 1e9, (free_memory() or 0) / 1e9
    return DataError(
        f"The {what} {path} has {size:.1f} GB; to read it takes about "
        f"{size * _MEMORY_PER_BYTE:.0f} GB of memory, and {free:.0f} GB are free.",
        hint="Leave out what no keypoint needs, such as `segmentation`, or split it by images.",
    )


def _decode_error(path: Path, what: str, text: str, error: json.JSONDecodeError) -> DataError:
    """Tell a file that was cut off from one that is malformed."""
    position = len(text[: error.pos].encode())
    # Parsers point at the comma or at the bracket.
    if text[error.pos :].lstrip(", \t\r\n")[:1] in ("]", "}") and (
        text[: error.pos + 1].rstrip("]} \t\r\n").endswith(",")
    ):
        return DataError(
            f"The {what} {path} is not valid JSON: a comma stands before the closing bracket near "
            f"byte {position} (line {error.lineno}, column {error.colno}).",
            hint="Remove that comma.",
        )
    left = len(text.rstrip()) - error.pos
    if error.msg.startswith("Unterminated string") or left <= _LONGEST_CUT_TOKEN:
        return DataError(
            f"The {what} {path} is cut off: it ends after {len(text.encode())} bytes in the "
            f"middle of its JSON (near byte {position}, line {error.lineno}).",
            hint="It is truncated, as after a broken download. Get the file again.",
        )
    lines = error.msg == "Extra data" and error.lineno > 1 and error.colno == 1
    return DataError(
        f"The {what} {path} is not valid JSON: {error.msg} at byte {position} "
        f"(line {error.lineno}, column {error.colno}).",
        hint="It looks like JSON Lines: write its values as one list." if lines else None,
    )
