"""Small ONNX networks of seeded weights, written with `onnx.helper`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Axes = Sequence[int | str]
RANDOM = np.random.default_rng(0)


def save_graph(
    path: Path,
    nodes: list[Any],
    weights: Mapping[str, NDArray[Any]],
    axes: Axes,
    outputs: list[str],
    opset: int = 17,
) -> None:
    """Write a graph of one input, `input`, of the axes given."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, axes)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save(model, str(path))


def save_heatmap(path: Path, axes: Axes, keypoints: int = 17) -> NDArray[np.float32]:
    """Write a 4x4 convolution of stride 4 as a heatmap network and return its weights."""
    weight = RANDOM.normal(size=(keypoints, 3, 4, 4)).astype(np.float32)
    node = helper.make_node("Conv", ["input", "w"], ["maps"], kernel_shape=[4, 4], strides=[4, 4])
    save_graph(path, [node], {"w": weight}, axes, ["maps"])
    return weight


def save_simcc(path: Path, axes: Axes, names: tuple[str, str] = ("simcc_x", "simcc_y")) -> None:
    """Write a SimCC network for 64x48 crops with split ratio 2."""
    weights: dict[str, NDArray[Any]] = {
        "w": RANDOM.normal(size=(17, 3, 16, 16)).astype(np.float32),
        "shape": np.array([0, 17, 12], dtype=np.int64),
        "wx": RANDOM.normal(size=(12, 96)).astype(np.float32),
        "wy": RANDOM.normal(size=(12, 128)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["m"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Reshape", ["m", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "wx"], [names[0]]),
        helper.make_node("MatMul", ["flat", "wy"], [names[1]]),
    ]
    save_graph(path, nodes, weights, axes, [names[1], names[0]])
