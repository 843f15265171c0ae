"""MMPose files besides the published 1.x ones: 0.x, raw training, distillation, UDP-regress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import SIZE, SPECS, config_text, make_crops, save_mmpose

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.datasets.keypoints import COCO, CROWDPOSE, KEYPOINT_SETS
from posebench.errors import CheckpointError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import HeatmapCodec, RegressionCodec
from posebench.networks.heads import add_learned_loss, head_options, whole_head
from posebench.networks.model import PoseModel, build_model
from posebench.networks.spec import CropSpec, FlipSpec, HeadSpec, ModelSpec

OLD_CONFIG = """
data_cfg = dict(image_size=[64, 96], heatmap_size=[16, 24], num_joints=17)
model = dict(
    type='TopDown', keypoint_head=dict(type='TopdownHeatmapSimpleHead'),
    test_cfg=dict(flip_test=True, post_process='{post}', shift_heatmap={shift}, {more}))
val_pipeline = [
    dict(type='TopDownGetBboxCenterScale', padding=1.5),
    dict(type='TopDownAffine', use_udp={udp}),
    dict(type='NormalizeTensor', mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])]
data = dict(test=dict(type='TopDownCrowdPoseDataset', pipeline=val_pipeline))
"""


def network(spec: ModelSpec, seed: int = 3) -> PoseModel:
    model = build_model(spec)
    initialise(model, seed)
    return model.eval()


def assert_equal(checkpoint: Checkpoint, model: PoseModel) -> None:
    """Compare the outputs of two networks, which must be equal: same operations, same weights."""
    with torch.no_grad():
        pairs = zip(checkpoint.network(make_crops()), model(make_crops()), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def save_old(path: Path, model: PoseModel, **meta: Any) -> None:
    """Write a network as MMPose 0.x did: final convolutions in one numbered layer."""
    state: Mapping[str, Any] = model.state_dict()
    last = 3 * len(getattr(head_options(model.spec.head), "conv_channels", ()))
    if last:
        state = {
            name.replace(".conv_layers.", ".final_layer.")
            if ".conv_layers." in name
            else name.replace("final_layer.", f"final_layer.{last}."): tensor
            for name, tensor in state.items()
        }
    state = {
        name.replace("head.", "keypoint_head.").replace("loss_module.", "loss."): tensor
        for name, tensor in state.items()
    }
    torch.save({"state_dict": dict(state), "meta": {"mmpose_version": "0.10.0", **meta}}, path)


@pytest.mark.parametrize("convolutions", [(), (12,), (12, 10)])
def test_an_old_file_is_recognised_by_its_names(
    convolutions: tuple[int, ...], tmp_path: Path
) -> None:
    layers = {"conv_channels": convolutions, "conv_kernels": (3, 1)[: len(convolutions)]}
    head = whole_head(HeadSpec("heatmap", {**SPECS["heatmap"].head.options, **layers}))
    model = network(replace(SPECS["heatmap"], head=head, keypoints=CROWDPOSE))
    path = tmp_path / "small_crowdpose_96x64-960be101_20201227.pth"
    save_old(path, model)
    checkpoint = load_checkpoint(path)
    assert checkpoint.publisher == "mmpose-0.x"
    assert checkpoint.spec == replace(model.spec, flip=FlipSpec(shift_heatmap=True))
    why = {field: reason for field, _, reason in checkpoint.evidence}
    assert why["input_size"] == why["keypoints"] == "file name"
    assert why["flip.shift_heatmap"] == "assumed: MMPose's rule for heatmaps without UDP"
    assert_equal(checkpoint, model)


@pytest.mark.parametrize(
    ("post", "udp", "more", "codec"),
    [
        ("default", False, "modulate_kernel=11", HeatmapCodec()),
        ("unbiased", False, "modulate_kernel=17", HeatmapCodec(decoder="dark", blur_kernel=17)),
        ("default", True, "use_udp=True", HeatmapCodec(decoder="udp")),
    ],
)
def test_an_old_config(post: str, udp: bool, more: str, codec: Any, tmp_path: Path) -> None:
    model = network(replace(SPECS["heatmap"], keypoints=CROWDPOSE))
    text = OLD_CONFIG.format(post=post, shift=not udp, udp=udp, more=more)
    save_old(tmp_path / "old.pth", model, config=text)
    spec = load_checkpoint(tmp_path / "old.pth").spec
    assert (spec.codec, spec.input_size, spec.keypoints) == (codec, SIZE, CROWDPOSE)
    assert (spec.crop, spec.flip) == (CropSpec(padding=1.5, udp=udp), FlipSpec(True, not udp))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("'default'", "'megvii'", "Decoding by 'megvii'"),
        ("'TopDown'", "'AssociativeEmbedding'", "associative embedding"),
        ("'TopdownHeatmapSimpleHead'", "'TopdownHeatmapMSMUHead'", "TopdownHeatmapMSMUHead"),
        ("[64, 96]", "['a', 'b']", "a value that no config has"),
        ("[64, 96]", "[64, inf]", "a value that no config has"),
        ("[0.485, 0.456, 0.406]", "0.5", "a value that no config has"),
        ("type='TopDownAffine'", "type=['TopDownAffine']", "a value that no config has"),
    ],
)
def test_old_settings_that_would_compute_something_else(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    text = OLD_CONFIG.format(post="default", shift=True, udp=False, more="").replace(old, new)
    save_old(tmp_path / "old.pth", network(SPECS["heatmap"]), config=text)
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(tmp_path / "old.pth")


@pytest.mark.parametrize("kind", ["regression", "rle"])
@pytest.mark.parametrize("shift", [True, False])
def test_an_old_regression_file(kind: str, shift: bool, tmp_path: Path) -> None:
    path, model = tmp_path / "deeppose.pth", network(SPECS[kind])
    plain = len(model.state_dict())
    add_learned_loss(model.spec.head, model.head)
    test = "flip_test=True" + ", regression_flip_shift=True" * shift
    text = f"""data_cfg = dict(image_size=[64, 96])
model = dict(type='TopDown', neck=dict(type='GlobalAveragePooling'),
    keypoint_head=dict(type='DeepposeRegressionHead', out_sigma={kind == "rle"}),
    test_cfg=dict({test}))
"""
    save_old(path, model, config=text)
    checkpoint = load_checkpoint(path)
    assert checkpoint.publisher == "mmpose-0.x"
    assert (checkpoint.spec.head.kind, checkpoint.spec.codec) == (kind, RegressionCodec())
    assert checkpoint.spec.flip == FlipSpec(test=True, shift_coords=shift)
    assert checkpoint.report.mapped == plain
    assert_equal(checkpoint, model)


def test_offsets_have_three_channels_for_each_keypoint(tmp_path: Path) -> None:
    codec = HeatmapCodec(decoder="udp-regress", sigma=1.5)
    model = network(replace(SPECS["heatmap"], codec=codec))
    assert model.state_dict()["head.final_layer.weight"].shape[0] == 51
    text = config_text("heatmap").replace("'MSRAHeatmap'", "'UDPHeatmap', heatmap_type='combined'")
    text = text.replace("flip_mode='heatmap'", "flip_mode='udp_combined'")
    path, bare = tmp_path / "small.pth", tmp_path / "bare_96x64.pth"
    torch.save({"meta": {"cfg": text}, "state_dict": model.state_dict()}, path)
    checkpoint = load_checkpoint(path)
    assert (checkpoint.spec.codec, checkpoint.spec.keypoints) == (codec, COCO)
    assert_equal(checkpoint, model)
    torch.save(model.state_dict(), bare)
    spec = load_checkpoint(bare).spec
    assert spec.codec == HeatmapCodec(decoder="udp-regress")
    assert (spec.crop.udp, spec.flip.shift_heatmap, spec.keypoints) == (True, False, COCO)


def test_a_training_file_is_evaluated_by_its_average(tmp_path: Path) -> None:
    path = tmp_path / "epoch_3.pth"
    model = save_mmpose(path, "rtmcc", legacy=False)
    content = torch.load(path, weights_only=True)
    last = {f"module.{name}": tensor + 1 for name, tensor in content["state_dict"].items()}
    content["ema_state_dict"] = {**last, "steps": torch.tensor(7)}
    content["optimizer"] = {"state": {}}
    torch.save(content, path)
    checkpoint = load_checkpoint(path)
    assert_equal(checkpoint, model)
    assert dict(checkpoint.report.dropped) == {
        "training state beside the weights": ("optimizer",),
        "the last step's weights, whose running average is state_dict": ("ema_state_dict",),
    }


def test_a_distillation_is_its_student(tmp_path: Path) -> None:
    path = tmp_path / "epoch_3.pth"
    model = save_mmpose(path, "rtmcc")
    state = {f"student.{name}": tensor for name, tensor in model.state_dict().items()}
    state["teacher.backbone.stem.0.conv.weight"] = torch.zeros(2)
    state["distill_losses.loss_fea.align.weight"] = torch.zeros(2)
    text = config_text("rtmcc").replace(
        "'TopdownPoseEstimator'", "'DWPoseDistiller', two_dis=False"
    )
    torch.save({"meta": {"cfg": text}, "state_dict": state}, path)
    checkpoint = load_checkpoint(path)
    assert_equal(checkpoint, model)
    ((rule, names),) = checkpoint.report.dropped
    assert (rule, len(names)) == ("the teacher and the losses of a distillation", 2)
    text = text.replace("two_dis=False", "two_dis=True")
    torch.save({"meta": {"cfg": text}, "state_dict": state}, path)
    with pytest.raises(CheckpointError, match="second stage") as caught:
        load_checkpoint(path)
    assert "pth_transfer.py --two_dis" in str(caught.value)


@pytest.mark.parametrize("name", ["aic", "mpii", "halpe26", "coco-wholebody"])
def test_keypoint_sets_of_any_size_are_found(name: str, tmp_path: Path) -> None:
    keypoints = KEYPOINT_SETS[name]
    model = network(replace(SPECS["rtmcc"], keypoints=keypoints))
    path = tmp_path / f"rtmpose_{name}_96x64.pth"
    torch.save(model.state_dict(), path)
    assert load_checkpoint(path).spec.keypoints == keypoints
