"""Files of other runtimes, devices and pipes where a checkpoint is expected."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
import torch

from posebench.checkpoints import load_checkpoint
from posebench.errors import CheckpointError, SpecError
from posebench.networks.backbones import build_backbone
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.spec import BackboneSpec


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("net.tflite", b"\x1c\0\0\0TFL3 more", "TensorFlow Lite"),
        ("net.bin", b"\x1c\0\0\0TFL3 more", "TensorFlow Lite"),
        ("net.engine", b"ftrt\0\0", "TensorRT"),
        ("net.plan", b"anything", "TensorRT"),
        ("net.param", b"7767517\n2 2\n", "ncnn"),
        ("net.pdmodel", b"\x0a\x10", "Paddle"),
        ("net.pdiparams", b"\0\0", "Paddle"),
        ("net.mlmodel", b"\x08\x04", "Core ML"),
        ("net.pte", b"\x1c\0\0\0ET12", "ExecuTorch"),
        ("net.rknn", b"RKNN", "RKNN"),
        ("net.pb", b"\x0a\x05", "TensorFlow graph"),
    ],
)
def test_other_runtimes_are_named(name: str, content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=what) as caught:
        load_checkpoint(path)
    assert "ONNX" in str(caught.value.hint)


def test_exported_programs_and_folders_are_named(tmp_path: Path) -> None:
    class Double(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    program = torch.export.export(Double(), (torch.zeros(1),))
    for name in ("net.pt2", "net.zip"):
        torch.export.save(program, tmp_path / "own.pt2")
        (tmp_path / "own.pt2").replace(tmp_path / name)
        with pytest.raises(CheckpointError, match=r"torch\.export"):
            load_checkpoint(tmp_path / name)
    package = tmp_path / "net.mlpackage"
    package.mkdir()
    (package / "Manifest.json").write_text("{}")
    with pytest.raises(CheckpointError, match="Core ML"):
        load_checkpoint(package)
    plain = tmp_path / "plain.zip"
    with zipfile.ZipFile(plain, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(CheckpointError, match="zip archive"):
        load_checkpoint(plain)


def test_devices_pipes_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    pipe, good = tmp_path / "pipe.pth", tmp_path / "good.pth"
    os.mkfifo(pipe)
    torch.save({"a": torch.zeros(1)}, good)
    for path, what in ((pipe, "a pipe"), (Path("/dev/zero"), "a device")):
        with pytest.raises(CheckpointError, match=f"is {what}, not a checkpoint"):
            load_checkpoint(path)
        with pytest.raises(SpecError, match=f"is {what}"):
            load_checkpoint(good, path)
    with pytest.raises(SpecError, match="is a folder"):
        load_checkpoint(good, tmp_path)


@pytest.mark.parametrize("option", [{"widen_factor": 1e9}, {"deepen_factor": 1e5}])
def test_networks_beyond_every_limit_are_refused(option: dict[str, float]) -> None:
    options = {"deepen_factor": 0.33, "widen_factor": 0.5, **option}
    with pytest.raises(SpecError, match="must be at most 16"):
        build_backbone(BackboneSpec("cspnext", options))


@pytest.mark.parametrize("ratio", [0, -2.0, float("nan"), float("inf"), 1e9])
def test_impossible_codecs_are_refused(ratio: float) -> None:
    with pytest.raises(SpecError, match="split_ratio"):
        SimccCodec(split_ratio=ratio)
    with pytest.raises(SpecError, match="sigma"):
        HeatmapCodec(sigma=-abs(ratio))
