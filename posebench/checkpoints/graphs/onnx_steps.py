"""How the operations of an ONNX graph treat pixels, by their ONNX names."""

from __future__ import annotations

import math
from collections import defaultdict

from posebench.checkpoints.graphs.front import Step, Treatment
from posebench.checkpoints.parsing.onnx_nodes import OnnxNode, OnnxNodes

_PASSES = frozenset({
    "Abs", "Add", "BatchNormalization", "Cast", "CastLike", "Clip", "Concat", "ConcatFromSequence",
    "Constant", "DepthToSpace", "Div", "Dropout", "Expand", "Flatten", "Gather", "GatherElements",
    "GatherND", "Identity", "Max", "Mean", "Min", "Mul", "Neg", "Pad", "Pow", "Reciprocal",
    "ReduceMean", "Reshape", "Resize", "ReverseSequence", "ScatterElements", "ScatterND",
    "SequenceAt", "SequenceConstruct", "Slice", "SpaceToDepth", "Split", "SplitToSequence", "Sqrt",
    "Squeeze", "Sub", "Sum", "Tile", "Transpose", "Unsqueeze", "Upsample", "Where",
})  # fmt: skip
_MEASURES = frozenset({"Shape", "Size"})
_SAME_SIDES = frozenset({"Identity", "Cast", "DequantizeLinear"})
_PRODUCTS = frozenset({"MatMul", "Gemm"})
_OWN = ("", "ai.onnx")
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
    if node.domain not in _OWN:
        return "learned"
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
        return "passes" if weight is not None and _is_pointwise(weight) else "learned"
    if kind in _PRODUCTS:
        return "passes" if weight == (3, 3) else "learned"
    return "passes" if kind in _PASSES else "learned"


def _is_pointwise(weight: tuple[int, ...]) -> bool:
    return len(weight) == 4 and weight[0] in _COLOURS and math.prod(weight[2:]) == 1
