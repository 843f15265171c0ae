"""Read a long JSON list block by block, so that memory is bounded by what is kept of it."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from posebench.datasets.json_file import read_json
from posebench.errors import DataError

Row = dict[str, Any]
_BYTES_AT_ONCE = 1 << 22
# No sound row is longer; a file broken in its middle must not be taken for one long row.
_LONGEST_ROW = 1 << 26
_SIGN = re.compile(r"[ \t\n\r]*([\[,\]])[ \t\n\r]*")
_scan = json.JSONDecoder().raw_decode


def read_rows(path: Path, what: str, take: Callable[[list[Row]], None]) -> str:
    """Hand the objects of a file that holds one JSON list to `take`, in blocks and in order.

    Returns the sha256 of the file. Raises `DataError` as `read_json` does, and for a file
    that is not a list of objects; `take` may have had blocks before.
    """
    sha256 = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    text, opened, closed = "", False, False
    try:
        with path.open("rb") as stream:
            while data := stream.read(_BYTES_AT_ONCE):
                sha256.update(data)
                text += decoder.decode(data)
                rows, text, closed = _whole_rows(text, opened, closed)
                opened = opened or bool(rows)
                if len(text) > _LONGEST_ROW:
                    break
                take(rows)
            decoder.decode(b"", final=True)
    except (OSError, ValueError, RecursionError):
        closed = False
    if not closed or text.strip():
        raise _misfit(path, what)
    return sha256.hexdigest()


def _whole_rows(text: str, opened: bool, closed: bool) -> tuple[list[Row], str, bool]:
    """Return the rows that stand complete in `text`, what follows them, and whether `]` came.

    Stops where the text does not go on as a list: it may be cut off there, or broken.
    """
    rows: list[Row] = []
    position = 0
    while not closed and (mark := _SIGN.match(text, position)):
        start = mark.end()
        if mark[1] == "]" and opened:
            return rows, text[start:], True
        if (mark[1] == "[") == opened:
            break
        if mark[1] == "[" and text.startswith("]", start):
            return rows, text[start + 1 :], True
        try:
            row, position = _scan(text, start)
        except json.JSONDecodeError:
            break
        if type(row) is not dict:
            raise ValueError("not an object")
        rows.append(row)
        opened = True
    return rows, text[position:], closed


def _misfit(path: Path, what: str) -> DataError:
    """Look at the whole file to say what is wrong with it, and where."""
    try:
        value, _ = read_json(path, what)
    except DataError as error:
        return error
    if not isinstance(value, list):
        return DataError(f"The {what} {path} does not hold a list.")
    index = next((index for index, row in enumerate(value) if type(row) is not dict), 0)
    return DataError(f"Entry {index} of the {what} {path} is not an object.")
