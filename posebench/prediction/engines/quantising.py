"""int8 graphs: ONNX with weights and activations quantised after training, by onnxruntime's tool.

Weights have a scale for each output channel, activations one for each tensor, from the smallest and
largest value that calibration crops produce. The layers whose outputs are decoded stay in float32:
if they were quantised too, 72 % instead of 15 % of the embedded simcc-m's keypoints would move by
more than a pixel.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import UnsupportedExecutionError, first_line
from posebench.files.environment import package_version
from posebench.files.hashing import code_sha256
from posebench.prediction.engines.exporting import INPUT, cached_graph, require

_BATCH = 8
_ERRORS_ONLY = 3
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
# onnxruntime's tool keeps settings in globals.
_QUANTISING = threading.Lock()

Calibration = Callable[[], NDArray[Any]]


def quantised(graph: bytes, calibration: Calibration) -> bytes:
    """Return an ONNX graph in int8, calibrated on normalised crops (N, 3, H, W) of its size.

    Raises `UnsupportedExecutionError` if it cannot be quantised.
    """
    require("onnx", "onnxruntime", extra="onnx")
    crops = np.ascontiguousarray(calibration(), dtype=np.float32)
    identity = {
        "code_sha256": code_sha256(),
        "libraries": {name: package_version(name) for name in ("onnx", "onnxruntime")},
        "graph_sha256": hashlib.sha256(graph).hexdigest(),
        "crops_sha256": hashlib.sha256(crops.tobytes()).hexdigest(),
    }
    return cached_graph(identity, lambda: _quantise(graph, crops))


class _Crops:
    """Calibration crops as onnxruntime asks for them: batch by batch, then None."""

    def __init__(self, crops: NDArray[Any]) -> None:
        self._batches: Iterator[NDArray[Any]] = iter(
            [crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH)]
        )

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _quantise(graph: bytes, crops: NDArray[Any]) -> bytes:
    import onnx
    import onnxruntime
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    with _QUANTISING, tempfile.TemporaryDirectory(prefix="posebench-") as folder:
        source, prepared, result = (Path(folder) / f"{name}.onnx" for name in "abc")
        source.write_bytes(graph)
        try:
            quant_pre_process(source, prepared, skip_symbolic_shape=True)
            model = onnx.load(prepared)
            quantize_static(
                model,
                result,
                _Crops(crops),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=_output_layers(model.graph),
            )
        except Exception as error:  # what cannot be quantised raises errors of many kinds
            raise UnsupportedExecutionError(
                f"The network cannot be quantised: {first_line(error)}"
            ) from error
        return result.read_bytes()


def _output_layers(graph: Any) -> list[str]:
    """Return the names of the nodes from the last weighted layers to the graph's outputs."""
    makers = {name: node for node in graph.node for name in node.output}
    found, waiting = [], [output.name for output in graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in found:
            found.append(node.name)
            waiting += [] if node.op_type in _WEIGHTED else node.input
    return found
