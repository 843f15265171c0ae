"""The operations before an OpenVINO network's first layers, by OpenVINO's names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.checkpoints.graphs.front import Step, Treatment, find_front
from posebench.checkpoints.graphs.graphs import Front
from posebench.checkpoints.graphs.openvino import OpenvinoSession, Requests
from posebench.errors import CheckpointError

# Words in the names of operations that are layers. Whatever else meets pixels, such as a pooling,
# belongs to the front and is measured.
_LAYERS = ("convolution", "matmul", "attention", "lstm", "gru", "rnn")
_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
# A convolution with more channels than a colour has is a layer, however small its kernel.
_COLOURS = (1, 3)


def open_front(session: OpenvinoSession, *, where: str) -> Front:
    """Return a function that runs the operations between a network's input and its first layers."""
    import openvino

    model = session.model.clone()
    (parameter,) = model.get_parameters()
    source, operations = _value(parameter.output(0)), model.get_ordered_ops()
    ports = {_value(port): port for each in operations for port in each.outputs()}
    ends = tuple(_value(result.input_value(0)) for result in model.get_results())
    found = find_front(source, [_step(each) for each in operations], ends)
    for index in found.rounding:
        node = operations[index]
        node.output(0).replace(node.input_value(0))
        ports[_value(node.output(0))] = node.input_value(0)
    outputs = [ports[name] for name in found.ends if name != source]
    try:
        compute = Requests(openvino.Model(outputs, [parameter])) if outputs else None
    except Exception as error:  # the only base class of OpenVINO's errors
        raise CheckpointError(f"OpenVINO cannot open {where}: {error}") from None

    def run(crops: NDArray[Any]) -> list[NDArray[Any]]:
        made = [np.array(each) for each in compute(crops)] if compute is not None else []
        return made + [crops] * (source in found.ends)

    return run


def _step(node: Any) -> Step:
    inputs = tuple(_value(port.get_source_output()) for port in node.inputs())
    return Step(_treatment(node), inputs, tuple(_value(port) for port in node.outputs()))


def _treatment(node: Any) -> Treatment:
    kind = node.get_type_name()
    if kind == "ShapeOf":
        return "measures"
    if kind == "FakeQuantize":
        return "rounds"
    if kind in _CONVOLUTIONS:
        return "passes" if _makes_colours(_sides(node)) else "learned"
    if kind == "MatMul":
        return "passes" if _sides(node) == (3, 3) else "learned"
    return "learned" if any(word in kind.lower() for word in _LAYERS) else "passes"


def _sides(node: Any) -> tuple[int, ...]:
    """Return the sides of an operation's weights; empty if they are free."""
    shape = node.input_value(1).get_partial_shape()
    return tuple(shape.to_shape()) if shape.is_static else ()


def _makes_colours(weight: tuple[int, ...]) -> bool:
    """Tell whether weights (out, in, h, w), or grouped (3, 1, 1, h, w), map colours to colours."""
    return len(weight) in (4, 5) and math.prod(weight[: len(weight) - 3]) in _COLOURS


def _value(port: Any) -> str:
    return f"{port.get_node().get_name()}:{port.get_index()}"
