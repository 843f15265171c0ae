"""OpenVINO IR (`.xml` beside `.bin`), run by OpenVINO (extra `openvino`).

What is assumed of exports from Paddle is what PaddleDetection computes for PP-TinyPose:
`deploy/python/keypoint_postprocess.py` and `configs/keypoint/tiny_pose`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.graphs import GraphFacts, GraphFile, graph_input
from posebench.checkpoints.openvino_file import OpenvinoFacts, read_openvino_facts
from posebench.errors import CheckpointError

_TYPES: dict[str, type[np.generic]] = {"f32": np.float32, "f16": np.float16}
_PADDLE = {
    "codec": {"decoder": "dark", "blur_kernel": 3},
    "crop": {"udp": True},
    "flip": {"test": False},
}


@dataclass(frozen=True)
class OpenvinoSession:
    """A compiled network of OpenVINO on the CPU."""

    facts: GraphFacts
    network: Any

    def run(self, crops: NDArray[Any], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run one batch; raise `CheckpointError` where OpenVINO cannot."""
        try:
            results = list(self.network([np.ascontiguousarray(crops)]).values())
        except Exception as error:  # OpenVINO raises RuntimeError, and TypeError for some shapes
            raise CheckpointError(f"OpenVINO could not run the file: {error}") from None
        return [np.asarray(results[self.facts.outputs.index(name)]) for name in outputs]


def read_file(path: Path) -> GraphFile:
    """Read an IR's XML and the weights beside it; raise `CheckpointError` without them."""
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise CheckpointError(
            f"There is no {weights.name} beside {path.name}.",
            hint="An OpenVINO network is two files: put the .bin with its weights into the folder.",
        )
    parts = {"openvino.xml": path.read_bytes(), "openvino.bin": weights.read_bytes()}
    return GraphFile(path.name, "openvino", parts)


def open_session(file: GraphFile) -> OpenvinoSession:
    """Open an IR; raise `CheckpointError` where it is damaged or takes no crops."""
    try:
        import openvino
    except ImportError:
        raise CheckpointError(
            f"Reading {file.name} needs OpenVINO, which is not installed.",
            hint='Run: pip install "posebench-pose[openvino]"',
        ) from None
    xml, weights = file.parts["openvino.xml"], file.parts["openvino.bin"]
    read = read_openvino_facts(xml, len(weights), where=file.name)
    # In float32: by default some processors compute in bfloat16.
    settings = {
        "INFERENCE_NUM_THREADS": str(torch.get_num_threads()),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        core = openvino.Core()
        model = core.read_model(model=xml, weights=weights)
        network = core.compile_model(model, "CPU", settings)
        facts = _facts(model, read, file.name)
    except CheckpointError:
        raise
    except Exception as error:  # OpenVINO's errors share no base class but this
        raise CheckpointError(f"OpenVINO cannot open {file.name}: {error}") from None
    return OpenvinoSession(facts, network)


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
        first_operations=frozenset(
            target.get_node().get_type_name() for target in source.get_target_inputs()
        ),
        findings=findings,
        provenance={key: value for key, value in said.items() if value},
    )


def _name(port: Any) -> str:
    """Return a port's own name; those of old files have none, their nodes do."""
    names = sorted(port.get_names())
    return str(names[0] if names else port.get_node().get_friendly_name())
