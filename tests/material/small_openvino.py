"""Small OpenVINO networks of seeded weights, written with OpenVINO's own API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino.opset13 as ops

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(17, 3, 4, 4)).astype(np.float32)


def crops_input(shape: list[int], kind: type[np.generic] = np.float32) -> Any:
    node = ops.parameter(shape, kind, name="image")
    node.output(0).set_names({"image"})
    return node


def convolved(node: Any) -> Any:
    maps = ops.convolution(node, ops.constant(WEIGHT), [4, 4], [0, 0], [0, 0], [1, 1])
    maps.output(0).set_names({"maps"})
    return maps


def save(path: Path, outputs: list[Any], crops: Any) -> Path:
    model = openvino.Model(outputs, [crops], "small")
    openvino.save_model(model, str(path), compress_to_fp16=False)
    return path


def save_heatmap(path: Path, shape: list[int] | None = None) -> Path:
    """Write a 4x4 convolution of stride 4, and the argmax of its maps."""
    crops = crops_input(shape or [1, 3, 64, 48])
    maps = convolved(crops)
    flat = ops.reshape(maps, ops.constant(np.array([0, 17, -1])), True)
    best = ops.topk(flat, ops.constant(np.int64(1)), 2, "max", "none")
    best.output(1).set_names({"argmax"})
    return save(path, [maps.output(0), best.output(1)], crops)
