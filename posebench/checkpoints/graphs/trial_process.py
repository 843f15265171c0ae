"""The other side of `trial`: read a graph from standard input, run it, write the findings."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.checkpoints.graphs import onnx, openvino, openvino_front
from posebench.checkpoints.graphs.graphs import Front, GraphFile, Session
from posebench.checkpoints.graphs.pixels import Pixels, measure_pixels
from posebench.errors import CheckpointError
from posebench.networks.sizes import InputSize


def main() -> None:
    """Answer the one request on standard input with one line of JSON."""
    # Output of a runtime must not mix with the answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    request = json.loads(sys.stdin.buffer.readline())
    _limit_memory(request["memory"])
    parts = {name: sys.stdin.buffer.read(size) for name, size in request["parts"].items()}
    file = GraphFile(request["name"], request["format"], parts)
    record: dict[str, Any]
    try:
        record = _tried(file, InputSize.parse(request["size"]))
    except CheckpointError as error:
        record = {"problem": error.message, "hint": error.hint}
    except MemoryError:
        record = {"problem": f"{file.name} asks for more memory than a network needs."}
    answers.write(json.dumps(record) + "\n")
    answers.flush()
    # Some runtimes wait for their threads when a process ends.
    os._exit(0)


def _tried(file: GraphFile, told: InputSize) -> dict[str, Any]:
    session = _open(file)
    facts = session.facts
    size = facts.input.fixed_size or told
    blank = _crops(session, size, (0.0, 0.0, 0.0))
    arrays = session.run(blank, facts.outputs)
    named = dict(zip(facts.outputs, arrays, strict=True))
    return {
        "size": str(size),
        "shapes": {name: list(each.shape) for name, each in named.items()},
        "broken": [name for name, each in named.items() if not np.isfinite(each).all()],
        "pixels": asdict(_pixels(file, session, size)),
    }


def _open(file: GraphFile) -> Session:
    return onnx.open_session(file) if file.format == "onnx" else openvino.open_session(file)


def _pixels(file: GraphFile, session: Session, size: InputSize) -> Pixels:
    try:
        front = _front(session, file.name)
        signed = session.facts.input.dtype is not np.uint8
        return measure_pixels(lambda colour: front(_crops(session, size, colour)), signed=signed)
    except Exception:  # a runtime may raise anything for a part of a graph that it cannot run alone
        return Pixels(problem="does something to its input that could not be determined")


def _front(session: Session, where: str) -> Front:
    if isinstance(session, onnx.OnnxSession):
        return onnx.open_front(session, where=where)
    assert isinstance(session, openvino.OpenvinoSession)
    return openvino_front.open_front(session, where=where)


def _crops(session: Session, size: InputSize, colour: tuple[float, ...]) -> NDArray[Any]:
    """Return a batch of crops of one colour, in the form that the graph takes."""
    taken = session.facts.input
    plain = np.asarray(colour, dtype=np.float32)[None, :, None, None]
    shape = (taken.batch or 1, 3, size.height, size.width)
    return taken.crops(np.broadcast_to(plain, shape))


def _limit_memory(count: int) -> None:
    """Limit the process to `count` bytes of its own, if the system supports that."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (count, count))
