"""Graphs that normalise their input themselves, in all the ways that exports do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import openvino.opset13 as ops
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.findings import Finding
from posebench.checkpoints.graphs import (
    onnx as onnx_graphs,
    openvino as openvino_graphs,
    openvino_front,
)
from posebench.checkpoints.graphs.graphs import GraphInput
from posebench.checkpoints.graphs.normalisation import crop_findings
from posebench.checkpoints.graphs.pixels import Pixels, measure_pixels
from posebench.errors import CheckpointError
from posebench.networks.sizes import InputSize
from posebench.networks.spec import IMAGENET_MEAN, IMAGENET_STD
from posebench.zoo import published_checkpoints

MEAN = np.array(IMAGENET_MEAN, np.float32).reshape(1, 3, 1, 1)
STD = np.array(IMAGENET_STD, np.float32).reshape(1, 3, 1, 1)
HALF_WAY = np.full((1, 1, 1, 1), 127.5, np.float32)
KERNEL = np.random.default_rng(0).normal(size=(17, 3, 4, 4)).astype(np.float32)
NOTHING, ALL_ONES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
SIZE = InputSize(64, 48)
FLOAT, HALF, BYTE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


class Graph:
    """An ONNX graph under construction: `add` returns the name of an operation's output."""

    def __init__(self, kind: int = FLOAT, *, last: bool = False) -> None:
        self.kind, self.last = kind, last
        self.nodes: list[Any] = []
        self.weights: dict[str, np.ndarray] = {}

    def add(
        self, operation: str, *inputs: str | np.ndarray, count: int = 1, **attributes: Any
    ) -> Any:
        names = []
        for each in inputs:
            if isinstance(each, str):
                names.append(each)
            else:
                names.append(f"w{len(self.weights)}")
                self.weights[names[-1]] = each
        outputs = [f"v{len(self.nodes)}_{index}" for index in range(count)]
        self.nodes.append(helper.make_node(operation, names, outputs, **attributes))
        return outputs[0] if count == 1 else outputs

    def save(self, path: Path, end: str, *, half: bool = False) -> Path:
        """Put a 4x4 convolution of stride 4 behind `end` as a heatmap network."""
        kernel = KERNEL.astype(np.float16) if half else KERNEL
        maps = self.add("Conv", end, kernel, kernel_shape=[4, 4], strides=[4, 4])
        sides = [1, 64, 48, 3] if self.last else [1, 3, 64, 48]
        graph = helper.make_graph(
            self.nodes,
            "small",
            [helper.make_tensor_value_info("input", self.kind, sides)],
            [helper.make_tensor_value_info(maps, HALF if half else FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in self.weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(model, str(path))
        return path


def normalised(graph: Graph, value: str, mean: np.ndarray = MEAN, std: np.ndarray = STD) -> str:
    return str(graph.add("Div", graph.add("Sub", value, mean), std))


def turned(graph: Graph, value: str) -> str:
    return str(graph.add("Gather", value, np.array([2, 1, 0]), axis=1))


def by_cast(graph: Graph) -> str:
    return normalised(graph, graph.add("Cast", "input", to=FLOAT))


def by_identity(graph: Graph) -> str:
    return normalised(graph, graph.add("Identity", graph.add("Identity", "input")))


def by_split(graph: Graph) -> str:
    parts = graph.add("Split", "input", axis=1, count=3)
    one_by_one = [
        graph.add("Div", graph.add("Sub", part, MEAN[:, c]), STD[:, c])
        for c, part in enumerate(parts)
    ]
    return str(graph.add("Concat", *one_by_one, axis=1))


def by_batch_norm(graph: Graph) -> str:
    flat_mean, variance = MEAN.ravel(), np.square(STD.ravel())
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    return str(
        graph.add("BatchNormalization", "input", ones, zeros, flat_mean, variance, epsilon=1e-5)
    )


def by_pointwise_convolution(graph: Graph) -> str:
    weight = np.diag(1 / STD.ravel()).reshape(3, 3, 1, 1).astype(np.float32)
    return str(graph.add("Conv", "input", weight, (-MEAN / STD).ravel(), kernel_shape=[1, 1]))


def by_depthwise_convolution(graph: Graph) -> str:
    weight = (1 / STD).reshape(3, 1, 1, 1).astype(np.float32)
    return str(graph.add("Conv", "input", weight, (-MEAN / STD).ravel(), group=3))


def by_constants(graph: Graph) -> str:
    scale = graph.add("Constant", value=numpy_helper.from_array(1 / STD, "s"))
    shift = graph.add("Constant", value=numpy_helper.from_array(-MEAN / STD, "t"))
    return str(graph.add("Add", graph.add("Mul", "input", scale), shift))


def through_quantised(graph: Graph) -> str:
    zero, step = np.uint8(114), np.float32(0.0187)
    value = normalised(graph, "input")
    as_bytes = graph.add("QuantizeLinear", value, np.array(step), np.array(zero))
    return str(graph.add("DequantizeLinear", as_bytes, np.array(step), np.array(zero)))


def padded_and_shaped(graph: Graph) -> str:
    """Zero padding, and a shape computed from the input's shape."""
    shape = graph.add("Shape", "input")
    value = graph.add("Reshape", normalised(graph, "input"), shape)
    return str(graph.add("Pad", value, np.array([0, 0, 4, 4, 0, 0, 4, 4])))


def by_spatial_convolution(graph: Graph) -> str:
    """A 3x3 convolution, each channel on its own, with weights in its middle alone."""
    weight = np.zeros((3, 1, 3, 3), np.float32)
    weight[:, 0, 1, 1] = 1 / STD.ravel()
    shift = (-MEAN / STD).ravel()
    return str(graph.add("Conv", "input", weight, shift, group=3, pads=[1, 1, 1, 1]))


def by_einsum(graph: Graph) -> str:
    scale = np.diag(1 / STD.ravel()).astype(np.float32)
    value = graph.add("Einsum", "input", scale, equation="bchw,dc->bdhw")
    return str(graph.add("Sub", value, MEAN / STD))


def clipped(graph: Graph) -> str:
    return str(graph.add("Clip", "input", np.array(0, np.float32), np.array(255, np.float32)))


def conditionally(graph: Graph) -> str:
    """Both branches take the input without listing it as one."""
    branches = {}
    for name, operation in (("then_branch", "Neg"), ("else_branch", "Identity")):
        made = helper.make_tensor_value_info(name, FLOAT, [1, 3, 64, 48])
        node = helper.make_node(operation, ["input"], [name])
        branches[name] = helper.make_graph([node], name, [], [made])
    return str(graph.add("If", np.array(True), **branches))


IMAGENET = ("rgb", NOTHING, ALL_ONES)
ONNX: dict[str, tuple[Callable[[Graph], str], tuple[Any, ...] | None]] = {
    "nothing": (lambda g: "input", ()),
    "sub": (lambda g: normalised(g, "input"), IMAGENET),
    "cast": (by_cast, IMAGENET),
    "identity": (by_identity, IMAGENET),
    "split": (by_split, IMAGENET),
    "batch norm": (by_batch_norm, IMAGENET),
    "1x1": (by_pointwise_convolution, IMAGENET),
    "depthwise": (by_depthwise_convolution, IMAGENET),
    "constants": (by_constants, IMAGENET),
    "quantised": (through_quantised, IMAGENET),
    "padded": (padded_and_shaped, IMAGENET),
    "turned first": (lambda g: normalised(g, turned(g, "input")), ("bgr", NOTHING, ALL_ONES)),
    "turned last": (lambda g: turned(g, normalised(g, "input")), IMAGENET),
    "0-1": (
        lambda g: normalised(g, "input", MEAN / 255, STD / 255), ("rgb", NOTHING, (255.0,) * 3)
    ),
    "by 255 first": (
        lambda g: normalised(
            g, g.add("Div", "input", np.array(255, np.float32)), MEAN / 255, STD / 255
        ),
        IMAGENET,
    ),
    "scale alone": (
        lambda g: g.add("Mul", "input", np.array(1 / 255, np.float32)), (None, NOTHING, ALL_ONES)
    ),
    "-1 to 1": (
        lambda g: normalised(g, "input", HALF_WAY, HALF_WAY),
        (None, NOTHING, ALL_ONES),
    ),
    "mean alone": (
        lambda g: g.add("Sub", "input", MEAN[:, ::-1].copy()), ("bgr", NOTHING, ALL_ONES)
    ),
    "rectified": (lambda g: normalised(g, g.add("Relu", "input")), IMAGENET),
    "rounded down": (lambda g: normalised(g, g.add("Floor", "input")), IMAGENET),
    "pooled": (
        lambda g: normalised(
            g, g.add("AveragePool", "input", kernel_shape=[2, 2], strides=[2, 2])
        ),
        IMAGENET,
    ),
    "3x3": (by_spatial_convolution, IMAGENET),
    "einsum": (by_einsum, IMAGENET),
    "clipped": (lambda g: normalised(g, clipped(g)), IMAGENET),
    "clipped alone": (clipped, None),
    "rectified alone": (lambda g: g.add("Relu", "input"), None),
    "sigmoid": (lambda g: g.add("Sigmoid", "input"), None),
    "instance norm": (
        lambda g: g.add(
            "InstanceNormalization", "input", np.ones(3, np.float32), np.zeros(3, np.float32)
        ),
        None,
    ),
    "turned alone": (lambda g: turned(g, "input"), None),
    "turned by a slice": (
        lambda g: g.add(
            "Slice", "input", np.array([-1]), np.array([-(2**31)]), np.array([1]), np.array([-1])
        ),
        None,
    ),
    "turned by split": (
        lambda g: g.add("Concat", *g.add("Split", "input", axis=1, count=3)[::-1], axis=1), None
    ),
    "std alone": (lambda g: g.add("Div", "input", STD), None),
    "grey": (
        lambda g: g.add("Conv", "input", np.full((3, 3, 1, 1), 1 / 3, np.float32)), None
    ),
    "power": (lambda g: g.add("Pow", "input", np.array(0.45, np.float32)), None),
    "by the crop's own mean": (
        lambda g: g.add("Sub", "input", g.add("ReduceMean", "input", axes=[2, 3])), None
    ),
}  # fmt: skip


def pixels_of(path: Path) -> Pixels:
    """Measure a file in this process, which is faster than in a separate one."""
    session = onnx_graphs.open_session(onnx_graphs.read_file(path))
    front = onnx_graphs.open_front(session, where=path.name)
    taken = session.facts.input
    signed = taken.dtype is not np.uint8
    return measure_pixels(lambda colour: front(plain_crop(taken, colour)), signed=signed)


def plain_crop(taken: GraphInput, colour: Sequence[float]) -> np.ndarray:
    plain = np.asarray(colour, np.float32)[None, :, None, None]
    return taken.crops(np.broadcast_to(plain, (1, 3, SIZE.height, SIZE.width)))


def crop_of(pixels: Pixels, kind: type[np.generic] = np.float32) -> tuple[Any, ...]:
    """Return the (channels or None, mean, std) that a graph asks for, or () if it asks for none."""
    taken = GraphInput("input", kind, 1, SIZE)
    found = {f.field: f.value for f in crop_findings(pixels, taken, (), where="net")}
    names = ("crop.channels", "crop.mean", "crop.std")
    return tuple(found.get(name) for name in names) if found else ()


@pytest.mark.parametrize("name", ONNX)
def test_what_a_graph_does_to_pixels_decides_the_crop(name: str, tmp_path: Path) -> None:
    front, expected = ONNX[name]
    graph = Graph()
    pixels = pixels_of(graph.save(tmp_path / "net.onnx", front(graph)))
    if expected is not None:
        assert crop_of(pixels) == expected
    else:
        with pytest.raises(CheckpointError, match="before its first layer") as caught:
            crop_of(pixels)
        assert "--spec" in str(caught.value.hint)
        assert "channels: bgr" in str(caught.value.hint)


def test_a_graph_that_cannot_be_cut_asks(tmp_path: Path) -> None:
    graph = Graph()
    with pytest.raises(CheckpointError, match="could not be determined"):
        load_checkpoint(graph.save(tmp_path / "net.onnx", conditionally(graph)))


def test_channels_last_bytes_and_halves(tmp_path: Path) -> None:
    graph = Graph(BYTE, last=True)
    moved = graph.add("Transpose", graph.add("Cast", "input", to=FLOAT), perm=[0, 3, 1, 2])
    pixels = pixels_of(graph.save(tmp_path / "net.onnx", normalised(graph, moved)))
    assert crop_of(pixels, np.uint8) == IMAGENET
    last = Graph(last=True)
    matrix = np.diag(1 / STD.ravel()).astype(np.float32)
    value = last.add("MatMul", last.add("Sub", "input", MEAN.ravel()), matrix)
    moved = last.add("Transpose", value, perm=[0, 3, 1, 2])
    assert crop_of(pixels_of(last.save(tmp_path / "last.onnx", moved))) == IMAGENET
    half = Graph(HALF)
    value = normalised(half, "input", MEAN.astype(np.float16), STD.astype(np.float16))
    pixels = pixels_of(half.save(tmp_path / "half.onnx", value, half=True))
    assert crop_of(pixels, np.float16) == IMAGENET
    raw = Graph(BYTE)
    pixels = pixels_of(raw.save(tmp_path / "raw.onnx", raw.add("Cast", "input", to=FLOAT)))
    assert crop_of(pixels, np.uint8) == (None, NOTHING, ALL_ONES)
    mean = Finding("crop.mean", IMAGENET_MEAN, "--spec x.yaml")
    with pytest.raises(CheckpointError, match="takes bytes"):
        crop_findings(pixels, GraphInput("input", np.uint8, 1, SIZE), (mean,), where="net")


def openvino_pixels(end: Any, crops: Any) -> Pixels:
    maps = ops.convolution(end, ops.constant(KERNEL), [4, 4], [0, 0], [0, 0], [1, 1])
    path = Path("net.xml")
    xml, weights = path.with_suffix(".xml"), path.with_suffix(".bin")
    openvino.save_model(openvino.Model([maps], [crops], "net"), str(xml), compress_to_fp16=False)
    assert weights.is_file()
    session = openvino_graphs.open_session(openvino_graphs.read_file(xml))
    front = openvino_front.open_front(session, where="net")
    return measure_pixels(lambda colour: front(plain_crop(session.facts.input, colour)))


def test_openvino_fronts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def crops(shape: Sequence[int] = (1, 3, 64, 48), kind: Any = np.float32) -> Any:
        return ops.parameter(list(shape), kind, name="input")

    def scaled(value: Any, mean: np.ndarray = MEAN, std: np.ndarray = STD) -> Any:
        return ops.divide(ops.subtract(value, ops.constant(mean)), ops.constant(std))

    def turned_round(value: Any) -> Any:
        axis = ops.constant(np.int64(1))
        return ops.gather(value, ops.constant(np.array([2, 1, 0])), axis)

    plain = crops()
    assert crop_of(openvino_pixels(plain, plain)) == ()
    source = crops()
    assert crop_of(openvino_pixels(scaled(source), source)) == IMAGENET
    source = crops()
    assert crop_of(openvino_pixels(scaled(turned_round(source)), source))[0] == "bgr"
    source = crops()
    with pytest.raises(CheckpointError, match="channels round"):
        crop_of(openvino_pixels(turned_round(source), source))
    source = crops((1, 64, 48, 3), np.uint8)
    moved = ops.transpose(ops.convert(source, "f32"), ops.constant(np.array([0, 3, 1, 2])))
    assert crop_of(openvino_pixels(scaled(moved), source), np.uint8) == IMAGENET
    source = crops()
    weight = np.diag(1 / STD.ravel()).reshape(3, 3, 1, 1).astype(np.float32)
    product = ops.convolution(source, ops.constant(weight), [1, 1], [0, 0], [0, 0], [1, 1])
    shifted = ops.add(product, ops.constant(-MEAN / STD))
    assert crop_of(openvino_pixels(shifted, source)) == IMAGENET
    source = crops()
    pooled = ops.avg_pool(source, [2, 2], [0, 0], [0, 0], [2, 2], False)
    assert crop_of(openvino_pixels(scaled(pooled), source)) == IMAGENET
    source = crops()
    with pytest.raises(CheckpointError, match="values below 0"):
        crop_of(openvino_pixels(ops.relu(source), source))
    source = crops()
    ends = [ops.constant(np.float32(value)) for value in (-2.2, 2.7, -2.2, 2.7)]
    rounded = ops.fake_quantize(scaled(source), *ends, 256)
    assert crop_of(openvino_pixels(rounded, source)) == IMAGENET


def test_a_graph_answers_the_same_whoever_normalises(tmp_path: Path) -> None:
    crop = np.random.default_rng(1).integers(0, 256, (2, 3, 64, 48)).astype(np.float32)
    plain = Graph()
    outside = load_checkpoint(plain.save(tmp_path / "plain.onnx", "input"))
    expected = outside.network(torch.from_numpy((crop - MEAN) / STD))[0]
    graph = Graph(BYTE, last=True)
    moved = graph.add("Transpose", graph.add("Cast", "input", to=FLOAT), perm=[0, 3, 1, 2])
    inside = load_checkpoint(graph.save(tmp_path / "own.onnx", normalised(graph, moved)))
    assert (inside.spec.crop.mean, inside.spec.crop.std) == (NOTHING, ALL_ONES)
    evidence = {field: why for field, _, why in inside.evidence}
    assert evidence["crop.mean"].startswith("the graph normalises pixels 0-255 itself")
    found = inside.network(torch.from_numpy(crop))[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_a_turned_graph_asks_and_then_gets_imagenets_means_by_colour(tmp_path: Path) -> None:
    graph, spec = Graph(), tmp_path / "spec.yaml"
    path = graph.save(tmp_path / "net.onnx", turned(graph, "input"))
    with pytest.raises(CheckpointError, match="turns the order of its input's channels round"):
        load_checkpoint(path)
    spec.write_text("crop: {channels: bgr}\n")
    crop = load_checkpoint(path, spec).spec.crop
    assert (crop.channels, crop.mean, crop.std) == ("bgr", IMAGENET_MEAN[::-1], IMAGENET_STD[::-1])
    spec.write_text("crop: {channels: rgb}\n")
    assert load_checkpoint(path, spec).spec.crop.mean == IMAGENET_MEAN


def test_a_pipeline_that_would_normalise_twice_is_refused() -> None:
    taken = GraphInput("input", np.float32, 1, SIZE)
    pixels = Pixels(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    said = Finding("crop.mean", IMAGENET_MEAN, "pipeline.json data_preprocessor")
    with pytest.raises(CheckpointError, match=r"pipeline\.json data_preprocessor says crop\.mean"):
        crop_findings(pixels, taken, (said,), where="net")
    told = Finding("crop.mean", IMAGENET_MEAN, "--spec x.yaml")
    assert crop_findings(pixels, taken, (told,), where="net")


def test_what_the_zoo_knows_of_the_weights_does_not_normalise_twice(tmp_path: Path) -> None:
    entry = next(
        each
        for each in published_checkpoints()
        if each.codec.decoder == "quarter" and each.keypoints == "coco" and each.crop and each.urls
    )
    name = entry.file_name.removesuffix(".pth") + ".onnx"
    graph = Graph()
    crop = load_checkpoint(graph.save(tmp_path / name, normalised(graph, "input"))).spec.crop
    assert (crop.mean, crop.std) == (NOTHING, ALL_ONES)
    graph = Graph()
    with pytest.raises(CheckpointError, match="before its first layer"):
        load_checkpoint(graph.save(tmp_path / name, graph.add("Div", "input", STD)))
