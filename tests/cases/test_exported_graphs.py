"""Exported networks that prepare their input themselves, or never end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.graphs import trial
from posebench.networks.sizes import InputSize
from posebench.networks.spec import IMAGENET_MEAN, IMAGENET_STD
from posebench.prediction.engines.exporting import onnx_graph
from posebench.zoo import resolve

AveragePrecision = Callable[..., float]
SIZE = InputSize(128, 96)


@pytest.fixture(scope="module")
def exported() -> Any:
    """Return heatmap-s as an ONNX model of crops that are normalised already."""
    loaded = load_checkpoint(resolve("heatmap-s"))
    return onnx.load_from_string(onnx_graph(loaded.network, SIZE))


def in_front(exported: Any, path: Path, *operations: tuple[str, Any]) -> Path:
    """Write the model with operations between its input and its first layer.

    Each is an operation's type with its second input, or with its attributes.
    """
    model = onnx.ModelProto()
    model.CopyFrom(exported)
    graph = model.graph
    nodes, value = [], graph.input[0].name
    for number, (kind, more) in enumerate(operations):
        attributes = more if isinstance(more, dict) else {}
        inputs = [value]
        if "second" in attributes or not isinstance(more, dict):
            second = attributes.pop("second", more)
            graph.initializer.append(numpy_helper.from_array(second, f"front{number}"))
            inputs.append(f"front{number}")
        value = f"made{number}"
        nodes.append(helper.make_node(kind, inputs, [value], **attributes))
    for node in graph.node:
        node.input[:] = [value if each == graph.input[0].name else each for each in node.input]
    for place, node in enumerate(nodes):
        graph.node.insert(place, node)
    onnx.save(model, str(path))
    return path


def constant(values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, np.float32).reshape(1, 3, 1, 1)


NORMALISING = (("Sub", constant(IMAGENET_MEAN)), ("Div", constant(IMAGENET_STD)))
CAST = ("Cast", {"to": TensorProto.FLOAT})


@pytest.fixture
def reference(
    exported: Any, average_precision: AveragePrecision, twelve_scenes: Path, tmp_path: Path
) -> float:
    path = in_front(exported, tmp_path / "reference_128x96.onnx")
    return average_precision(path, "--dataset", twelve_scenes)


def test_30_reference(reference: float) -> None:
    assert reference == pytest.approx(49.6, abs=4)


def test_31_a_graph_that_normalises_behind_a_cast(
    run: Any,
    exported: Any,
    average_precision: AveragePrecision,
    reference: float,
    twelve_scenes: Path,
    tmp_path: Path,
) -> None:
    path = in_front(exported, tmp_path / "cast_128x96.onnx", CAST, *NORMALISING)
    spec = tmp_path / "nonorm.yaml"
    spec.write_text("crop: {mean: [0, 0, 0], std: [1, 1, 1]}\n")
    ask = (path, "--dataset", twelve_scenes)
    assert average_precision(*ask) == pytest.approx(reference, abs=0.5)
    assert average_precision(*ask, "--spec", spec) == pytest.approx(reference, abs=0.5)
    assert "[normalises-itself]" in run("eval", *ask, "--replicates", 0).out


def test_33_a_graph_that_turns_the_channels_round(
    run: Any,
    exported: Any,
    average_precision: AveragePrecision,
    reference: float,
    twelve_scenes: Path,
    tmp_path: Path,
) -> None:
    turn = ("Gather", {"second": np.array([2, 1, 0]), "axis": 1})
    path = in_front(exported, tmp_path / "flip_128x96.onnx", turn)
    ask = (path, "--dataset", twelve_scenes)
    asked = run("eval", *ask, "--replicates", 0)
    assert asked.code == 3
    assert "turns the order of its input's channels round" in asked.out
    spec = tmp_path / "bgr.yaml"
    mean, std = (list(values[::-1]) for values in (IMAGENET_MEAN, IMAGENET_STD))
    spec.write_text(f"crop: {{channels: bgr, mean: {mean}, std: {std}}}\n")
    assert average_precision(*ask, "--spec", spec) == pytest.approx(reference, abs=0.5)


def test_54_a_loop_of_2_to_the_62_trips(
    run: Any, exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "LIMIT_SECONDS", 5.0)
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["co"]), helper.make_node("Identity", ["x"], ["xo"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("co", TensorProto.BOOL, []),
            helper.make_tensor_value_info("xo", TensorProto.FLOAT, None),
        ],
    )
    model = onnx.ModelProto()
    model.CopyFrom(exported)
    graph = model.graph
    end = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["before" if each == end else each for each in node.output]
    graph.initializer.append(numpy_helper.from_array(np.array(2**62), "trips"))
    graph.initializer.append(numpy_helper.from_array(np.array(True), "go"))
    graph.node.append(helper.make_node("Loop", ["trips", "go", "before"], [end], body=body))
    onnx.save(model, str(tmp_path / "net.onnx"))
    done = run("inspect", tmp_path / "net.onnx")
    assert done.code == 2 and "its graph may loop" in done.err
