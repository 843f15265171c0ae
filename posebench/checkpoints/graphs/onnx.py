"""ONNX files, opened by onnxruntime (extra `onnx`) from bytes that were checked before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.checkpoints.graphs.front import find_front
from posebench.checkpoints.graphs.graphs import Front, GraphFacts, GraphFile, graph_input
from posebench.checkpoints.graphs.onnx_steps import onnx_steps
from posebench.checkpoints.parsing.onnx_file import read_onnx_facts
from posebench.checkpoints.parsing.onnx_nodes import cut_onnx, read_onnx_nodes, spatial_onnx
from posebench.errors import CheckpointError, MissingExtraError

_ERRORS_ONLY = 3
_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
}


@dataclass(frozen=True)
class OnnxSession:
    """A session of onnxruntime on the CPU that runs the bytes in `graph`.

    A call runs on the calling thread, and several threads may call at once.
    """

    facts: GraphFacts
    session: Any
    graph: bytes = field(repr=False)

    def run(self, crops: NDArray[Any], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run one batch.

        Raises `CheckpointError` if onnxruntime cannot run it.
        """
        name = self.facts.input.name
        try:
            results: list[NDArray[Any]] = self.session.run(
                list(outputs), {name: np.ascontiguousarray(crops)}
            )
        except Exception as error:  # the only base class of onnxruntime's errors
            raise CheckpointError(f"onnxruntime could not run the file: {error}") from None
        return results


def read_file(path: Path) -> GraphFile:
    """Read an ONNX file."""
    return GraphFile(path.name, "onnx", {"onnx.model": path.read_bytes()})


def open_session(file: GraphFile) -> OnnxSession:
    """Open an ONNX graph.

    Raises `CheckpointError` if it is damaged or does not take crops.
    """
    try:
        import onnxruntime  # noqa: F401
    except ImportError:
        raise MissingExtraError.of(f"Reading {file.name}", "onnxruntime", "onnx") from None
    data = file.parts["onnx.model"]
    read = read_onnx_facts(data, where=file.name)
    if read.external:
        raise CheckpointError(
            f"{file.name} keeps weights in other files, which is refused: it could name any file.",
            hint="Save it as one file: onnx.save(onnx.load(FILE), NEW_FILE).",
        )
    data = spatial_onnx(data, where=file.name)
    session = opened(data, file.name)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        listing = ", ".join(f"{each.name} {each.shape} {each.type}" for each in inputs)
        raise CheckpointError(f"{file.name} takes {len(inputs)} inputs, not one: {listing}.")
    sides = [side if isinstance(side, int) and side > 0 else None for side in inputs[0].shape]
    crops = graph_input(inputs[0].name, sides, _TYPES.get(inputs[0].type), where=file.name)
    producer = session.get_modelmeta().producer_name
    facts = GraphFacts(
        input=crops,
        outputs=tuple(output.name for output in session.get_outputs()),
        parameters=read.parameters,
        provenance={"producer": producer} if producer else {},
    )
    return OnnxSession(facts, session, data)


def open_front(session: OnnxSession, *, where: str) -> Front:
    """Return a function that runs the operations between a graph's input and its first layers."""
    source = session.facts.input.name
    read = read_onnx_nodes(session.graph, where=where)
    found = find_front(source, onnx_steps(read), session.facts.outputs)
    kept = [read.nodes[index] for index in found.steps]
    plain = [read.nodes[index] for index in found.rounding]
    ends = [name for name in found.ends if name != source]
    small = cut_onnx(session.graph, kept, plain, source, ends)
    session_of_front = opened(small, where) if ends else None

    def run(crops: NDArray[Any]) -> list[NDArray[Any]]:
        made = []
        if session_of_front is not None:
            made = session_of_front.run(ends, {source: crops})
        return made + [crops] * (source in found.ends)

    return run


def opened(data: bytes, where: str) -> Any:
    """Return a session of onnxruntime on the CPU.

    Raises `CheckpointError` if onnxruntime cannot open the bytes.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"], enable_fallback=False
        )
    except Exception as error:  # the only base class of onnxruntime's errors
        raise CheckpointError(f"onnxruntime cannot open {where}: {error}") from None
