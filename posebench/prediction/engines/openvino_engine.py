"""Networks run by OpenVINO on the CPU (extra `openvino`), exported to ONNX on the fly."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.checkpoints.graphs.graphs import GraphFacts, GraphInput
from posebench.checkpoints.graphs.onnx import OnnxSession
from posebench.checkpoints.graphs.openvino import OpenvinoSession, Requests
from posebench.errors import UnsupportedExecutionError
from posebench.networks.model import Network
from posebench.networks.sizes import InputSize
from posebench.prediction.engines.exporting import (
    EXPORT_TOLERANCE,
    INPUT,
    check_answers,
    onnx_graph,
    require,
)
from posebench.prediction.engines.quantising import Calibration, quantised
from posebench.prediction.execution import Execution, Precision

Compute = Callable[[NDArray[Any]], list[NDArray[Any]]]
# Crops of the largest batch that is compiled; more are no faster.
MOST = 8
# OpenVINO's operations whose second input is weights.
_WEIGHTED = {"Convolution", "ConvolutionBackpropData", "GroupConvolution", "MatMul"}


def openvino_network(
    network: Network,
    size: InputSize,
    execution: Execution,
    calibration: Calibration,
    lanes: int,
) -> ExportedNetwork:
    """Return a network that OpenVINO runs on crops of `size`, on one thread for each of `lanes`.

    In every precision, the layers whose outputs are decoded run in fp32. ONNX and OpenVINO files
    run too, except in int8. Raises `UnsupportedExecutionError` if a network cannot run, or if the
    processor would compute in another precision.
    """
    require("openvino", extra="openvino")
    precision = execution.precision
    if isinstance(network, ExportedNetwork):
        return _of_file(network, precision, lanes)
    graph = onnx_graph(network, size)
    if precision == "int8":
        graph = quantised(graph, calibration)
    model = _read(graph)
    names = tuple(output.get_any_name() for output in model.outputs)
    crops = GraphInput(INPUT, np.float32, batch=None, fixed_size=size)
    facts = GraphFacts(crops, names, parameters=0)
    session = OpenvinoSession(facts, model, FixedBatches(model, precision, lanes))
    exported = ExportedNetwork(network.spec, network.stride, session, names)
    tolerance = EXPORT_TOLERANCE if precision == "fp32" else math.inf
    # So many that they fill the largest batch, which is compiled for this and for the run.
    check_answers(network, exported, size, tolerance, crops=MOST // 2 + 1)
    return exported


class FixedBatches:
    """A model compiled for batches of 8 crops at once, and of 1, 2 and 4 when they are called for.

    OpenVINO is up to a fifth faster if it knows how many crops there are. Others are split, and
    the last ones filled up with zeros: no crop's answers depend on those beside it.
    """

    def __init__(self, model: Any, precision: Precision, lanes: int) -> None:
        self._model = model
        self._how = precision, lanes
        self._compiled: dict[int, Compute] = {}
        self._lock = threading.Lock()
        self.of(MOST)

    def __call__(self, crops: NDArray[Any]) -> list[NDArray[Any]]:
        """Run any number of crops."""
        parts = [self._run(crops[start : start + MOST]) for start in range(0, len(crops), MOST)]
        return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]

    def _run(self, crops: NDArray[Any]) -> list[NDArray[Any]]:
        count = len(crops)
        batch = 1 << (count - 1).bit_length()
        if count < batch:
            filler = np.zeros((batch - count, *crops.shape[1:]), crops.dtype)
            crops = np.concatenate((crops, filler))
        return [array[:count] for array in self.of(batch)(np.ascontiguousarray(crops))]

    def of(self, batch: int) -> Compute:
        """Return the model for batches of one size.

        Raises `UnsupportedExecutionError` if it would not compute in its precision.
        """
        with self._lock:
            if batch not in self._compiled:
                fixed = self._model.clone()
                shape = fixed.inputs[0].get_partial_shape()
                shape[0] = batch
                fixed.reshape(shape)
                self._compiled[batch] = _compute(fixed, *self._how)
            return self._compiled[batch]


def _of_file(network: ExportedNetwork, precision: Precision, lanes: int) -> ExportedNetwork:
    """Return an exported file's network on OpenVINO."""
    session = network.session
    if precision == "int8" or not isinstance(session, OnnxSession | OpenvinoSession):
        raise UnsupportedExecutionError(
            "An exported file cannot be quantised: its weights are out of reach.",
            hint="Choose the precision fp32 or bf16.",
        )
    model = session.model if isinstance(session, OpenvinoSession) else _read(session.graph)
    opened = OpenvinoSession(session.facts, model, _compute(model, precision, lanes))
    return replace(network, session=opened)


def _read(graph: bytes) -> Any:
    import openvino

    try:
        return openvino.Core().read_model(graph, b"")
    except Exception as error:  # OpenVINO's errors share no base class but this
        raise UnsupportedExecutionError(f"OpenVINO cannot read the ONNX graph: {error}") from error


def _compute(model: Any, precision: Precision, lanes: int) -> Compute:
    """Return a function that runs a batch of `model`.

    Raises `UnsupportedExecutionError` if it would not compute in `precision`.
    """
    if precision == "fp32":
        return _compiled(model, "f32", lanes, ("f32",))
    if precision == "int8":
        return _compiled(model, "f32", lanes, ("u8", "i8"))
    hint = {"bf16": "bf16", "fp16": "f16"}[precision]
    body, tail = _split(model.clone())
    halves = _compiled(body, hint, lanes, (hint,))
    outputs = _compiled(tail, "f32", lanes, ("f32",))
    return lambda crops: outputs(*halves(crops))


def _compiled(model: Any, hint: str, lanes: int, types: tuple[str, ...]) -> Requests:
    """Compile with a hint for the precision.

    Raises `UnsupportedExecutionError` if no operation would compute in `types`.
    """
    try:
        requests = Requests(model, lanes, hint)
    except Exception as error:  # OpenVINO's errors share no base class but this
        raise UnsupportedExecutionError(f"OpenVINO cannot compile the network: {error}") from error
    # OpenVINO silently takes another precision if the processor lacks this one.
    if requests.precision != hint or not requests.computes_in(*types):
        raise UnsupportedExecutionError(
            f"On this processor OpenVINO computes in {requests.precision}, not in {types[0]}.",
            hint="Choose the precision fp32.",
        )
    return requests


def _split(model: Any) -> tuple[Any, Any]:
    """Cut a model in front of its last weighted layers, whose outputs are decoded.

    In half precision these layers would round a peak and its neighbours to ties, and move
    keypoints.
    """
    import openvino
    from openvino import opset8

    sources: dict[tuple[str, int], tuple[Any, list[Any]]] = {}
    waiting, seen = [result.input(0) for result in model.get_results()], set[str]()
    while waiting:
        target = waiting.pop()
        node = target.get_source_output().get_node()
        name = node.get_friendly_name()
        if name not in seen:
            seen.add(name)
            weighted = node.get_type_name() in _WEIGHTED
            found = node.inputs()[:1] if weighted else node.inputs()
            if weighted:
                source = found[0].get_source_output()
                key = (source.get_node().get_friendly_name(), source.get_index())
                sources.setdefault(key, (source, []))[1].append(found[0])
            else:
                waiting += found
    body = openvino.Model([source for source, _ in sources.values()], model.get_parameters())
    body = body.clone()
    features = []
    for source, targets in sources.values():
        feature = opset8.parameter(source.get_partial_shape(), source.get_element_type())
        features.append(feature)
        for target in targets:
            target.replace_source_output(feature.output(0))
    return body, openvino.Model(model.get_results(), features)
