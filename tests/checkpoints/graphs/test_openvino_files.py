"""OpenVINO networks: some made here with its own API, damaged and hostile ones, and a real one."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino.opset13 as ops
import pytest
import torch
from small_openvino import RANDOM, WEIGHT, convolved, crops_input, save, save_heatmap

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.parsing.openvino_file import read_openvino_facts
from posebench.errors import CheckpointError, MissingExtraError, UnsupportedSizeError
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.sizes import InputSize


def test_heatmaps_equal_torch_and_the_argmax_output_is_ignored(tmp_path: Path) -> None:
    path = save_heatmap(tmp_path / "net.xml")
    checkpoint = load_checkpoint(path)
    spec = checkpoint.spec
    assert (checkpoint.publisher, spec.backbone.family) == ("openvino", "openvino")
    assert (spec.codec, spec.input_size) == (HeatmapCodec(decoder="quarter"), InputSize(64, 48))
    assert (checkpoint.network.stride, checkpoint.parameters) == (4, WEIGHT.size)
    crops = torch.randn(3, 3, 64, 48)
    (heatmaps,) = checkpoint.network(crops)
    expected = torch.nn.functional.conv2d(crops, torch.from_numpy(WEIGHT), stride=4)
    torch.testing.assert_close(heatmaps, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(UnsupportedSizeError, match="64x48 alone"):
        checkpoint.network(torch.zeros(1, 3, 32, 48))


def test_free_axes_and_half_precision(tmp_path: Path) -> None:
    crops = crops_input([-1, 3, -1, -1], np.float16)
    maps = convolved(ops.convert(crops, np.float32))
    checkpoint = load_checkpoint(save(tmp_path / "net.xml", [maps], crops))
    assert (checkpoint.network.fixed_size, checkpoint.spec.input_size) == (
        None,
        InputSize(256, 192),
    )
    (heatmaps,) = checkpoint.network(torch.ones(2, 3, 32, 64))
    expected = torch.nn.functional.conv2d(
        torch.ones(2, 3, 32, 64), torch.from_numpy(WEIGHT), stride=4
    )
    torch.testing.assert_close(heatmaps, expected, rtol=1e-4, atol=1e-4)


def test_simcc_vectors(tmp_path: Path) -> None:
    crops = crops_input([1, 3, 64, 48])
    flat = ops.reshape(convolved(crops), ops.constant(np.array([0, 17, -1])), True)
    outputs = []
    for name, bins in (("simcc_y", 128), ("simcc_x", 96)):
        matrix = ops.constant(RANDOM.normal(size=(192, bins)).astype(np.float32))
        outputs.append(ops.matmul(flat, matrix, False, False))
        outputs[-1].output(0).set_names({name})
    checkpoint = load_checkpoint(save(tmp_path / "net.xml", outputs, crops))
    assert checkpoint.spec.codec == SimccCodec(split_ratio=2.0)
    x, y = checkpoint.network(torch.randn(2, 3, 64, 48))
    assert (x.shape, y.shape) == ((2, 17, 96), (2, 17, 128))


def test_both_files_are_hashed_and_needed(tmp_path: Path) -> None:
    path = save_heatmap(tmp_path / "net.xml")
    before = load_checkpoint(path).sha256
    weights = path.with_suffix(".bin")
    data = bytearray(weights.read_bytes())
    data[3] ^= 1  # the last bit of a fraction
    weights.write_bytes(data)
    assert load_checkpoint(path).sha256 != before
    with pytest.raises(CheckpointError, match="weights of an OpenVINO network") as caught:
        load_checkpoint(weights)
    assert "net.xml" in str(caught.value)
    weights.write_bytes(data[:1000])
    with pytest.raises(CheckpointError, match=r"its \.bin file has 1000"):
        load_checkpoint(path)
    weights.unlink()
    with pytest.raises(CheckpointError, match=r"no net\.bin beside net\.xml"):
        load_checkpoint(path)


def test_a_graph_that_scales_its_input_is_taken_as_it_is(tmp_path: Path) -> None:
    crops = crops_input([1, 3, 64, 48])
    mean = ops.constant(np.full((1, 3, 1, 1), 127.5, np.float32))
    path = save(tmp_path / "net.xml", [convolved(ops.subtract(crops, mean))], crops)
    crop = load_checkpoint(path).spec.crop
    assert (crop.mean, crop.std) == ((0, 0, 0), (1, 1, 1))
    crops = crops_input([1, 3, 64, 48])
    path = save(tmp_path / "div.xml", [convolved(ops.divide(crops, mean))], crops)
    with pytest.raises(CheckpointError, match=r"changes its input .* before its first layer"):
        load_checkpoint(path)
    spec = tmp_path / "spec.yaml"
    spec.write_text("crop: {mean: [0, 0, 0], std: [1, 1, 1]}\n")
    assert load_checkpoint(path, spec).spec.crop.mean == (0, 0, 0)


BOMB = """<?xml version="1.0"?>
<!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<net name="&b;" version="11"><layers/></net>"""


@pytest.mark.parametrize(
    ("xml", "words"),
    [
        (BOMB, "document type or entities"),
        ("<?xml version='1.0'?><svg version='1'/>", "begins with <svg>"),
        ("<net name='x' version='11'>" + "<a>" * 100, "nested too deeply"),
        ("<net name='x' version='11'><layers>", "cut off or not an OpenVINO"),
        (
            "<net version='11'><data offset='0' size='9' shape='1,2' element_type='f32'/></net>",
            r"its \.bin file has 8",
        ),
        ("<net version='11'><data offset='x' size='9'/></net>", "without a place"),
        ("<net name='x' version='11'><layers/><edges/></net>", "OpenVINO cannot open|inputs"),
    ],
)
def test_hostile_and_damaged_xml(xml: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    path.write_text(xml)
    path.with_suffix(".bin").write_bytes(b"12345678")
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_entities_are_found_in_any_encoding() -> None:
    with pytest.raises(CheckpointError, match=r"entities|utf-16"):
        read_openvino_facts(
            BOMB.replace("?>", " encoding='utf-16'?>", 1).encode("utf-16"), 0, where=""
        )


@pytest.mark.parametrize("encoding", ["UTF-7", "utf-16", "cp037", "idna", "no such thing"])
def test_xml_in_other_encodings_is_refused(encoding: str) -> None:
    xml = f"<?xml version='1.0' encoding='{encoding}'?><net version='11'/>".encode()
    with pytest.raises(CheckpointError, match=r"(no|not an) OpenVINO file"):
        read_openvino_facts(xml, 0, where="net.xml")


def test_a_web_page_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "net.xml"
    path.write_text("<!doctype html><html><body>404</body></html>")
    with pytest.raises(CheckpointError, match="web page"):
        load_checkpoint(path)


def test_without_openvino_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_heatmap(tmp_path / "net.xml")
    real = builtins.__import__

    def without(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name == "openvino":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="needs OpenVINO") as caught:
        load_checkpoint(path)
    assert 'pip install "posebench-pose[openvino]"' in str(caught.value)


@pytest.mark.slow
def test_a_real_network(shared_dir: Path) -> None:
    path = shared_dir / "data" / "weights" / "pp_tinypose_256x192" / "model.xml"
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec.codec == HeatmapCodec(decoder="dark", blur_kernel=3)
    assert not checkpoint.spec.flip.test
    crops = torch.randn(2, 3, 256, 192)
    (heatmaps,) = checkpoint.network(crops)
    direct = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for index in range(2):
        expected = direct([crops[index : index + 1].numpy()])[0]
        np.testing.assert_allclose(heatmaps[index : index + 1].numpy(), expected, atol=1e-5)
