"""How the operations of an ONNX graph treat pixels, by their ONNX names."""

from __future__ import annotations

from collections import defaultdict

from posebench.checkpoints.graphs.front import Step, Treatment
from posebench.checkpoints.parsing.onnx_nodes import OnnxNode, OnnxNodes

# Words in the names of operations that are layers, in any domain. Whatever else meets pixels, such
# as a clip, a pooling or a function of the file's own, belongs to the front and is measured.
_LAYERS = ("conv", "matmul", "gemm", "attention", "lstm", "gru", "rnn")
_MEASURES = frozenset({"Shape", "Size"})
_SAME_SIDES = frozenset({"Identity", "Cast", "DequantizeLinear"})
_PRODUCTS = frozenset({"MatMul", "Gemm"})
# A convolution with more channels than a colour has is a layer, however small its kernel.
_COLOURS = (1, 3)


def onnx_steps(graph: OnnxNodes) -> list[Step]:
    """Return the operations of a graph in order."""
    takers = defaultdict[str, list[str]](list)
    makers = {name: node.operation for node in graph.nodes for name in node.outputs}
    sides = dict(graph.weights)
    for node in graph.nodes:
        for name in node.inputs:
            takers[name].append(node.operation)
        if node.constant is not None:
            sides.update(dict.fromkeys(node.outputs, node.constant))
        elif node.operation in _SAME_SIDES and node.inputs and node.inputs[0] in sides:
            sides.update(dict.fromkeys(node.outputs, sides[node.inputs[0]]))
    return [
        Step(_treatment(node, sides, takers, makers), node.inputs, node.outputs)
        for node in graph.nodes
    ]


def _treatment(
    node: OnnxNode,
    sides: dict[str, tuple[int, ...]],
    takers: dict[str, list[str]],
    makers: dict[str, str],
) -> Treatment:
    kind = node.operation
    if kind in _MEASURES:
        return "measures"
    if kind == "QuantizeLinear":
        onward = [taker for name in node.outputs for taker in takers[name]]
        return "rounds" if set(onward) == {"DequantizeLinear"} else "learned"
    if kind == "DequantizeLinear":
        quantised = makers.get(node.inputs[0] if node.inputs else "") == "QuantizeLinear"
        return "rounds" if quantised else "passes"
    weight = sides.get(node.inputs[1]) if len(node.inputs) > 1 else None
    if kind == "Conv":
        return "passes" if weight is not None and _makes_colours(weight) else "learned"
    if kind in _PRODUCTS:
        return "passes" if weight == (3, 3) else "learned"
    return "learned" if any(word in kind.lower() for word in _LAYERS) else "passes"


def _makes_colours(weight: tuple[int, ...]) -> bool:
    return len(weight) == 4 and weight[0] in _COLOURS
