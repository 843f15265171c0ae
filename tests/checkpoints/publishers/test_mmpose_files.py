"""Loading MMPose files: the settings that are found, and the files that are refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import SIZE, SPECS, config_text, make_crops, make_model, save_mmpose

from posebench.checkpoints import inspect_checkpoint, load_checkpoint
from posebench.datasets.keypoints import COCO, CROWDPOSE
from posebench.errors import CheckpointError, SpecError
from posebench.networks.codecs import HeatmapCodec, RegressionCodec, SimccCodec
from posebench.networks.heads import add_learned_loss, whole_head
from posebench.networks.model import PoseModel
from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec, FlipSpec

CODECS: dict[str, Any] = {
    "rtmcc": SimccCodec(normalize=False),
    "simcc": SimccCodec(sigma=(6.0, 6.0)),
    "heatmap": HeatmapCodec(sigma=1.5),
    "regression": RegressionCodec(),
    "rle": RegressionCodec(),
}


def rewrite(path: Path, change: Any) -> None:
    """Save a file again with its content changed in place by `change(content)`."""
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


@pytest.mark.parametrize("kind", CODECS)
@pytest.mark.parametrize("legacy", [True, False])
def test_a_published_file_loads_as_it_was(kind: str, legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    model = save_mmpose(path, kind, legacy)
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec == replace(
        SPECS[kind],
        head=whole_head(SPECS[kind].head),
        codec=CODECS[kind],
        crop=CropSpec(padding=1.1, udp=True),
        flip=FlipSpec(test=True, shift_heatmap=True),
    )
    assert (checkpoint.name, checkpoint.publisher) == ("small", "mmpose-1.x")
    assert checkpoint.provenance == {"epoch": 3}
    assert checkpoint.parameters == sum(p.numel() for p in model.parameters())
    assert checkpoint.report.mapped == len(model.state_dict())
    assert not (checkpoint.report.dropped or checkpoint.report.missing)
    loaded = checkpoint.network
    assert isinstance(loaded, PoseModel)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    with torch.no_grad():
        for found, expected in zip(loaded(make_crops()), model(make_crops()), strict=True):
            scale = float(expected.abs().max())
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * scale)


def test_the_flow_of_a_loss_tells_its_head_and_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    model = save_mmpose(path, "rle")
    add_learned_loss(model.spec.head, model.head)
    flow = [name for name in model.state_dict() if "flow_model" in name]
    rewrite(path, lambda content: content["state_dict"].update(model.state_dict()))
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec.head.kind == "rle"
    assert checkpoint.report.dropped == (("training losses", tuple(flow)),)
    assert checkpoint.parameters == sum(
        p.numel() for name, p in model.named_parameters() if name not in flow
    )


def test_a_flip_test_that_does_not_shift_coordinates(tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    text = config_text("regression").replace("flip_test=True", "flip_test=True, shift_coords=False")
    save_mmpose(path, "regression", cfg=text)
    assert load_checkpoint(path).spec.flip == FlipSpec(shift_heatmap=True, shift_coords=False)


@pytest.mark.parametrize(("kind", "cells"), [("rtmcc", 6), ("simcc", 96)])
def test_simcc_needs_no_config(kind: str, cells: int, tmp_path: Path) -> None:
    path = tmp_path / "bare.pth"
    torch.save(make_model(kind).state_dict(), path)
    checkpoint = load_checkpoint(path)
    assert checkpoint.spec.input_size == SIZE
    assert checkpoint.spec.codec == SimccCodec(split_ratio=2.0)
    why = {field: reason for field, _, reason in checkpoint.evidence}
    assert why["input_size"] == f"128, 192 bins over {cells} cells"
    assert why["keypoints"] == "assumed: the built-in set of 17 keypoints; --spec overrules"
    assert why["crop.padding"] == "default"


def test_a_heatmap_file_without_config_needs_a_spec(tmp_path: Path) -> None:
    path, spec = tmp_path / "old.pth", tmp_path / "spec.yaml"
    state = {
        name.replace("head.", "keypoint_head."): tensor
        for name, tensor in make_model("heatmap").state_dict().items()
    }
    torch.save({"state_dict": state, "meta": {"mmpose_version": "0.10.0"}}, path)
    with pytest.raises(CheckpointError, match="does not say: input_size") as caught:
        load_checkpoint(path)
    assert "--spec" in str(caught.value)
    inspection = inspect_checkpoint(path)
    assert inspection.checkpoint is None
    assert "input_size" in str(inspection.problem)
    assert ("head.kind", "heatmap", "names and shapes") in inspection.evidence
    spec.write_text("input_size: 96x64\ncodec: {decoder: dark}\nflip: {test: false}\n")
    checkpoint = load_checkpoint(path, spec)
    assert checkpoint.publisher == "mmpose-0.x"
    assert checkpoint.spec.input_size == SIZE
    assert checkpoint.spec.codec == HeatmapCodec(decoder="dark")
    assert not checkpoint.spec.flip.test
    assert ("codec.decoder", "dark", "--spec spec.yaml") in checkpoint.evidence


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("input_sise: 96x64\n", "unknown key 'input_sise'. Did you mean 'input_size'"),
        ("codec: heatmap\n", "must be a mapping"),
        ("codec: {decoder: best}\n", "decoder"),
        ("crop: {paddding: 1}\n", "Did you mean 'padding'"),
        ("input_size: big\n", "not an input size"),
        ("keypoints: coko\n", "coco"),
    ],
)
def test_a_bad_spec_file_says_where(text: str, words: str, tmp_path: Path) -> None:
    path, spec = tmp_path / "small.pth", tmp_path / "spec.yaml"
    save_mmpose(path, "heatmap")
    spec.write_text(text)
    with pytest.raises(SpecError, match=words):
        load_checkpoint(path, spec)


def test_strictness(tmp_path: Path) -> None:
    path = tmp_path / "small.pth"

    def changed(change: Any) -> Any:
        save_mmpose(path, "rtmcc")
        rewrite(path, lambda content: change(content["state_dict"]))
        return pytest.raises(CheckpointError)

    with changed(lambda s: s.update({"backbone.extra.weight": torch.zeros(2)})) as caught:
        load_checkpoint(path)
    assert "tensors with no place in it: backbone.extra.weight" in str(caught.value)
    with changed(lambda s: s.pop("backbone.stem.0.bn.weight")) as caught:
        load_checkpoint(path)
    assert "the file lacks: backbone.stem.0.bn.weight" in str(caught.value)
    with changed(lambda s: s.update({"head.gau.beta": torch.zeros(2, 5)})) as caught:
        load_checkpoint(path)
    assert "head.gau.beta is 2x5, the network's is 2x16" in str(caught.value)
    with changed(lambda s: s["backbone.stem.1.conv.weight"].fill_(float("nan"))) as caught:
        load_checkpoint(path)
    assert "first: backbone.stem.1.conv.weight" in str(caught.value)


def test_a_tensor_under_its_old_and_its_new_name(tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    save_mmpose(path, "heatmap")
    rewrite(
        path, lambda c: c["state_dict"].update({"keypoint_head.final_layer.bias": torch.ones(17)})
    )
    with pytest.raises(CheckpointError, match=r"head\.final_layer\.bias twice"):
        load_checkpoint(path)


def test_known_tensors_are_dropped_by_name(tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    save_mmpose(path, "heatmap")

    def change(content: dict[str, Any]) -> None:
        state = content["state_dict"]
        state["data_preprocessor.mean"] = torch.zeros(3)
        for name in [name for name in state if name.endswith("num_batches_tracked")]:
            del state[name]
        content["state_dict"] = {f"module.{name}": tensor for name, tensor in state.items()}
        content["optimizer"] = {"state": {0: torch.zeros(2)}}

    rewrite(path, change)
    report = load_checkpoint(path).report
    assert dict(report.dropped) == {
        "training state beside the weights": ("optimizer",),
        "input constants, which the crop spec holds": ("data_preprocessor.mean",),
    }
    assert report.missing
    assert all(name.endswith("num_batches_tracked") for name in report.missing)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("'MSRAHeatmap'", "'MegviiHeatmap'", "codec 'MegviiHeatmap'"),
        ("'MSRAHeatmap'", "'UDPHeatmap', heatmap_type='offset'", "heatmap_type 'offset'"),
        ("'MSRAHeatmap'", "'UDPHeatmap', heatmap_type='combined'", "17 output channels"),
        ("'TopdownPoseEstimator'", "'BottomupPoseEstimator'", "bottom-up"),
        ("'CSPNeXt'", "'CSPNeXt', norm_cfg=dict(eps=0.001)", "norm_cfg.eps"),
        ("'CSPNeXt'", "'CSPNeXt', act_cfg=dict(type='ReLU')", "act_cfg.type"),
        ("'CSPNeXt'", "'MobileNetV2', act_cfg=dict(type='ReLU')", "act_cfg.type"),
        ("'CSPNeXt'", "'ResNet', style='caffe'", "backbone.style"),
        ("'CSPNeXt'", "'SEResNet', dilations=[1, 1, 1, 2]", "backbone.dilations"),
        ("'CSPNeXt'", "'ResNeXt', strides=(1, 2, 2, 1)", "backbone.strides"),
        ("'CSPNeXt'", "'ResNeSt', avg_down_stride=False", "avg_down_stride"),
        ("'CSPNeXt'", "'VGG', ceil_mode=True", "ceil_mode"),
        ("'CSPNeXt'", "'ResNet', conv_cfg=dict(type='DCNv2')", "conv_cfg"),
        ("'CSPNeXt'", "'HRNet', extra=dict(upsample=dict(mode='bilinear'))", "upsample.mode"),
        ("'CSPNeXt'", "'HRFormer', extra=dict(with_pad_mask=True)", "with_pad_mask"),
        ("'CSPNeXt'", "'ViPNAS_MobileNetV3', stride=[2, 1, 2, 2, 2, 1, 1]", "backbone.stride"),
        ("'CSPNeXt'", "'ViPNAS_ResNet', avg_down=True", "avg_down"),
        ("'CSPNeXt'", "'HourglassNet'", "backbone.type"),
        ("sigma=1.5", "sigma='wide'", "codec.sigma"),
        ("'HeatmapHead'", "open('x')", "Nothing was run"),
    ],
)
def test_settings_that_would_compute_something_else(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "small.pth"
    assert old in config_text("heatmap")
    save_mmpose(path, "heatmap", cfg=config_text("heatmap").replace(old, new))
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(path)


def test_settings_that_change_nothing_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    training = "norm_eval=True, frozen_stages=1, with_cp=True, init_cfg=dict(type='Pretrained')"
    spelt_out = "'mmpose.ResNet', style='pytorch', strides=[1, 2, 2, 2], dilations=(1, 1, 1, 1)"
    text = config_text("heatmap").replace("'CSPNeXt'", f"{spelt_out}, {training}")
    assert spelt_out in text
    save_mmpose(path, "heatmap", cfg=text)
    assert load_checkpoint(path).spec.input_size == SIZE


def test_dark_udp_and_bgr_are_read(tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    text = config_text("heatmap").replace("sigma=1.5", "sigma=1.5, unbiased=True")
    save_mmpose(path, "heatmap", cfg=text.replace("bgr_to_rgb=True", "bgr_to_rgb=False"))
    spec = load_checkpoint(path).spec
    assert isinstance(spec.codec, HeatmapCodec)
    assert (spec.codec.decoder, spec.crop.channels) == ("dark", "bgr")
    text = config_text("heatmap").replace("'MSRAHeatmap'", "'UDPHeatmap', blur_kernel_size=17")
    save_mmpose(path, "heatmap", cfg=text)
    assert load_checkpoint(path).spec.codec == HeatmapCodec(
        decoder="udp", sigma=1.5, blur_kernel=17
    )


def test_config_and_weights_that_disagree(tmp_path: Path) -> None:
    path, spec = tmp_path / "small.pth", tmp_path / "spec.yaml"
    text = config_text("rtmcc").replace("input_size=(64, 96), sigma", "input_size=(96, 128), sigma")
    save_mmpose(path, "rtmcc", cfg=text)
    with pytest.raises(CheckpointError, match=r"says input size 128x96.*trained at 96x64"):
        load_checkpoint(path)
    spec.write_text("input_size: 96x64\n")
    assert load_checkpoint(path, spec).spec.input_size == SIZE


def dataset_meta(names: tuple[str, ...], sigmas: Any) -> dict[str, Any]:
    return {
        "dataset_name": "mine",
        "keypoint_id2name": dict(enumerate(names)),
        "flip_indices": [0, *(i + 1 if i % 2 else i - 1 for i in range(1, len(names)))],
        "sigmas": sigmas,
    }


def test_keypoints_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "small.pth"
    sigmas = np.array(COCO.sigmas, dtype=np.float32)
    save_mmpose(path, "rtmcc", dataset_meta=dataset_meta(COCO.keypoints, sigmas))
    assert load_checkpoint(path).spec.keypoints == COCO
    other = np.array([0.05, *COCO.sigmas[1:]], dtype=np.float32)
    save_mmpose(path, "rtmcc", dataset_meta=dataset_meta(COCO.keypoints, other))
    keypoints = load_checkpoint(path).spec.keypoints
    assert (keypoints.name, keypoints.sigmas) == ("mine", (0.05, *COCO.sigmas[1:]))
    assert keypoints.flip_indices == COCO.flip_indices
    save_mmpose(
        path, "rtmcc", dataset_meta=dataset_meta(CROWDPOSE.keypoints, list(CROWDPOSE.sigmas))
    )
    with pytest.raises(
        CheckpointError, match=r"17 outputs, meta\.dataset_meta names 14.*\n.*--spec"
    ):
        load_checkpoint(path)
    odd = {**dataset_meta(COCO.keypoints, list(COCO.sigmas)), "flip_indices": [float("inf")] * 17}
    odd["sigmas"] = [0.05] * 17
    save_mmpose(path, "rtmcc", dataset_meta=odd)
    with pytest.raises(CheckpointError, match="dataset_meta cannot be used"):
        load_checkpoint(path)
    spec = tmp_path / "spec.yaml"
    spec.write_text("keypoints: coco\n")
    assert load_checkpoint(path, spec).spec.keypoints == COCO


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("type='MSRAHeatmap'", "type=['MSRAHeatmap']"),
        ("type='MSRAHeatmap'", "type='UDPHeatmap', heatmap_type=[]"),
        ("input_size=(64, 96)", "input_size=(64, inf)"),
    ],
)
def test_settings_of_a_kind_that_no_config_has(old: str, new: str, tmp_path: Path) -> None:
    text = config_text("heatmap")
    assert old in text
    save_mmpose(tmp_path / "small.pth", "heatmap", cfg=text.replace(old, new))
    with pytest.raises(CheckpointError, match="a value that no config has"):
        load_checkpoint(tmp_path / "small.pth")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("backbone.stage2.0.fuse_layers.0.1.0.weight", "HRNet"),
        ("backbone.layers.0.attn.qkv.weight", "a ViT unlike"),
        ("backbone.conv1.conv.weight", "MobileNetV2"),
    ],
)
def test_other_families_are_named(name: str, family: str, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(
        {name: torch.zeros(4, 3, 3, 3), "head.final_layer.weight": torch.zeros(17, 4, 1, 1)}, path
    )
    with pytest.raises(CheckpointError, match=f"look like {family}"):
        load_checkpoint(path)


def test_shapes_that_no_network_has(tmp_path: Path) -> None:
    path = tmp_path / "odd.pth"
    state = make_model("rtmcc").state_dict()
    state["head.gau.o.weight"] = torch.zeros(3)
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="shapes that no network has"):
        load_checkpoint(path)


PEER = {
    "res50": ("resnet", {"depth": 50}, "heatmap"),
    "simcc_res50": ("resnet", {"depth": 50}, "simcc"),
    "rtmpose-t": ("cspnext", {"deepen_factor": 0.167, "widen_factor": 0.375}, "rtmcc"),
    "cspnext-m_udp": ("cspnext", {"deepen_factor": 0.67, "widen_factor": 0.75}, "heatmap"),
    "rtmpose-t_runner": ("cspnext", {"deepen_factor": 0.167, "widen_factor": 0.375}, "rtmcc"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PEER))
def test_files_that_mmpose_itself_wrote(name: str) -> None:
    folder = os.environ.get("POSEBENCH_PEER_CHECKPOINTS")
    path = Path(folder or "") / f"{name}.pth"
    if folder is None or not path.is_file():
        pytest.skip("needs POSEBENCH_PEER_CHECKPOINTS, a folder of files that MMPose wrote")
    checkpoint = load_checkpoint(path)
    backbone = checkpoint.spec.backbone
    assert (backbone.family, backbone.options, checkpoint.spec.head.kind) == PEER[name]
    assert checkpoint.spec.input_size == InputSize(256, 192)
    assert checkpoint.spec.keypoints == COCO
    expected = torch.load(path, weights_only=False)["state_dict"] if "runner" not in name else {}
    state = checkpoint.network.state_dict()  # type: ignore[attr-defined]
    for key, tensor in expected.items():
        assert torch.equal(state[key], tensor), key


@pytest.mark.parametrize(
    ("dataset", "known"),
    [
        ("type='CocoDataset'", "coco"),
        ("type='mmpose.CocoDataset'", "coco"),
        ("type='CocoDataset', metainfo=dict(from_file='configs/_base_/datasets/coco.py')", "coco"),
        ("type='CocoDataset', metainfo=dict(from_file='configs/_base_/datasets/ak.py')", None),
        ("type='CocoDataset', metainfo=dict(from_file='a/datasets/ap10k.py')", "ap10k"),
        ("type='AP10KDataset'", "ap10k"),
        ("type='CocoDataset', metainfo=dict(classes=('dog',))", None),
        ("type='AnimalKingdomDataset'", None),
        ("type='MyOwnDataset'", None),
    ],
)
def test_a_configs_data_set_is_believed(dataset: str, known: str | None, tmp_path: Path) -> None:
    path, spec = tmp_path / "best.pth", tmp_path / "spec.yaml"
    save_mmpose(path, "heatmap", cfg=config_text("heatmap").replace("type='CocoDataset'", dataset))
    if known is not None:
        assert load_checkpoint(path).spec.keypoints.name == known
        return
    with pytest.raises(CheckpointError, match=r"does not say: keypoints \(meta.cfg "):
        load_checkpoint(path)
    spec.write_text("keypoints: coco\n")
    assert load_checkpoint(path, spec).spec.keypoints.name == "coco"


@pytest.mark.parametrize("ratio", ["0", "-2.0", "nan"])
def test_a_config_with_an_impossible_split_ratio(ratio: str, tmp_path: Path) -> None:
    path, spec = tmp_path / "best.pth", tmp_path / "spec.yaml"
    text = config_text("rtmcc").replace("split_ratio=2.0", f"split_ratio={ratio}")
    save_mmpose(path, "rtmcc", cfg=text)
    with pytest.raises(CheckpointError, match="simcc_split_ratio"):
        load_checkpoint(path)
    spec.write_text("codec: {kind: simcc, split_ratio: 0}\n")
    with pytest.raises(SpecError, match="split_ratio must be above 0"):
        load_checkpoint(path, spec)
