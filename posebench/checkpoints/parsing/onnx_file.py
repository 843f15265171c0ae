"""The few facts of an ONNX file that onnxruntime does not give, read from its protobuf.

Field numbers: onnx/onnx.proto. Needs neither the `onnx` package nor the tensors' bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from posebench.errors import CheckpointError

MAX_DEPTH = 24
VARINT, _FIXED64, BYTES, _FIXED32 = 0, 1, 2, 5
Span = tuple[int, int]
"""The first byte of a message, and the byte after its last."""
# message -> field number -> the message in that field
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "initialiser", 15: "sparse"},
    "sparse": {1: "initialiser", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}
_DIMS, _DATA_TYPE, _EXTERNAL_DATA, _DATA_LOCATION = 1, 2, 13, 14
_FLOATING = {1, 10, 11, 16}
_EXTERNAL = 1


@dataclass(frozen=True)
class OnnxFacts:
    """`parameters` counts floating-point initialiser values; `external` is data in other files."""

    parameters: int
    external: bool


def read_onnx_facts(data: bytes, *, where: str) -> OnnxFacts:
    """Read the facts of an ONNX file from its bytes.

    Raises `CheckpointError` if the file is damaged.
    """
    with damaged_onnx(where):
        tensors = list(_tensors(data, (0, len(data)), "model", 0))
    return OnnxFacts(
        parameters=sum(values for values, _ in tensors),
        external=any(external for _, external in tensors),
    )


@contextmanager
def damaged_onnx(where: str) -> Iterator[None]:
    """Turn an error of reading protobuf into a `CheckpointError`."""
    try:
        yield
    except (IndexError, ValueError) as error:
        raise CheckpointError(
            f"{where} is cut off or not an ONNX file ({error}).",
            hint="Download or copy the file again and compare its size with the publisher's.",
        ) from None


def _tensors(data: bytes, span: Span, message: str, depth: int) -> Iterator[tuple[int, bool]]:
    """Yield each tensor's number of learned values and whether it lies in another file."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if message in ("initialiser", "tensor"):
        values, external = _tensor(data, span)
        yield (values if message == "initialiser" else 0), external
        return
    for number, kind, place in fields(data, span):
        inner = _MESSAGES[message].get(number)
        if inner is not None and kind == BYTES:
            yield from _tensors(data, place, inner, depth + 1)


def _tensor(data: bytes, span: Span) -> tuple[int, bool]:
    kind_of_data, external = 0, False
    for number, _, place in fields(data, span):
        if number == _DATA_TYPE:
            kind_of_data = place[0]
        elif number == _DATA_LOCATION:
            external = external or place[0] == _EXTERNAL
        elif number == _EXTERNAL_DATA:
            external = True
    return (math.prod(sides_of(data, span)) if kind_of_data in _FLOATING else 0), external


def sides_of(data: bytes, span: Span) -> tuple[int, ...]:
    """Return the sides of the tensor in a message."""
    sides: list[int] = []
    for number, kind, place in fields(data, span):
        if number == _DIMS and kind == VARINT:
            sides.append(place[0])
        elif number == _DIMS and kind == BYTES:
            begin, end = place
            while begin < end:
                side, begin = varint(data, begin)
                sides.append(side)
    return tuple(sides)


def fields(data: bytes, span: Span) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Yield (number, wire type, (value, end) of a varint or (begin, end) of bytes)."""
    position, end = span
    while position < end:
        tag, position = varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            value, position = varint(data, position)
            yield number, kind, (value, position)
        elif kind == BYTES:
            length, position = varint(data, position)
            if position + length > end:
                raise ValueError(f"a field of {length} bytes does not fit")
            yield number, kind, (position, position + length)
            position += length
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")


def varint(data: bytes, position: int) -> tuple[int, int]:
    """Return the number at a position and the position after it.

    Raises `ValueError` if the number has more than 64 bits.
    """
    value, shift = 0, 0
    while shift < 64:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise ValueError("a number of more than 64 bits")
