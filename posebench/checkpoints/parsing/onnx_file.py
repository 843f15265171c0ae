"""The few facts of an ONNX file that onnxruntime does not tell, read from its protobuf.

Field numbers: onnx/onnx.proto. Needs neither the `onnx` package nor the tensors' bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from posebench.errors import CheckpointError

MAX_DEPTH = 24
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# message -> field number -> message that it holds
_MESSAGES: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "function": {7: "node"},
    "graph": {1: "node", 5: "initialiser", 15: "sparse"},
    "sparse": {1: "initialiser", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
}
_DIMS, _DATA_TYPE, _EXTERNAL_DATA, _DATA_LOCATION = 1, 2, 13, 14
_GRAPH, _NODE, _INPUT, _OPERATION = 7, 1, 1, 4
_FLOATING = {1, 10, 11, 16}
_EXTERNAL = 1


@dataclass(frozen=True)
class OnnxFacts:
    """`parameters` counts floating-point initialiser values; `external` is data in other files.

    `consumers` maps each value of the main graph to the operations that take it.
    """

    parameters: int
    external: bool
    consumers: Mapping[str, frozenset[str]]


def read_onnx_facts(data: bytes, *, where: str) -> OnnxFacts:
    """Read the facts of an ONNX file's bytes; raise `CheckpointError` where it is damaged."""
    try:
        tensors = list(_tensors(data, (0, len(data)), "model", 0))
        consumers = _consumers(data)
    except (IndexError, ValueError) as error:
        raise CheckpointError(
            f"{where} is cut off or no ONNX file ({error}).",
            hint="Download or copy the file again and compare its size with the publisher's.",
        ) from None
    return OnnxFacts(
        parameters=sum(values for values, _ in tensors),
        external=any(external for _, external in tensors),
        consumers=consumers,
    )


def _consumers(data: bytes) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for _, _, graph in _all(data, (0, len(data)), _GRAPH):
        for _, _, node in _all(data, graph, _NODE):
            kinds = [data[slice(*place)] for _, _, place in _all(data, node, _OPERATION)]
            for _, _, place in _all(data, node, _INPUT):
                name = data[slice(*place)].decode(errors="replace")
                found.setdefault(name, set()).update(k.decode(errors="replace") for k in kinds)
    return {name: frozenset(kinds) for name, kinds in found.items()}


def _all(
    data: bytes, span: tuple[int, int], wanted: int
) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Yield the fields of one number that hold bytes."""
    return (each for each in _fields(data, span) if each[:2] == (wanted, _BYTES))


def _tensors(
    data: bytes, span: tuple[int, int], message: str, depth: int
) -> Iterator[tuple[int, bool]]:
    """Yield (learned values, lies in another file) of each tensor of a message."""
    if depth > MAX_DEPTH:
        raise ValueError("nested too deeply")
    if message in ("initialiser", "tensor"):
        values, external = _tensor(data, span)
        yield (values if message == "initialiser" else 0), external
        return
    for number, kind, place in _fields(data, span):
        inner = _MESSAGES[message].get(number)
        if inner is not None and kind == _BYTES:
            yield from _tensors(data, place, inner, depth + 1)


def _tensor(data: bytes, span: tuple[int, int]) -> tuple[int, bool]:
    sides: list[int] = []
    kind_of_data, external = 0, False
    for number, kind, place in _fields(data, span):
        if number == _DIMS and kind == _VARINT:
            sides.append(place[0])
        elif number == _DIMS and kind == _BYTES:
            begin, end = place
            while begin < end:
                side, begin = _varint(data, begin)
                sides.append(side)
        elif number == _DATA_TYPE:
            kind_of_data = place[0]
        elif number == _DATA_LOCATION:
            external = external or place[0] == _EXTERNAL
        elif number == _EXTERNAL_DATA:
            external = True
    return (math.prod(sides) if kind_of_data in _FLOATING else 0), external


def _fields(data: bytes, span: tuple[int, int]) -> Iterator[tuple[int, int, tuple[int, int]]]:
    """Yield (number, wire type, (value, 0) of a varint or (begin, end) of bytes)."""
    position, end = span
    while position < end:
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield number, kind, (value, 0)
        elif kind == _BYTES:
            length, position = _varint(data, position)
            if position + length > end:
                raise ValueError(f"a field of {length} bytes does not fit")
            yield number, kind, (position, position + length)
            position += length
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"wire type {kind}")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while shift < 64:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise ValueError("a number of more than 64 bits")
