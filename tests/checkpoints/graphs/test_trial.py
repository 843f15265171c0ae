"""Exported files that would never finish, fill the memory or crash their process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from posebench.checkpoints import inspect_checkpoint
from posebench.checkpoints.graphs import trial
from posebench.checkpoints.graphs.graphs import GraphFile
from posebench.errors import CheckpointError
from posebench.networks.sizes import InputSize

SIZE = InputSize(64, 48)


def info(name: str, kind: int = TensorProto.FLOAT, sides: Any = None) -> Any:
    return helper.make_tensor_value_info(name, kind, sides)


def save(path: Path, nodes: list[Any], **weights: np.ndarray) -> Path:
    """Write a heatmap network with further `nodes` that compute the output `more`."""
    convolution = helper.make_node("Conv", ["input", "w"], ["maps"], strides=[4, 4])
    weights = {"w": np.ones((17, 3, 4, 4), np.float32), **weights}
    graph = helper.make_graph(
        [convolution, *nodes],
        "hostile",
        [info("input", sides=[1, 3, 64, 48])],
        [info("maps"), info("more")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def loop(path: Path) -> Path:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Identity", ["x"], ["xo"])],
        "body",
        [info("i", TensorProto.INT64, []), info("c", TensorProto.BOOL, []), info("x")],
        [info("co", TensorProto.BOOL, []), info("xo")],
    )
    node = helper.make_node("Loop", ["trips", "go", "maps"], ["more"], body=body)
    return save(path, [node], trips=np.array(2**62), go=np.array(True))


def test_a_graph_that_never_ends_is_refused_in_bounded_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "LIMIT_SECONDS", 5.0)
    start = time.monotonic()
    with pytest.raises(CheckpointError, match="does not answer one blank crop within 5 seconds"):
        inspect_checkpoint(loop(tmp_path / "net.onnx"))
    assert time.monotonic() - start < 60


def test_a_graph_that_asks_for_all_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "LIMIT_BYTES", 2**30)
    nodes = [
        helper.make_node("Shape", ["maps"], ["sides"]),
        helper.make_node("Mul", ["sides", "large"], ["sizes"]),
        helper.make_node("Expand", ["maps", "sizes"], ["grown"]),
        helper.make_node("ConstantOfShape", ["sizes"], ["more"]),
    ]
    large = np.array([10**6, 1, 1, 1])
    with pytest.raises(CheckpointError, match=r"net\.onnx"):
        inspect_checkpoint(save(tmp_path / "net.onnx", [nodes[0], nodes[1], nodes[3]], large=large))


def test_a_process_that_breaks_off_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_START", "import os; os.abort()")
    with pytest.raises(CheckpointError, match=r"ended its process \(exit code -6\)"):
        trial.try_out(GraphFile("net.onnx", "onnx", {"onnx.model": b""}), SIZE)


def test_the_working_directory_is_no_place_for_modules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    file = GraphFile("net.onnx", "onnx", {"onnx.model": b"\x08\x08"})
    with pytest.raises(CheckpointError, match=r"onnxruntime cannot open net\.onnx"):
        trial.try_out(file, SIZE)
