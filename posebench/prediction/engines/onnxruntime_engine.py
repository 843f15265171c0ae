"""Networks run by onnxruntime on the CPU (extra `onnx`), exported on the fly."""

from __future__ import annotations

import math

from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.checkpoints.graphs.graphs import GraphFile
from posebench.checkpoints.graphs.onnx import OnnxSession, open_session
from posebench.errors import UnsupportedExecutionError
from posebench.networks.model import Network
from posebench.networks.sizes import InputSize
from posebench.prediction.engines.exporting import (
    EXPORT_TOLERANCE,
    check_answers,
    onnx_graph,
    require,
)
from posebench.prediction.engines.quantising import Calibration, quantised
from posebench.prediction.execution import Execution


def onnxruntime_network(
    network: Network, size: InputSize, execution: Execution, calibration: Calibration
) -> ExportedNetwork:
    """Return a network that onnxruntime runs on crops of `size`, each call on its own thread.

    An ONNX file's network runs as it is. Raises `UnsupportedExecutionError` if onnxruntime cannot
    run the network.
    """
    precision = execution.precision
    if isinstance(network, ExportedNetwork):
        if not isinstance(network.session, OnnxSession) or precision != "fp32":
            raise UnsupportedExecutionError(
                f"onnxruntime runs ONNX files as they are, not {network.spec.backbone.family}"
                f" files in {precision}."
            )
        return network
    if precision not in ("fp32", "int8"):
        raise UnsupportedExecutionError(
            f"onnxruntime computes {precision} networks in fp32 on a CPU.",
            hint="Choose the precision fp32 or int8.",
        )
    require("onnxruntime", extra="onnx")
    graph = onnx_graph(network, size)
    if precision == "int8":
        graph = quantised(graph, calibration)
    session = open_session(GraphFile("the export", "onnx", {"onnx.model": graph}))
    exported = ExportedNetwork(network.spec, network.stride, session, session.facts.outputs)
    check_answers(network, exported, size, EXPORT_TOLERANCE if precision == "fp32" else math.inf)
    return exported
