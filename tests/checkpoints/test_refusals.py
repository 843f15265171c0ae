"""Files of networks that are not evaluated, with the names that their own code gives."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import SPECS, config_text, save_mmpose

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.refusals import refuse_other_networks
from posebench.errors import CheckpointError
from posebench.networks.backbones import BACKBONES, build_backbone
from posebench.networks.spec import BackboneSpec

# A tensor's name and shape, as MMPose 1.3.2 and 0.x, MMDetection, MMPretrain, torchvision,
# ultralytics and the repositories of HigherHRNet, DEKR, OpenPose, YOLOX and YOLOv7 write them, and
# words of the error.
OTHERS: list[tuple[str, tuple[int, ...], str]] = [
    ("head.dcc.pose_enc.0.weight", (8,), "RTMO"),
    ("head.head_module.out_kpt.0.weight", (34, 96, 1, 1), "YOLOX-Pose"),
    ("model.22.cv4.0.0.conv.weight", (51, 64, 3, 3), "YOLO-pose"),
    ("model.118.m_kpt.0.0.conv.weight", (8,), "YOLO-pose"),
    ("model.22.cv3.0.0.conv.weight", (8,), "YOLO detector"),
    ("head.decoder.pose_embed.0.layers.0.0.weight", (8,), "ED-Pose"),
    ("head.displacement_conv_layers.3.weight", (34, 15, 1, 1), "DEKR"),
    ("offset_feature_layers.0.0.conv1.weight", (8,), "DEKR"),
    ("head.iia_module.keypoint_root_conv.weight", (18, 480, 1, 1), "CID"),
    ("1.final_layers.0.weight", (34, 32, 1, 1), "HigherHRNet"),
    ("keypoint_head.final_layers.1.weight", (17, 32, 1, 1), "HigherHRNet"),
    ("model1_2.Mconv1_stage2_L1.weight", (8,), "OpenPose"),
    ("roi_heads.keypoint_predictor.kps_score_lowres.weight", (8,), "Keypoint R-CNN"),
    ("bbox_head.rtm_cls.0.weight", (8,), "object detector"),
    ("rpn_head.rpn_conv.weight", (8,), "object detector"),
    ("head.cls_preds.0.weight", (80, 96, 1, 1), "YOLOX"),
    ("fc.weight", (34, 2048), "34 classes"),
    ("head.simplebaseline_head.final_layer.weight", (17, 256, 1, 1), "integral"),
    ("head.predict_layers.0.conv_layers.0.conv.weight", (8,), "MSPN"),
    ("head.multi_final_layers.0.weight", (17, 256, 1, 1), "hourglass"),
    ("fc.weight", (1000, 2048), "1000 classes"),
    ("head.fc.weight", (1000, 768), "1000 classes"),
    ("head.layers.head.weight", (1000, 384), "image classifier"),
    ("incre_modules.0.0.conv1.weight", (8,), "image classifier"),
    ("backbone.layer1.0.conv1.weight", (64, 64, 1, 1), "backbone alone"),
]


@pytest.mark.parametrize(("name", "shape", "words"), OTHERS)
def test_other_networks_are_refused_and_named(
    name: str, shape: tuple[int, ...], words: str
) -> None:
    with pytest.raises(CheckpointError, match=words):
        refuse_other_networks({"backbone.conv1.weight": (64, 3, 7, 7), name: shape}, {})


def test_a_refused_file_is_named_with_its_kind(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"state_dict": {"bbox_head.rtm_cls.0.weight": torch.zeros(2)}}, path)
    with pytest.raises(CheckpointError, match=r"other\.pth: This is an object detector"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("TopdownPoseEstimator", "BottomupPoseEstimator", "bottom-up or one-stage"),
        ("HeatmapHead", "DSNTHead", "DSNT"),
        ("TopdownPoseEstimator", "ImageClassifier", "image classifier"),
    ],
)
def test_the_config_text_tells_too(old: str, new: str, words: str, tmp_path: Path) -> None:
    """An associative-embedding head has a heatmap head's names and twice as many channels."""
    path = tmp_path / "other.pth"
    save_mmpose(path, "heatmap", cfg=config_text("heatmap").replace(old, new))
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


@pytest.mark.parametrize("kind", SPECS)
def test_pose_networks_are_not_refused(kind: str, tmp_path: Path) -> None:
    model = save_mmpose(tmp_path / "net.pth", kind)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    refuse_other_networks(shapes, {"cfg": config_text(kind)})


REQUIRED_OPTIONS: dict[str, dict[str, Any]] = {
    "cspnext": {"deepen_factor": 0.33, "widen_factor": 0.5},
    "vit": {
        "embed_dims": 48, "num_layers": 2, "num_heads": 4, "feedforward_channels": 96,
        "img_size": "64x48",
    },
}  # fmt: skip


@pytest.mark.parametrize("family", sorted(BACKBONES))
def test_no_backbone_that_can_be_built_is_refused(family: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(BackboneSpec(family, REQUIRED_OPTIONS.get(family, {})))
    assert isinstance(backbone, torch.nn.Module)
    shapes = {f"backbone.{k}": tuple(v.shape) for k, v in backbone.state_dict().items()}
    refuse_other_networks({**shapes, "head.final_layer.weight": (17, 32, 1, 1)}, {})


class PoseModel(torch.nn.Module):
    """Stands in for ultralytics' own class."""


PoseModel.__module__, PoseModel.__qualname__ = "ultralytics.nn.tasks", "PoseModel"


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"model": torch.nn.Linear(2, 2), "epoch": 3}, "whole pickled network"),
        ({"state": {0: {"m": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}, "optimizer"),
        ({"optimizer": {"state": {}, "param_groups": []}, "epoch": 3}, "optimizer"),
    ],
)
def test_files_without_weights_are_named(tree: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "other.pt"
    torch.save(tree, path)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_a_yolo_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("ultralytics.nn.tasks")
    module.PoseModel = PoseModel  # type: ignore[attr-defined]
    for name in ("ultralytics", "ultralytics.nn"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "ultralytics.nn.tasks", module)
    path = tmp_path / "yolov8n-pose.pt"
    torch.save({"epoch": -1, "model": PoseModel(), "ema": None, "train_args": {}}, path)
    with pytest.raises(CheckpointError, match=r"YOLO network \(ultralytics\), a whole"):
        load_checkpoint(path)
