"""Conversion: posebench's own file computes what its source does, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from small_networks import SPECS, make_crops, save_mmpose
from small_onnx import save_graph, save_heatmap, save_simcc
from small_openvino import save_heatmap as save_openvino

from posebench.checkpoints import inspect_checkpoint, load_checkpoint
from posebench.checkpoints.converting import convert_checkpoint
from posebench.errors import CheckpointError, UsageError
from posebench.files.hashing import sha256_of


def assert_same(one: Path, other: Path, crops: torch.Tensor) -> None:
    first, second = load_checkpoint(one), load_checkpoint(other)
    assert first.spec == second.spec
    assert first.parameters == second.parameters
    with torch.no_grad():
        outputs = zip(first.network(crops), second.network(crops), strict=True)
    assert all(torch.equal(left, right) for left, right in outputs)


@pytest.mark.parametrize("kind", sorted(SPECS))
def test_weights_compute_the_same(kind: str, tmp_path: Path) -> None:
    source, target = tmp_path / "net.pth", tmp_path / "sub" / "net.safetensors"
    save_mmpose(source, kind)
    convert_checkpoint(source, target)
    assert_same(source, target, make_crops())
    provenance = load_checkpoint(target).provenance
    assert provenance["source_file"] == "net.pth"
    assert provenance["source_sha256"] == sha256_of(source)
    assert provenance["source_publisher"] == "mmpose-1.x"
    assert provenance["epoch"] == 3
    assert "codec.sigma" not in provenance["assumed"]
    assert not [field for field in provenance["assumed"] if field.startswith("head.")]
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("save", [save_heatmap, save_simcc])
def test_graphs_compute_the_same(save: object, tmp_path: Path) -> None:
    source, target = tmp_path / "net.onnx", tmp_path / "net.safetensors"
    (save_simcc if save is save_simcc else save_heatmap)(source, ["N", 3, 64, 48])
    convert_checkpoint(source, target)
    assert load_file(target)["onnx.model"].tobytes() == source.read_bytes()
    assert_same(source, target, torch.randn(3, 3, 64, 48))
    why = {field: why for field, _, why in inspect_checkpoint(target).evidence}
    assert why["crop.mean"] == "assumed when converted"
    assert why["codec.kind"] == "the file's metadata"
    assert set(why) == {field for field, _, _ in inspect_checkpoint(source).evidence}
    again = tmp_path / "again.safetensors"
    convert_checkpoint(target, again)
    assert_same(source, again, torch.randn(3, 3, 64, 48))
    assert load_checkpoint(again).provenance["source_sha256"] == sha256_of(source)


def test_openvino_networks_compute_the_same(tmp_path: Path) -> None:
    source, target = save_openvino(tmp_path / "net.xml"), tmp_path / "net.safetensors"
    convert_checkpoint(source, target)
    assert load_file(target)["openvino.xml"].tobytes() == source.read_bytes()
    assert_same(source, target, torch.randn(2, 3, 64, 48))


def test_a_spec_file_is_kept(tmp_path: Path) -> None:
    source, target, spec = (tmp_path / name for name in ("a.onnx", "a.safetensors", "a.yaml"))
    save_heatmap(source, [1, 3, 64, 48])
    spec.write_text("codec: {decoder: dark}\ncrop: {channels: bgr}\n")
    convert_checkpoint(source, target, spec_file=spec)
    checkpoint = load_checkpoint(target)
    assert checkpoint.spec == load_checkpoint(source, spec).spec
    assert "crop.channels" not in checkpoint.provenance["assumed"]


def test_what_a_spec_file_says_of_a_converted_file_is_no_longer_assumed(tmp_path: Path) -> None:
    source, first, spec = (tmp_path / name for name in ("a.onnx", "a.safetensors", "a.yaml"))
    save_heatmap(source, [1, 3, 64, 48])
    convert_checkpoint(source, first)
    assert "crop.channels" in load_checkpoint(first).provenance["assumed"]
    spec.write_text("crop: {channels: bgr}\n")
    convert_checkpoint(first, tmp_path / "b.safetensors", spec_file=spec)
    provenance = load_checkpoint(tmp_path / "b.safetensors").provenance
    assert "crop.channels" not in provenance["assumed"]
    assert "crop.mean" in provenance["assumed"]
    assert provenance["source_file"] == "a.onnx"


def test_half_precision_is_for_weights(tmp_path: Path) -> None:
    source, target = tmp_path / "net.pth", tmp_path / "net.safetensors"
    save_mmpose(source, "heatmap")
    convert_checkpoint(source, target, precision="float16")
    assert target.stat().st_size < 0.7 * source.stat().st_size
    save_heatmap(tmp_path / "net.onnx", [1, 3, 64, 48])
    with pytest.raises(UsageError, match="keeps the precision"):
        convert_checkpoint(tmp_path / "net.onnx", tmp_path / "x.safetensors", precision="float16")


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    source, target = tmp_path / "net.onnx", tmp_path / "net.safetensors"
    save_heatmap(source, [1, 3, 64, 48])
    convert_checkpoint(source, target)
    before = target.read_bytes()
    for place, force, words in (
        (target, False, "exists already"),
        (tmp_path / "net.pth", False, r"must end in \.safetensors"),
    ):
        with pytest.raises(UsageError, match=words):
            convert_checkpoint(source, place, force=force)
    with pytest.raises(UsageError, match="the file to convert"):
        convert_checkpoint(target, target, force=True)
    assert target.read_bytes() == before
    convert_checkpoint(source, target, force=True)
    with pytest.raises(CheckpointError, match="cannot be written"):
        convert_checkpoint(source, target / "below" / "x.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        convert_checkpoint(source, tmp_path / "folder.safetensors", force=True)


def test_a_stored_graph_that_is_no_graph(tmp_path: Path) -> None:
    source, target = tmp_path / "net.onnx", tmp_path / "net.safetensors"
    save_heatmap(source, [1, 3, 64, 48])
    convert_checkpoint(source, target)
    metadata = safetensors_metadata(target)
    for tensors, words in (
        ({"onnx.model": np.zeros(4, np.float32)}, "holds none"),
        ({"other": np.zeros(4, np.uint8)}, "holds none"),
        ({"onnx.model": np.frombuffer(source.read_bytes()[:-90], np.uint8)}, "cut off"),
    ):
        save_file(tensors, target, metadata)
        with pytest.raises(CheckpointError, match=words):
            load_checkpoint(target)


def test_a_stored_graph_with_weights_elsewhere_is_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "net.onnx", tmp_path / "net.safetensors"
    save_heatmap(source, [1, 3, 64, 48])
    convert_checkpoint(source, target)
    metadata = safetensors_metadata(target)
    model = onnx.load(str(source))
    onnx.save(model, str(source), save_as_external_data=True, location="data.bin", size_threshold=0)
    save_file({"onnx.model": np.frombuffer(source.read_bytes(), np.uint8)}, target, metadata)
    for path in (source, target):
        with pytest.raises(CheckpointError, match="keeps weights in other files"):
            load_checkpoint(path)


def safetensors_metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="np") as file:
        metadata: dict[str, str] = file.metadata()
    return metadata


def test_a_graph_of_nan_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    node = helper.make_node("Conv", ["input", "w"], ["maps"], kernel_shape=[4, 4], strides=[4, 4])
    weight = np.full((17, 3, 4, 4), np.nan, np.float32)
    save_graph(path, [node], {"w": weight}, [1, 3, 64, 48], ["maps"])
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        load_checkpoint(path)
