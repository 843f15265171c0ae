"""The nodes of an ONNX file's main graph, a smaller file of some, and one that is made valid.

Field numbers: onnx/onnx.proto. Bytes are copied verbatim; only names are decoded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from posebench.checkpoints.parsing.onnx_file import (
    BYTES,
    VARINT,
    Span,
    damaged_onnx,
    fields,
    sides_of,
    varint,
)

_GRAPH, _NODE, _NAME, _INITIALISER, _INPUT, _OUTPUT = 7, 1, 2, 5, 11, 12
_INITIALISER_NAME, _VALUE_NAME = 8, 1
_INPUTS, _OUTPUTS, _OPERATION, _ATTRIBUTE, _DOMAIN = 1, 2, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_INT, _ATTRIBUTE_TENSOR, _ATTRIBUTE_INTS = 1, 3, 5, 8


@dataclass(frozen=True)
class OnnxNode:
    """One operation: its inputs and outputs by name, and its kernel's sides, if it has a kernel.

    `constant` has the sides of the tensor that a `Constant` holds.
    """

    operation: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    kernel: tuple[int, ...]
    constant: tuple[int, ...] | None
    span: Span


@dataclass(frozen=True)
class OnnxNodes:
    """Nodes in the file's order, in which they can run, and weights' sides by name."""

    nodes: tuple[OnnxNode, ...]
    weights: Mapping[str, tuple[int, ...]]


def read_onnx_nodes(data: bytes, *, where: str) -> OnnxNodes:
    """Read the main graph of a file.

    Raises `CheckpointError` if the file is damaged.
    """
    nodes: list[OnnxNode] = []
    weights: dict[str, tuple[int, ...]] = {}
    with damaged_onnx(where):
        for graph in _graphs(data):
            for number, kind, place in fields(data, graph):
                if number == _NODE and kind == BYTES:
                    nodes.append(_node(data, place))
                elif number == _INITIALISER and kind == BYTES:
                    weights[_text(data, place, _INITIALISER_NAME)] = sides_of(data, place)
    return OnnxNodes(tuple(nodes), weights)


def cut_onnx(
    data: bytes,
    kept: Sequence[OnnxNode],
    plain: Collection[OnnxNode],
    source: str,
    ends: Sequence[str],
) -> bytes:
    """Return a file with the nodes `kept`, from the input `source` to the values `ends`.

    Nodes that are also in `plain` pass on their first input unchanged.
    """
    used = {name for node in kept for name in node.inputs}
    body = bytearray()
    for graph in _graphs(data):
        for number, kind, place in fields(data, graph):
            wanted = number == _INITIALISER and _text(data, place, _INITIALISER_NAME) in used
            if kind == BYTES and (wanted or _is_input(data, number, place, source)):
                body += _message(number, data[slice(*place)])
    for node in kept:
        body += _message(_NODE, _identity(node) if node in plain else data[slice(*node.span)])
    for end in ends:
        body += _message(_OUTPUT, _message(_VALUE_NAME, end.encode()))
    body += _message(_NAME, b"front")
    return _around(data) + _message(_GRAPH, bytes(body))


def with_outputs(data: bytes, names: Sequence[str]) -> bytes:
    """Return a file whose main graph has these values as outputs, in place of its own."""
    body = bytearray()
    for graph in _graphs(data):
        for number, kind, place in fields(data, graph):
            if kind == BYTES and number != _OUTPUT:
                body += _message(number, data[slice(*place)])
    for name in names:
        body += _message(_OUTPUT, _message(_VALUE_NAME, name.encode()))
    return _around(data) + _message(_GRAPH, bytes(body))


def spatial_onnx(data: bytes, *, where: str) -> bytes:
    """Return a file whose batch normalisations have one scale per channel and say so.

    MXNet marks them `spatial: 0`, which promises one scale per value; onnxruntime refuses that.
    """
    read = read_onnx_nodes(data, where=where)
    changed = bytearray(data)
    for node in read.nodes:
        scales = [read.weights.get(name, ()) for name in node.inputs[1:2]]
        if node.operation == "BatchNormalization" and [len(sides) for sides in scales] == [1]:
            for end in _zero_marks(data, node.span):
                changed[end - 1] = 1
    return bytes(changed)


def _zero_marks(data: bytes, node: Span) -> Iterator[int]:
    """Yield where the zero of a node's `spatial: 0` ends."""
    attributes = [at for n, k, at in fields(data, node) if (n, k) == (_ATTRIBUTE, BYTES)]
    for attribute in attributes:
        if _text(data, attribute, _ATTRIBUTE_NAME) == "spatial":
            for number, kind, (value, end) in fields(data, attribute):
                if (number, kind, value) == (_ATTRIBUTE_INT, VARINT, 0):
                    yield end


def _around(data: bytes) -> bytes:
    """Return the fields of a file besides its graph: versions, operator sets, functions."""
    kept = bytearray()
    for number, kind, place in fields(data, (0, len(data))):
        if kind == VARINT:
            kept += _number(number, place[0])
        elif kind == BYTES and number != _GRAPH:
            kept += _message(number, data[slice(*place)])
    return bytes(kept)


def _is_input(data: bytes, number: int, place: Span, source: str) -> bool:
    return number == _INPUT and _text(data, place, _VALUE_NAME) == source


def _identity(node: OnnxNode) -> bytes:
    names = _message(_INPUTS, node.inputs[0].encode()) + _message(
        _OUTPUTS, node.outputs[0].encode()
    )
    return names + _message(_OPERATION, b"Identity")


def _graphs(data: bytes) -> Iterator[Span]:
    for number, kind, place in fields(data, (0, len(data))):
        if number == _GRAPH and kind == BYTES:
            yield place


def _node(data: bytes, span: Span) -> OnnxNode:
    names: dict[int, list[str]] = {_INPUTS: [], _OUTPUTS: [], _OPERATION: [], _DOMAIN: []}
    kernel: tuple[int, ...] = ()
    constant: tuple[int, ...] | None = None
    for number, kind, place in fields(data, span):
        if kind == BYTES and number in names:
            names[number].append(data[slice(*place)].decode(errors="replace"))
        elif kind == BYTES and number == _ATTRIBUTE:
            name = _text(data, place, _ATTRIBUTE_NAME)
            if name == "kernel_shape":
                kernel = _integers(data, place)
            elif name == "value":
                tensors = [
                    at for n, k, at in fields(data, place) if (n, k) == (_ATTRIBUTE_TENSOR, BYTES)
                ]
                constant = sides_of(data, tensors[0]) if tensors else None
    return OnnxNode(
        operation="".join(names[_OPERATION]),
        domain="".join(names[_DOMAIN]),
        inputs=tuple(names[_INPUTS]),
        outputs=tuple(names[_OUTPUTS]),
        kernel=kernel,
        constant=constant,
        span=span,
    )


def _integers(data: bytes, span: Span) -> tuple[int, ...]:
    """Return the integers of an attribute, stored packed or one by one."""
    found: list[int] = []
    for number, kind, place in fields(data, span):
        if number == _ATTRIBUTE_INTS and kind == VARINT:
            found.append(place[0])
        elif number == _ATTRIBUTE_INTS and kind == BYTES:
            begin, end = place
            while begin < end:
                value, begin = varint(data, begin)
                found.append(value)
    return tuple(found)


def _text(data: bytes, span: Span, wanted: int) -> str:
    """Return the field `wanted` of a message as text; empty if it is missing."""
    for number, kind, place in fields(data, span):
        if (number, kind) == (wanted, BYTES):
            return data[slice(*place)].decode(errors="replace")
    return ""


def _message(number: int, content: bytes) -> bytes:
    return _varint_bytes(number << 3 | BYTES) + _varint_bytes(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint_bytes(number << 3 | VARINT) + _varint_bytes(value)


def _varint_bytes(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
