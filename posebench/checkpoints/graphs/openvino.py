"""OpenVINO IR (`.xml` beside `.bin`), run by OpenVINO (extra `openvino`).

Exports from Paddle are assumed to be decoded as PaddleDetection decodes PP-TinyPose:
`deploy/python/keypoint_postprocess.py` and `configs/keypoint/tiny_pose`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.graphs.graphs import GraphFacts, GraphFile, graph_input
from posebench.checkpoints.parsing.openvino_file import OpenvinoFacts, read_openvino_facts
from posebench.errors import CheckpointError, MissingExtraError

_TYPES: dict[str, type[np.generic]] = {
    "f32": np.float32,
    "f16": np.float16,
    "u8": np.uint8,
}
_PADDLE = {
    "codec": {"decoder": "dark", "blur_kernel": 3},
    "crop": {"udp": True},
    "flip": {"test": False},
}


class Requests:
    """A network compiled for the CPU, which up to `lanes` threads may call at once.

    A call takes one of OpenVINO's threads. `precision` is an OpenVINO name (`f32`, `bf16`, `f16`);
    if the processor lacks it, `self.precision` says which one is used instead.
    """

    def __init__(self, model: Any, lanes: int = 1, precision: str = "f32") -> None:
        import openvino

        settings = {
            "NUM_STREAMS": str(lanes),
            "INFERENCE_NUM_THREADS": str(lanes),
            # If pinned, the lanes of two processes would share cores and leave others idle.
            "ENABLE_CPU_PINNING": "NO",
            # By default some processors compute in bfloat16.
            "INFERENCE_PRECISION_HINT": precision,
        }
        self._compiled = openvino.Core().compile_model(model, "CPU", settings)
        kept = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        self.precision: str = kept.get_type_name()
        # A request holds the tensors of one call, so every thread has its own request.
        self._own = threading.local()

    def __call__(self, *inputs: NDArray[Any]) -> list[NDArray[Any]]:
        """Run one batch; the returned arrays belong to the caller."""
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        results = self._own.request.infer(list(inputs), share_inputs=True)
        return [np.asarray(result) for result in results.values()]

    def computes_in(self, *types: str) -> bool:
        """Tell whether any operation really computes in one of OpenVINO's `types`, such as `u8`."""
        operations = self._compiled.get_runtime_model().get_ops()
        used = {str(each.get_rt_info()["runtimePrecision"].value) for each in operations}
        return not used.isdisjoint(types)


@dataclass(frozen=True)
class OpenvinoSession:
    """A network of OpenVINO on the CPU: `model` as it was read; `compute` runs a batch."""

    facts: GraphFacts
    model: Any
    compute: Callable[[NDArray[Any]], list[NDArray[Any]]]

    def run(self, crops: NDArray[Any], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run one batch.

        Raises `CheckpointError` if OpenVINO cannot run it.
        """
        try:
            results = self.compute(np.ascontiguousarray(crops))
        except Exception as error:  # OpenVINO raises RuntimeError, and TypeError for some shapes
            raise CheckpointError(f"OpenVINO could not run the file: {error}") from None
        return [results[self.facts.outputs.index(name)] for name in outputs]


def read_file(path: Path) -> GraphFile:
    """Read an IR's XML and the weights beside it.

    Raises `CheckpointError` if the weights are missing.
    """
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise CheckpointError(
            f"There is no {weights.name} beside {path.name}.",
            hint="An OpenVINO network is two files: put the .bin with its weights into the folder.",
        )
    parts = {"openvino.xml": path.read_bytes(), "openvino.bin": weights.read_bytes()}
    return GraphFile(path.name, "openvino", parts)


def open_session(file: GraphFile) -> OpenvinoSession:
    """Open an IR.

    Raises `CheckpointError` if it is damaged or does not take crops.
    """
    try:
        import openvino
    except ImportError:
        raise MissingExtraError.of(f"Reading {file.name}", "OpenVINO", "openvino") from None
    xml, weights = file.parts["openvino.xml"], file.parts["openvino.bin"]
    read = read_openvino_facts(xml, len(weights), where=file.name)
    try:
        model = openvino.Core().read_model(model=xml, weights=weights)
        requests = Requests(model)
        facts = _facts(model, read, file.name)
    except CheckpointError:
        raise
    except Exception as error:  # the only base class of OpenVINO's errors
        raise CheckpointError(f"OpenVINO cannot open {file.name}: {error}") from None
    return OpenvinoSession(facts, model, requests)


def _facts(model: Any, read: OpenvinoFacts, where: str) -> GraphFacts:
    if len(model.inputs) != 1:
        raise CheckpointError(f"{where} takes {len(model.inputs)} inputs, not one.")
    source = model.inputs[0]
    shape = source.get_partial_shape()
    if shape.rank.is_dynamic:
        raise CheckpointError(f"{where} does not say how many axes its input has.")
    sides = [None if side.is_dynamic else side.get_length() for side in shape]
    dtype = _TYPES.get(source.get_element_type().get_type_name())
    paddle = read.framework == "paddle"
    why = "assumed: a Paddle export, decoded as PP-TinyPose is"
    findings: tuple[Finding, ...] = findings_of(_PADDLE, why) if paddle else ()
    said = {"framework": read.framework, "openvino": read.version}
    return GraphFacts(
        input=graph_input(_name(source), sides, dtype, where=where),
        outputs=tuple(_name(output) for output in model.outputs),
        parameters=read.parameters,
        findings=findings,
        provenance={key: value for key, value in said.items() if value},
    )


def _name(port: Any) -> str:
    """Return a port's name, or that of its node: in old files only nodes have names."""
    names = sorted(port.get_names())
    return str(names[0] if names else port.get_node().get_friendly_name())
