"""Read a long JSON list block by block, so that memory holds only what the caller keeps."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import orjson

from posebench.errors import DataError
from posebench.files.json_file import fits_memory, read_json

Row = dict[str, Any]
_SPACE = b" \t\n\r"
# Small enough for a block's numbers to stay in the processor's cache.
_BYTES_AT_ONCE = 1 << 18
# No sound row is longer; without a limit, a file broken in its middle would look like one long row.
_LONGEST_ROW = 1 << 26


def read_rows(path: Path, what: str, take: Callable[[list[Row]], None]) -> None:
    """Pass the objects of a file that holds one JSON list to `take`, in blocks and in order.

    Only a file with a defect is held in memory as a whole. Raises `DataError` as `read_json` does,
    and if the file is not a list of objects; `take` may have received blocks before.
    """
    reader = _Reader(take)
    try:
        with path.open("rb") as stream:
            reader.read(stream)
    except (OSError, ValueError, RecursionError):
        # Parsing the whole file says what is wrong with it, and where.
        if path.is_file() and not fits_memory(path):
            raise DataError(
                f"The {what} {path} is cut off, or is not a JSON list of objects, somewhere after "
                f"its first {reader.taken} entries. (It is too large to look closer.)"
            ) from None
        rows, _ = read_json(path, what)
        _check_rows(path, what, rows)
        take(rows[reader.taken :])


def _check_rows(path: Path, what: str, rows: Any) -> None:
    if not isinstance(rows, list):
        raise DataError(f"The {what} {path} does not hold a list.", hint=_lists_in(rows))
    for index, row in enumerate(rows):
        if type(row) is not dict:
            raise DataError(f"Entry {index} of the {what} {path} is not an object.")


def _lists_in(value: Any) -> str | None:
    """Return a hint at the lists that an object holds in place of being one."""
    fields = (
        [name for name, each in value.items() if type(each) is list]
        if isinstance(value, dict)
        else []
    )
    named = ", ".join(f"`{name[:40]}`" for name in fields[:4])
    return f"Its list may be what stands under {named}: write that alone." if fields else None


class _Reader:
    """The state of reading: the number of rows passed on."""

    def __init__(self, take: Callable[[list[Row]], None]) -> None:
        self.taken = 0
        self._take = take

    def read(self, stream: IO[bytes]) -> None:
        """Read a stream to its end.

        A block should end between two rows. If it ends between two objects inside one row, its
        brackets do not close, and more is read. Raises `ValueError` if the stream is not a list of
        rows.
        """
        text, opening = b"", b""
        while data := stream.read(_BYTES_AT_ONCE):
            text = text + data if text else data.removeprefix(codecs.BOM_UTF8)
            end, start = _last_break(text)
            if end and self._parse(b"".join((opening, memoryview(text)[:end], b"]"))):
                text, opening = text[start:], b"["
            elif len(text) > _LONGEST_ROW:
                raise ValueError("not rows")
        if not self._parse(opening + text):
            raise ValueError("not a list")

    def _parse(self, text: bytes) -> bool:
        """Pass on the rows of a block; tell whether it is valid JSON."""
        try:
            rows = orjson.loads(text)
        except ValueError:
            try:
                rows = json.loads(text)  # accepts NaN, which a row's check can report
            except ValueError:
                return False
        if type(rows) is not list or set(map(type, rows)) - {dict}:
            raise ValueError("not objects")
        self._take(rows)
        self.taken += len(rows)
        return True


def _last_break(text: bytes) -> tuple[int, int]:
    """Return where the last object but one ends and the last one begins, or (0, 0)."""
    start = text.rfind(b"{")
    while start > 0:
        end = text.rfind(b"}", 0, start) + 1
        if text[end:start].strip(_SPACE) == b"," and end:
            return end, start
        start = text.rfind(b"{", 0, start)
    return 0, 0
