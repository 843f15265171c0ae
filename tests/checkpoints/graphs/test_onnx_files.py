"""ONNX files made here with `onnx.helper`, and a real one."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from small_onnx import Axes, save_graph, save_heatmap, save_simcc

from posebench.checkpoints import inspect_checkpoint, load_checkpoint
from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.checkpoints.graphs.graph_outputs import ASSUMED, find_outputs
from posebench.checkpoints.parsing.onnx_file import read_onnx_facts
from posebench.checkpoints.parsing.onnx_nodes import spatial_onnx
from posebench.errors import CheckpointError, MissingExtraError, UnsupportedSizeError
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.sizes import InputSize


def network_of(path: Path, spec: Path | None = None) -> ExportedNetwork:
    network = load_checkpoint(path, spec).network
    assert isinstance(network, ExportedNetwork)
    return network


def test_heatmaps_equal_torch(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    weight = save_heatmap(path, ["N", 3, 64, 48])
    checkpoint = load_checkpoint(path)
    assert checkpoint.publisher == "onnx"
    assert checkpoint.spec.codec == HeatmapCodec(decoder="quarter")
    assert (checkpoint.spec.input_size, checkpoint.spec.keypoints.name) == (
        InputSize(64, 48),
        "coco",
    )
    assert checkpoint.parameters == weight.size
    assert checkpoint.network.stride == 4
    crops = torch.randn(5, 3, 64, 48)
    (heatmaps,) = checkpoint.network(crops)
    expected = torch.nn.functional.conv2d(crops, torch.from_numpy(weight), stride=4)
    torch.testing.assert_close(heatmaps, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_fixed_batch_gives_the_same_as_a_free_one(batch: int, tmp_path: Path) -> None:
    free, fixed = tmp_path / "free.onnx", tmp_path / "fixed.onnx"
    save_simcc(free, ["N", 3, 64, 48])
    model = onnx.load(str(free))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    onnx.save(model, str(fixed))
    crops = torch.randn(6, 3, 64, 48)
    for one, other in zip(network_of(free)(crops), network_of(fixed)(crops), strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("names", [("simcc_x", "simcc_y"), ("out_1", "out_0")])
def test_simcc_outputs_are_found_in_any_order(names: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save_simcc(path, [1, 3, 64, 48], names)
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec.codec == SimccCodec(split_ratio=2.0)
    assert checkpoint.spec.paradigm == "simcc"
    x, y = checkpoint.network(torch.randn(2, 3, 64, 48))
    assert (x.shape, y.shape) == ((2, 17, 96), (2, 17, 128))


def test_free_sides_and_fixed_ones(tmp_path: Path) -> None:
    path, spec = tmp_path / "net.onnx", tmp_path / "spec.yaml"
    save_heatmap(path, ["N", 3, "H", "W"])
    network = network_of(path)
    assert (network.fixed_size, network.spec.input_size) == (None, InputSize(256, 192))
    assert network(torch.zeros(1, 3, 32, 64))[0].shape == (1, 17, 8, 16)
    spec.write_text("input_size: 64x48\ncrop: {channels: bgr}\n")
    assert network_of(path, spec).spec.input_size == InputSize(64, 48)
    assert network_of(path, spec).spec.crop.channels == "bgr"
    save_heatmap(path, [1, 3, 64, 48])
    assert network_of(path).fixed_size == InputSize(64, 48)
    with pytest.raises(UnsupportedSizeError, match="64x48 alone, not 32x64"):
        network_of(path)(torch.zeros(1, 3, 32, 64))
    spec.write_text("input_size: 32x64\n")
    with pytest.raises(CheckpointError, match="takes 64x48 alone"):
        load_checkpoint(path, spec)


def test_inspection_states_the_assumptions(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save_heatmap(path, [1, 3, 64, 48])
    evidence = {field: why for field, _, why in inspect_checkpoint(path).evidence}
    assert evidence["crop.mean"] == evidence["codec.decoder"] == ASSUMED
    assert evidence["input_size"] == "the graph's input"


def test_unknown_keypoints_need_a_spec(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save_heatmap(path, [1, 3, 64, 48], keypoints=5)
    with pytest.raises(CheckpointError, match="does not say: keypoints"):
        load_checkpoint(path)
    save_heatmap(path, [1, 3, 64, 48], keypoints=14)
    with pytest.raises(CheckpointError, match="crowdpose and aic both have 14"):
        load_checkpoint(path)


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save_heatmap(path, [1, 3, 64, 48])
    model = onnx.load(str(path))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match="weights in other files"):
        load_checkpoint(path)


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save_heatmap(path, [1, 3, 64, 48])
    data = path.read_bytes()
    for content in (data[:-100], data[:200], b"\x08\x08" + b"\xff" * 50):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"net\.onnx"):
            load_checkpoint(path)


def test_networks_that_do_not_take_crops(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    cases: tuple[tuple[Axes, str], ...] = (
        ([1, 64, 48, 4], "does not take one batch of crops"),
        ([1, 3, 64, "W"], "fixes one side"),
    )
    for axes, words in cases:
        save_graph(path, [helper.make_node("Relu", ["input"], ["y"])], {}, axes, ["y"])
        with pytest.raises(CheckpointError, match=words):
            load_checkpoint(path)


@pytest.mark.parametrize(
    "shapes",
    [
        {},
        {"a": (1, 17)},
        {"a": (1, 17, 16, 12), "b": (1, 17, 8, 6)},
        {"a": (1, 17, 100)},
        {"simcc_x": (1, 17, 96), "simcc_y": (1, 17, 100)},
        {"a": (1, 17, 15, 12)},
    ],
)
def test_outputs_without_one_answer_are_listed(shapes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(CheckpointError, match="No one output"):
        find_outputs(shapes, InputSize(64, 48))


OTHER_NETWORKS = [
    ({"dets": (1, 9, 5), "keypoints": (1, 9, 17, 3)}, "RTMO"),
    ({"output0": (1, 56, 8400)}, "YOLO-pose, 17 keypoints"),
    ({"output": (1, 25200, 57)}, "YOLO-pose, 17 keypoints"),
    ({"output0": (1, 84, 8400)}, "object detector"),
    ({"output": (1, 8400, 85)}, "object detector"),
    ({"dets": (1, 9, 5), "labels": (1, 9)}, "object detector"),
    ({"logits": (1, 1000)}, "image classifier"),
    ({"a": (1, 34, 16, 12), "b": (1, 17, 32, 24)}, "bottom-up"),
    ({"keypoints": (1, 17, 2), "scores": (1, 17, 1)}, "decodes keypoints itself"),
    ({"output_0": (1, 1, 17, 3)}, "decodes keypoints itself"),
    ({"output": (1, 17, 2)}, "decodes keypoints itself"),
    ({"output": (1, 84, 4)}, "one answer|No one output"),
]


@pytest.mark.parametrize(("values", "kind"), [(2, "regression"), (4, "rle")])
def test_coordinates_are_found_where_shapes_or_people_tell_them(values: int, kind: str) -> None:
    found = find_outputs({"output": (1, 17, values)}, InputSize(64, 48), told_regression=True)
    fields = {finding.field: finding.value for finding in found.findings}
    assert (found.names, found.channels, fields["head.kind"]) == (("output",), 17, kind)
    assert (fields["codec.kind"], fields["keypoints"]) == ("regression", "coco")
    if kind == "rle":
        assert find_outputs({"output": (1, 17, values)}, InputSize(64, 48)) == found


@pytest.mark.parametrize(("shapes", "words"), OTHER_NETWORKS)
def test_outputs_of_other_networks_are_named(
    shapes: dict[str, tuple[int, ...]], words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        find_outputs(shapes, InputSize(64, 48))


def test_a_batch_no_machine_could_run(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save_heatmap(path, [10**6, 3, 64, 48])
    with pytest.raises(CheckpointError, match="batches of 1000000"):
        load_checkpoint(path)


def test_maps_of_three_channels_per_keypoint_need_to_be_told(tmp_path: Path) -> None:
    path, spec = tmp_path / "net.onnx", tmp_path / "spec.yaml"
    save_heatmap(path, [1, 3, 64, 48], keypoints=51)
    spec.write_text("keypoints: coco\n")
    with pytest.raises(CheckpointError, match="51 output channels, not 1 for each of the 17"):
        load_checkpoint(path, spec)
    spec.write_text("keypoints: coco\ncodec: {decoder: udp-regress}\n")
    assert len(load_checkpoint(path, spec).spec.keypoints) == 17


@pytest.mark.parametrize(
    ("name", "outputs", "decoder", "keypoints", "udp"),
    [
        ("td-hm_res50_coco-128x96.onnx", 17, "quarter", "coco", False),
        ("hrnet_w32_crowdpose_dark_128x96.onnx", 14, "dark", "crowdpose", False),
        ("td-hm_res50_udp-regress_coco-128x96.onnx", 51, "udp-regress", "coco", True),
    ],
)
def test_a_file_name_says_what_a_free_graph_does_not(
    tmp_path: Path, name: str, outputs: int, decoder: str, keypoints: str, udp: bool
) -> None:
    path = tmp_path / name
    save_heatmap(path, ["N", 3, "H", "W"], keypoints=outputs)
    spec = load_checkpoint(path).spec
    assert isinstance(spec.codec, HeatmapCodec)
    assert (spec.codec.decoder, spec.keypoints.name) == (decoder, keypoints)
    assert spec.input_size == InputSize(128, 96)
    # Without UDP, flipped heatmaps are one cell off.
    assert (spec.crop.udp, spec.flip.shift_heatmap) == (udp, not udp)


def test_a_named_heatmap_wins() -> None:
    shapes = {"aux": (1, 17, 16, 12), "heatmaps": (1, 17, 8, 6), "argmax": (1, 17)}
    outputs = find_outputs(shapes, InputSize(64, 48))
    assert (outputs.names, outputs.stride) == (("heatmaps",), 8)


def test_without_onnxruntime_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.onnx"
    save_heatmap(path, [1, 3, 64, 48])
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="needs onnxruntime") as caught:
        load_checkpoint(path)
    assert 'pip install "posebench-pose[onnx]"' in str(caught.value)


def as_mxnet_meant(path: Path) -> onnx.ModelProto:
    """Return a graph without the mark `spatial: 0` on its batch normalisations."""
    model = onnx.load(str(path))
    for node in model.graph.node:
        kept = [each for each in node.attribute if each.name != "spatial"]
        del node.attribute[:]
        node.attribute.extend(kept)
    return model


def save_marked(path: Path, *sides: int) -> dict[str, NDArray[np.float32]]:
    """Save a network that ends as MXNet's do, with scales of `sides`; return its weights."""
    random = np.random.default_rng(0)
    kernel = random.normal(size=(17, 3, 4, 4)).astype(np.float32)
    weights = {name: random.uniform(1, 2, sides).astype(np.float32) for name in "gbmv"}
    nodes = [
        helper.make_node("Conv", ["input", "w"], ["c"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("BatchNormalization", ["c", *"gbmv"], ["maps"], spatial=0),
    ]
    save_graph(path, nodes, {"w": kernel, **weights}, ["N", 3, 64, 48], ["maps"], opset=8)
    return {"w": kernel, **weights}


def test_scales_per_channel_that_mxnet_marks_as_scales_per_value(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    weights = save_marked(path, 17)
    kernel, scale, shift, mean, variance = (torch.from_numpy(weights[name]) for name in "wgbmv")
    crops = torch.randn(5, 3, 64, 48)
    (heatmaps,) = network_of(path)(crops)
    plain = torch.nn.functional.conv2d(crops, kernel, stride=4)
    expected = torch.nn.functional.batch_norm(plain, mean, variance, scale, shift)
    torch.testing.assert_close(heatmaps, expected, rtol=1e-4, atol=1e-4)


def test_scales_per_value_stay_so(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    save_marked(path, 17, 16, 12)
    assert spatial_onnx(path.read_bytes(), where="net") == path.read_bytes()


def test_a_real_network(shared_dir: Path) -> None:
    path = shared_dir / "data" / "weights" / "ultralight_simplepose_256x192.onnx"
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec.input_size == InputSize(256, 192)
    assert checkpoint.spec.keypoints.name == "coco"
    sizes = [
        int(np.prod(each.dims))
        for each in onnx.load(str(path)).graph.initializer
        if each.data_type == TensorProto.FLOAT
    ]
    assert (
        checkpoint.parameters
        == sum(sizes)
        == read_onnx_facts(path.read_bytes(), where="net").parameters
    )
    crops = torch.randn(2, 3, 256, 192)
    session = onnxruntime.InferenceSession(
        as_mxnet_meant(path).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (heatmaps,) = checkpoint.network(crops)
    for index in range(2):
        (expected,) = session.run(None, {"data": crops[index : index + 1].numpy()})
        np.testing.assert_allclose(heatmaps[index : index + 1].numpy(), expected, atol=1e-5)
