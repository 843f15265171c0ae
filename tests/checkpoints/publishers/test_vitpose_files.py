"""Files of the ViTPose repository, and a ViT in files of MMPose 1.x.

The reference is torch's own `TransformerEncoderLayer` between ViTPose's patches and heads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.publishers.mmvit import find_vit
from posebench.checkpoints.publishers.vit_weights import has_class_row
from posebench.errors import CheckpointError
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.heads import head_options
from posebench.networks.sizes import InputSize

WIDTH, HEADS, HIDDEN, SIZE = 16, 4, 32, (64, 48)
SPEC = "backbone: {options: {num_heads: 4}}\n"


class Reference(nn.Module):
    """A ViTPose network of two layers."""

    def __init__(self, simple: bool, keypoints: int = 17) -> None:
        super().__init__()
        self.simple = simple
        self.patches = nn.Conv2d(3, WIDTH, 16, 16, padding=2)
        self.positions = nn.Parameter(torch.zeros(1, 1 + 12, WIDTH))
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH,
                HEADS,
                HIDDEN,
                activation="gelu",
                layer_norm_eps=1e-6,
                batch_first=True,
                norm_first=True,
            )
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        deconvs: list[nn.Module] = []
        for channels in () if simple else (WIDTH, 8):
            deconvs += [
                nn.ConvTranspose2d(channels, 8, 4, 2, 1, bias=False),
                nn.BatchNorm2d(8),
                nn.ReLU(),
            ]
        self.deconvs = nn.Sequential(*deconvs)
        last = (WIDTH, 3) if simple else (8, 1)
        self.final = nn.Conv2d(last[0], keypoints, last[1], padding=last[1] // 2)
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn_like(parameter) * 0.3)

    def forward(self, x: Tensor, class_row: float = 1.0) -> Tensor:
        x = self.patches(x)
        grid = x.shape[2:]
        x = x.flatten(2).transpose(1, 2) + self.positions[:, 1:]
        x = x + class_row * self.positions[:, :1]
        for layer in self.layers:
            x = layer(x)
        x = self.norm(x).transpose(1, 2).unflatten(2, grid)
        if self.simple:
            x = functional.interpolate(functional.relu(x), scale_factor=4, mode="bilinear")
        result: Tensor = self.final(self.deconvs(x))
        return result

    def state(self) -> dict[str, Tensor]:
        """Return the weights under the names of ViTPose's repository."""
        backbone = {
            "patch_embed.proj": self.patches,
            "last_norm": self.norm,
            **{
                f"blocks.{number}.{name}": layer.get_submodule(part)
                for number, layer in enumerate(self.layers)
                for name, part in (
                    ("norm1", "norm1"),
                    ("norm2", "norm2"),
                    ("attn.proj", "self_attn.out_proj"),
                    ("mlp.fc1", "linear1"),
                    ("mlp.fc2", "linear2"),
                )
            },
        }
        modules = {f"backbone.{name}": module for name, module in backbone.items()}
        modules["keypoint_head.deconv_layers"] = self.deconvs
        modules["keypoint_head.final_layer"] = self.final
        state = {
            f"{name}.{tensor}": value
            for name, module in modules.items()
            for tensor, value in module.state_dict().items()
        }
        state["backbone.pos_embed"] = self.positions.detach()
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, nn.TransformerEncoderLayer)
            attention, prefix = layer.self_attn, f"backbone.blocks.{number}.attn.qkv"
            state[f"{prefix}.weight"] = attention.in_proj_weight.detach()
            state[f"{prefix}.bias"] = attention.in_proj_bias.detach()
        return state


def crops() -> Tensor:
    return torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def loaded(
    tmp_path: Path, state: dict[str, Tensor], meta: Any = None, more: str = ""
) -> Checkpoint:
    path, spec = tmp_path / "vitpose.pth", tmp_path / "spec.yaml"
    torch.save({"state_dict": state, "meta": meta or {}}, path)
    spec.write_text(SPEC + more)
    return load_checkpoint(path, spec)


def assert_same(checkpoint: Checkpoint, expected: Tensor) -> None:
    with torch.no_grad():
        (found,) = checkpoint.network(crops())
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("simple", [False, True])
def test_original_files_compute_what_they_did(simple: bool, tmp_path: Path) -> None:
    reference = Reference(simple).eval()
    checkpoint = loaded(tmp_path, reference.state())
    assert checkpoint.publisher == "vitpose"
    assert checkpoint.spec.input_size == InputSize(*SIZE)
    assert head_options(checkpoint.spec.head).upsample == (4 if simple else 1)
    why = {field: reason for field, _, reason in checkpoint.evidence}
    assert why["input_size"] == (
        "assumed: of the grids of 12 patches of 16x16 pixels the nearest to 4:3"
    )
    with torch.no_grad():
        assert_same(checkpoint, reference(crops()))


def with_experts(state: dict[str, Tensor], *, split: bool) -> dict[str, Tensor]:
    """Return the state as ViTPose+ stores it, or as its tool extracts it for COCO."""
    mixed = dict(state)
    for name in [name for name in state if ".mlp.fc2." in name]:
        shared, coco = state[name][:-4], state[name][-4:]
        mixed[name] = state[name] if split else shared
        for number in range(3):
            expert = coco if number == 0 else torch.full_like(coco, 9.0)
            mixed[name.replace("fc2", f"experts.{number}")] = expert
    for name in [name for name in state if name.startswith("keypoint_head.")]:
        mixed[name.replace("keypoint_head", "associate_keypoint_heads.0")] = state[name]
    return mixed


@pytest.mark.parametrize(("split", "left"), [(False, 2 * 2 * 2), (True, 2 * 2 * 3)])
def test_cocos_expert_is_read_among_several(split: bool, left: int, tmp_path: Path) -> None:
    reference = Reference(simple=False).eval()
    checkpoint = loaded(tmp_path, with_experts(reference.state(), split=split))
    ((rule, names),) = checkpoint.report.dropped
    assert rule == "experts and heads of other data sets than COCO"
    heads = [name for name in names if name.startswith("associate_keypoint_heads.")]
    assert len(names) - len(heads) == left
    assert len(heads) == len(reference.deconvs.state_dict()) + 2
    with torch.no_grad():
        assert_same(checkpoint, reference(crops()))


def test_an_expert_without_its_layer(tmp_path: Path) -> None:
    state = with_experts(Reference(simple=True).state(), split=False)
    del state["backbone.blocks.1.mlp.fc2.weight"]
    with pytest.raises(CheckpointError, match=r"layers\.1\.ffn\.experts\.0\.weight, but not"):
        loaded(tmp_path, state)
    state = with_experts(Reference(simple=True).state(), split=False)
    state["backbone.blocks.1.mlp.experts.0.weight"] = torch.zeros(4, HIDDEN + 1)
    with pytest.raises(CheckpointError, match="cannot be joined"):
        loaded(tmp_path, state)


# ViTPose's configs: COCO (17) and MPII (16) use UDP without shift; CrowdPose and AIC (14) use
# neither.
@pytest.mark.parametrize(("keypoints", "udp"), [(17, True), (14, False)])
def test_the_protocol_is_the_repositorys(keypoints: int, udp: bool, tmp_path: Path) -> None:
    more = "keypoints: crowdpose\n" if keypoints == 14 else ""
    state = Reference(simple=True, keypoints=keypoints).state()
    checkpoint = loaded(tmp_path, state, more=more)
    spec = checkpoint.spec
    assert spec.codec == HeatmapCodec(decoder="udp" if udp else "quarter")
    assert (spec.crop.udp, spec.flip.shift_heatmap) == (udp, not udp)
    why = {field: reason for field, _, reason in checkpoint.evidence}
    assert f"by {keypoints} keypoints" in why["codec.decoder"]


def mmpose_state(reference: Reference) -> dict[str, Tensor]:
    """Return the weights under the names of MMPose 1.x, the class token's row included."""
    renames = (
        ("patch_embed.proj.", "patch_embed.projection."),
        ("last_norm.", "ln1."),
        ("blocks.", "layers."),
        (".norm1.", ".ln1."),
        (".norm2.", ".ln2."),
        (".mlp.fc1.", ".ffn.layers.0.0."),
        (".mlp.fc2.", ".ffn.layers.1."),
        ("keypoint_head.", "head."),
    )
    state = {}
    for name, tensor in reference.state().items():
        new_name = name
        for old, new in renames:
            new_name = new_name.replace(old, new)
        state[new_name] = tensor
    return state


@pytest.mark.parametrize("row", [False, True])
def test_mmpose_leaves_the_class_row_out(row: bool, tmp_path: Path) -> None:
    reference = Reference(simple=True).eval()
    state = mmpose_state(reference)
    if not row:
        state["backbone.pos_embed"] = state["backbone.pos_embed"][:, 1:]
    checkpoint = loaded(tmp_path, state)
    assert checkpoint.publisher == "mmpose-1.x"
    rules = [rule for rule, _ in checkpoint.report.dropped]
    assert rules == (["the position of a class token, which mmpretrain drops"] if row else [])
    with torch.no_grad():
        assert_same(checkpoint, reference(crops(), class_row=0.0))


@pytest.mark.parametrize(
    ("count", "row"),
    [(192, False), (193, True), (433, True), (196, False), (197, True), (257, True), (200, False)],
)
def test_a_class_row_is_recognised_by_the_count(count: int, row: bool) -> None:
    assert has_class_row(count) is row


@pytest.mark.parametrize("shape", [(1, WIDTH), (1, 1, WIDTH)])
def test_positions_of_no_network(shape: tuple[int, ...], tmp_path: Path) -> None:
    state = Reference(simple=True).state()
    state["backbone.pos_embed"] = torch.zeros(shape)
    with pytest.raises(CheckpointError, match="position embedding has the shape"):
        loaded(tmp_path, state)


CONFIG = """codec = dict(input_size=(48, 64), heatmap_size=(12, 16), sigma=2, type='UDPHeatmap')
model = dict(
    type='TopdownPoseEstimator',
    backbone=dict(
        arch=dict(embed_dims=16, feedforward_channels=32, num_heads=4, num_layers=2),
        img_size=(64, 48), out_type='featmap', patch_cfg=dict(padding=2), patch_size=16,
        qkv_bias=True, type='mmpretrain.VisionTransformer', with_cls_token=False),
    head=dict(type='HeatmapHead', decoder=codec),
    neck=dict(apply_relu=True, scale_factor=4.0, type='FeatureMapProcessor'))
"""


def from_config(tmp_path: Path, text: str) -> Checkpoint:
    path = tmp_path / "vit.pth"
    state = mmpose_state(Reference(simple=True))
    state["backbone.pos_embed"] = state["backbone.pos_embed"][:, 1:]
    torch.save({"state_dict": state, "meta": {"cfg": text}}, path)
    return load_checkpoint(path)


def test_the_config_text_says_what_shapes_do_not(tmp_path: Path) -> None:
    reference = Reference(simple=True).eval()
    checkpoint = from_config(tmp_path, CONFIG)
    options = checkpoint.spec.backbone.options
    assert (options["num_heads"], options["img_size"]) == (4, "64x48")
    with torch.no_grad():
        assert_same(checkpoint, reference(crops(), class_row=0.0))
    named = CONFIG.replace("qkv_bias=True", "norm_cfg=dict(type='LN', eps=1e-3)")
    assert from_config(tmp_path, named).spec.backbone.options["norm_eps"] == 1e-3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("padding=2", "padding=0", r"patch_cfg\.padding to '0'"),
        (", with_cls_token=False", "", "with_cls_token to 'True'"),
        ("out_type='featmap', ", "", "out_type to 'cls_token'"),
        ("qkv_bias=True", "pre_norm=True", "pre_norm to 'True'"),
        ("apply_relu=True", "apply_relu=False", "apply_relu to 'False'"),
        ("scale_factor=4.0", "scale_factor=2.5", "enlarges by '2.5'"),
        ("scale_factor=4.0", "align_corners=True", "align_corners to 'True'"),
        ("neck=dict", "neck=[1], other=dict", "has the neck"),
        ("num_heads=4", "num_head=4", r"model\.backbone\.arch"),
        ("img_size=(64, 48)", "img_size=(64, '48')", "img_size"),
    ],
)
def test_settings_of_a_vit_that_are_not_computed(
    old: str, new: str, words: str, tmp_path: Path
) -> None:
    assert old in CONFIG
    with pytest.raises(CheckpointError, match=words):
        from_config(tmp_path, CONFIG.replace(old, new))


def test_the_neck_of_another_family_is_ignored_for_a_vit() -> None:
    neck = {"type": "CSPNeXtPAFPN", "in_channels": [192, 384, 768]}
    model = {"backbone": {"type": "mmdet.CSPNeXt"}, "neck": neck}
    assert find_vit({"model": model}) == ()
    with pytest.raises(CheckpointError, match="has the neck"):
        find_vit({"model": {**model, "neck": {"type": "FeatureMapProcessor"}}})
