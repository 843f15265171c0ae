"""The last layers of an exported graph: what enters them, and the vectors that they learned.

A heatmap is found if a convolution makes it, SimCC's bins if a matrix product does; a bias may be
added after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.checkpoints.graphs.onnx import OnnxSession, opened
from posebench.checkpoints.graphs.openvino import OpenvinoSession, Requests
from posebench.checkpoints.parsing.onnx_nodes import OnnxNode, read_onnx_nodes, with_outputs

# Operations that pass values on; a change of type alone is no layer.
_ONNX_PASSES = frozenset({"Identity", "Cast", "Dropout"})
_OPENVINO_PASSES = frozenset({"Convert", "Result"})


@dataclass(frozen=True, eq=False)
class LastLayer:
    """One layer that makes an output, and what it read and made of a batch of crops.

    `inputs` are (N, C, h, w) before a convolution and (N, K, D) before a matrix product; `weight`
    is (R, C, k, k) or (R, D); `bias` is (R,).
    """

    inputs: NDArray[Any]
    weight: NDArray[Any]
    bias: NDArray[Any] | None
    output: NDArray[Any]

    def of_first(self, count: int) -> LastLayer:
        """Return what it read and made of the first crops."""
        return replace(self, inputs=self.inputs[:count], output=self.output[:count])


ReadLayers = Callable[[NDArray[Any]], list[LastLayer]]
"""Reads the layer of each output for normalised crops (N, 3, H, W)."""


def open_layers(network: ExportedNetwork) -> ReadLayers | None:
    """Return what reads the layer of each output of a graph, or None if one is not found.

    A convolution counts only if it keeps the grid: then its outputs are products of what enters it
    there and its rows.
    """
    session = network.session
    if isinstance(session, OnnxSession):
        read = _open_onnx(session, network.outputs)
    elif isinstance(session, OpenvinoSession):
        read = _open_openvino(session, network.outputs)
    else:
        read = None
    if read is None:
        return None
    run, source = read, session.facts.input

    def of_crops(crops: NDArray[Any]) -> list[LastLayer]:
        step = source.batch or len(crops)
        parts = []
        for start in range(0, len(crops), step):
            own = source.crops(crops[start : start + step])
            filler = np.zeros((step - len(own) if source.batch else 0, *own.shape[1:]), own.dtype)
            parts.append([each.of_first(len(own)) for each in run(np.concatenate((own, filler)))])
        return [_joined(layers) for layers in zip(*parts, strict=True)]

    size = network.spec.input_size
    tried = of_crops(np.zeros((1, 3, size.height, size.width), np.float32))
    return of_crops if all(map(_keeps_grid, tried)) else None


def _keeps_grid(layer: LastLayer) -> bool:
    """Tell whether a layer maps each cell, with those around it, or each vector by itself."""
    if layer.weight.ndim == 2:
        return layer.inputs.ndim == 3 and layer.inputs.shape[2] == layer.weight.shape[1]
    same = layer.weight.ndim == 4 and layer.inputs.shape[2:] == layer.output.shape[2:]
    return same and layer.inputs.shape[1] == layer.weight.shape[1] and layer.weight.shape[2] % 2 > 0


def _joined(parts: Sequence[LastLayer]) -> LastLayer:
    return replace(
        parts[0],
        inputs=np.concatenate([each.inputs for each in parts]),
        output=np.concatenate([each.output for each in parts]),
    )


@dataclass(frozen=True)
class _Place:
    """The names of a last layer's values; `transposed` weights are (D, R)."""

    inputs: Any
    weight: Any
    bias: Any
    output: Any
    transposed: bool = False

    def layer(self, values: Mapping[Any, NDArray[Any]]) -> LastLayer:
        weight = values[self.weight]
        bias = None if self.bias is None else values[self.bias].reshape(-1)
        inputs, output = values[self.inputs], values[self.output]
        return LastLayer(inputs, weight.T if self.transposed else weight, bias, output)


def _open_onnx(session: OnnxSession, outputs: Sequence[str]) -> ReadLayers | None:
    """Return a function that runs one batch as the graph takes it."""
    where = "the graph"
    read = read_onnx_nodes(session.graph, where=where)
    makers = {name: node for node in read.nodes for name in node.outputs}
    places = [_onnx_place(name, makers) for name in outputs]
    found = [place for place in places if place is not None]
    if len(found) < len(outputs):
        return None
    names = list(
        dict.fromkeys(
            name
            for each in found
            for name in (each.inputs, each.weight, each.bias, each.output)
            if name is not None
        )
    )
    extended = opened(with_outputs(session.graph, names), where)
    source = session.facts.input.name

    def run(crops: NDArray[Any]) -> list[LastLayer]:
        values = extended.run(names, {source: np.ascontiguousarray(crops)})
        return [place.layer(dict(zip(names, values, strict=True))) for place in found]

    return run


def _onnx_place(name: str, makers: Mapping[str, OnnxNode]) -> _Place | None:
    """Return where the layer of an output is, from its last operation backwards."""
    node, bias = makers.get(name), None
    while node is not None and node.operation in _ONNX_PASSES:
        node = makers.get(node.inputs[0])
    if node is not None and node.operation == "Add":
        products = [n for n, each in enumerate(node.inputs) if _is_layer(makers.get(each))]
        if len(products) != 1:
            return None
        bias = node.inputs[1 - products[0]]
        node = makers.get(node.inputs[products[0]])
    if node is None or not _is_layer(node):
        return None
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = node.inputs[2]
    return _Place(node.inputs[0], node.inputs[1], bias, name, node.operation == "MatMul")


def _is_layer(node: OnnxNode | None) -> bool:
    # Not `Gemm`, whose matrices have two axes: an answer with keypoints has three.
    return node is not None and node.operation in ("Conv", "MatMul")


def _open_openvino(session: OpenvinoSession, outputs: Sequence[str]) -> ReadLayers | None:
    """Return a function that runs one batch as the graph takes it."""
    import openvino

    model = session.model.clone()
    results = [model.get_results()[session.facts.outputs.index(name)] for name in outputs]
    places = [_openvino_place(result) for result in results]
    found = [place for place in places if place is not None]
    if len(found) < len(outputs):
        return None
    ports = [
        port
        for each in found
        for port in (each.inputs, each.weight, each.bias, each.output)
        if port is not None
    ]
    compute = Requests(openvino.Model(ports, list(model.get_parameters())))

    def run(crops: NDArray[Any]) -> list[LastLayer]:
        values = list(map(np.array, compute(np.ascontiguousarray(crops))))
        layers = []
        for each in found:
            count = 3 if each.bias is None else 4
            own, values = values[:count], values[count:]
            bias = None if each.bias is None else own[2].reshape(-1)
            weight = own[1].T if each.transposed else own[1]
            layers.append(LastLayer(own[0], weight, bias, own[-1]))
        return layers

    return run


def _openvino_place(result: Any) -> _Place | None:
    output = result.input_value(0)
    node, bias = _source(output), None
    if node.get_type_name() == "Add":
        sides = [node.input_value(number) for number in (0, 1)]
        products = [n for n, port in enumerate(sides) if _computes(_source(port))]
        if len(products) != 1:
            return None
        node, bias = _source(sides[products[0]]), sides[1 - products[0]]
    if not _computes(node):
        return None
    transposed = node.get_type_name() == "MatMul" and not node.get_attributes()["transpose_b"]
    return _Place(node.input_value(0), node.input_value(1), bias, output, transposed)


def _source(port: Any) -> Any:
    """Return the operation that makes a value, behind changes of type."""
    node = port.get_node()
    while node.get_type_name() in _OPENVINO_PASSES:
        node = node.input_value(0).get_node()
    return node


def _computes(node: Any) -> bool:
    return node.get_type_name() in ("Convolution", "MatMul")
