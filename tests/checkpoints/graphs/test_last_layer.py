"""The last layers of exported graphs: found, read, and refused where they are no products."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino.opset13 as ops
import pytest
import small_onnx
import small_openvino
from numpy.typing import NDArray
from onnx import helper

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.checkpoints.graphs.last_layer import LastLayer, open_layers

RNG = np.random.default_rng(0)
FIRST = RNG.normal(size=(6, 3, 4, 4)).astype(np.float32)
LAST = RNG.normal(size=(17, 6, 1, 1)).astype(np.float32)
BIAS = RNG.normal(size=17).astype(np.float32)
CROPS = RNG.normal(size=(3, 3, 64, 48)).astype(np.float32)


def network(path: Path) -> ExportedNetwork:
    found = load_checkpoint(path).network
    assert isinstance(found, ExportedNetwork)
    return found


def layers(path: Path) -> list[LastLayer]:
    read = open_layers(network(path))
    assert read is not None
    return read(CROPS)


def is_product(layer: LastLayer) -> bool:
    weight, bias = layer.weight.reshape(len(layer.weight), -1), layer.bias
    product = np.einsum("nchw,kc->nkhw", layer.inputs, weight)
    return bool(np.allclose(product + (0 if bias is None else bias[:, None, None]), layer.output,
                            atol=1e-4))  # fmt: skip


def save_onnx(path: Path, batch: int | str, added: bool, kernel: int = 1) -> Path:
    """Write two convolutions, the bias of the last one its own or added after it."""
    last = np.repeat(np.repeat(LAST, kernel, 2), kernel, 3) / kernel**2
    sizes: dict[str, Any] = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4}
    weights: dict[str, NDArray[Any]] = {"first": FIRST, "last": last.astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["input", "first"], ["t"], kernel_shape=[4, 4], strides=[4, 4])
    ]
    if added:
        weights["bias"] = BIAS[None, :, None, None]
        nodes += [
            helper.make_node("Conv", ["t", "last"], ["m"], **sizes),
            helper.make_node("Add", ["m", "bias"], ["sum"]),
            helper.make_node("Identity", ["sum"], ["maps"]),
        ]
    else:
        weights["bias"] = BIAS
        nodes.append(helper.make_node("Conv", ["t", "last", "bias"], ["maps"], **sizes))
    small_onnx.save_graph(path, nodes, weights, [batch, 3, 64, 48], ["maps"])
    return path


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("batch", ["N", 2])
def test_an_onnx_heatmap_is_read_with_its_tokens(
    tmp_path: Path, batch: int | str, added: bool
) -> None:
    (found,) = layers(save_onnx(tmp_path / "a.onnx", batch, added))
    assert found.inputs.shape == (3, 6, 16, 12) and is_product(found)
    assert found.bias is not None and found.bias == pytest.approx(BIAS)


def test_a_wider_last_kernel_is_read_as_well(tmp_path: Path) -> None:
    (found,) = layers(save_onnx(tmp_path / "a.onnx", "N", added=False, kernel=3))
    assert found.weight.shape == (17, 6, 3, 3)


def test_onnx_bins_are_products_of_codes(tmp_path: Path) -> None:
    small_onnx.save_simcc(tmp_path / "a.onnx", ["N", 3, 64, 48])
    for found in layers(tmp_path / "a.onnx"):
        assert np.allclose(found.inputs @ found.weight.T, found.output, rtol=1e-4, atol=1e-3)


def test_an_openvino_heatmap_is_read_with_its_tokens(tmp_path: Path) -> None:
    crops = small_openvino.crops_input([-1, 3, 64, 48])
    tokens = ops.convolution(crops, ops.constant(FIRST), [4, 4], [0, 0], [0, 0], [1, 1])
    made = ops.convolution(tokens, ops.constant(LAST), [1, 1], [0, 0], [0, 0], [1, 1])
    maps = ops.add(made, ops.constant(BIAS[None, :, None, None]))
    maps.output(0).set_names({"maps"})
    (found,) = layers(small_openvino.save(tmp_path / "a.xml", [maps.output(0)], crops))
    assert found.inputs.shape == (3, 6, 16, 12) and is_product(found)


def test_a_layer_that_halves_the_grid_is_no_product_of_cells(tmp_path: Path) -> None:
    small_onnx.save_heatmap(tmp_path / "a.onnx", ["N", 3, 64, 48])
    small_openvino.save_heatmap(tmp_path / "b.xml")
    assert open_layers(network(tmp_path / "a.onnx")) is None
    assert open_layers(network(tmp_path / "b.xml")) is None


@pytest.mark.parametrize(
    ("name", "channels"),
    [("ultralight_simplepose_256x192.onnx", 128), ("pp_tinypose_256x192/model.xml", 40)],
)
def test_real_networks_are_products(shared_dir: Path, name: str, channels: int) -> None:
    read = open_layers(network(shared_dir / "data" / "weights" / name))
    assert read is not None
    (found,) = read(np.random.default_rng(0).normal(size=(2, 3, 256, 192)).astype(np.float32))
    assert found.inputs.shape == (2, channels, 64, 48) and is_product(found)
