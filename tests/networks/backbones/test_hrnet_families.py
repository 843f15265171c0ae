"""HRNet, Lite-HRNet, HRFormer and ViPNAS against MMPose 1.3.2 and published sizes."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from filled_weights import fill, seeded_crop
from key_lists import KEYS

from posebench.checkpoints.architecture import find_architecture, trained_size
from posebench.checkpoints.findings import nested_mapping
from posebench.errors import SpecError, UnsupportedSizeError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.backbones import build_backbone, describe
from posebench.networks.backbones.hrformer import WindowAttention
from posebench.networks.backbones.litehrnet import LiteHRModule
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.costs import count_parameters
from posebench.networks.grids import Grid
from posebench.networks.heads import head_options, map_grid
from posebench.networks.model import PoseModel, build_model
from posebench.networks.policies import Policy, apply_policy
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

SIZE = InputSize(256, 192)
CONV = HeadSpec("heatmap")
GROUPED = HeadSpec(
    "heatmap",
    {"deconv_channels": (144,) * 3, "deconv_kernels": (4,) * 3, "deconv_groups": (16,) * 3},
)
DEPTHWISE = HeadSpec(
    "heatmap",
    {"deconv_channels": (160,) * 3, "deconv_kernels": (4,) * 3, "deconv_groups": (160,) * 3},
)
PUBLISHED: dict[str, tuple[BackboneSpec, HeadSpec]] = {
    "td-hm_hrnet-w32": (BackboneSpec("hrnet", {"width": 32}), CONV),
    "td-hm_hrnet-w48": (BackboneSpec("hrnet", {"width": 48}), CONV),
    "td-hm_hrformer-small": (BackboneSpec("hrformer", {"width": 32, "heads": 1}), CONV),
    "td-hm_hrformer-base": (BackboneSpec("hrformer", {"width": 78, "heads": 2}), CONV),
    "td-hm_litehrnet-18": (BackboneSpec("litehrnet", {"depth": 18}), CONV),
    "td-hm_litehrnet-30": (BackboneSpec("litehrnet", {"depth": 30}), CONV),
    "td-hm_vipnas-mbv3": (BackboneSpec("vipnas_mobilenet_v3"), DEPTHWISE),
    "td-hm_vipnas-res50": (BackboneSpec("vipnas_resnet"), GROUPED),
    "simcc_vipnas-mbv3": (BackboneSpec("vipnas_mobilenet_v3"), replace(DEPTHWISE, kind="simcc")),
}
NAIVE = BackboneSpec("litehrnet", {"base_channels": 30, "blocks": "naive"})


def model_of(backbone: BackboneSpec, head: HeadSpec, size: InputSize = SIZE) -> PoseModel:
    codec = HeatmapCodec() if head.kind == "heatmap" else SimccCodec()
    return build_model(ModelSpec(backbone, head, codec, size)).eval()


def keys(name: str) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes that MMPose 1.3.2 builds from its config for coco-256x192."""
    lines = gzip.decompress((KEYS / f"{name}.txt.gz").read_bytes()).decode().splitlines()
    rows = (line.split() for line in lines)
    return {row[0]: tuple(map(int, row[1].split("x"))) if row[1:] else () for row in rows}


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_are_found_from_mmposes_names_and_shapes(name: str) -> None:
    backbone, head = PUBLISHED[name]
    found = nested_mapping(find_architecture(keys(name)))
    assert BackboneSpec(**found["backbone"]) == backbone
    assert head_options(HeadSpec.of(found["head"])) == head_options(head)
    with torch.device("meta"):
        state = model_of(backbone, head).state_dict()
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == keys(name)


# Means over the cells of five channels at even distances, computed by MMPose 1.3.2.
MMPOSE_FEATURES = {
    "td-hm_hrnet-w32": (217.51053, 0.0, 1111.271, 1361.57361, 3096.47266),
    "td-hm_litehrnet-18": (0.01603, 2.02044, 2.48043, 1.18551, 0.12222),
    "td-hm_litehrnet-30": (0.72077, 34.17855, 140.10915, 31.82427, 2.9574),
    "naive": (0.3757, 12.21132, 18.1813, 0.13917, 0.0),
    "td-hm_hrformer-small": (38.42059, 0.50785, 21.28652, 1.18001, 17.11305),
    "td-hm_vipnas-mbv3": (-0.11068, -0.24034, 0.09641, -0.12878, -0.0771),
    "td-hm_vipnas-res50": (0.80881, 8.39934, 0.08467, 2.14339, 0.2527),
}


@pytest.mark.parametrize("name", MMPOSE_FEATURES)
def test_features_are_mmposes(name: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(NAIVE if name == "naive" else PUBLISHED[name][0])
    assert isinstance(backbone, torch.nn.Module)
    fill(backbone.eval())
    with torch.no_grad():
        means = backbone(seeded_crop(128, 128)).mean((0, 2, 3))
    probed = means[:: len(means) // 5][:5].numpy()
    np.testing.assert_allclose(probed, MMPOSE_FEATURES[name], rtol=1e-4, atol=1e-4)


# Millions of parameters: tables of the papers on HRNet (arXiv:1902.09212), Lite-HRNet
# (2104.06403) and HRFormer (2110.09408).
@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("td-hm_hrnet-w32", 28.5),
        ("td-hm_hrnet-w48", 63.6),
        ("td-hm_litehrnet-18", 1.1),
        ("td-hm_litehrnet-30", 1.8),
        ("td-hm_hrformer-small", 7.8),
        ("td-hm_hrformer-base", 43.2),
    ],
)
def test_size_is_the_published_one(name: str, millions: float) -> None:
    with torch.device("meta"):
        model = model_of(*PUBLISHED[name])
    assert count_parameters(model) / 1e6 == pytest.approx(millions, abs=0.06)


def test_lite_hrnet_adds_its_finest_branch_twice() -> None:
    """Upstream adds branch 0 to itself in place, so that the other branches get that sum."""
    module: Any = LiteHRModule((8, 16), naive=False).eval()
    fill(module)
    module.layers = torch.nn.Identity()
    generator = torch.Generator().manual_seed(0)
    fine, coarse = (
        torch.randn(1, 8, 4, 4, generator=generator),
        torch.randn(1, 16, 2, 2, generator=generator),
    )
    up, down = module.fuse_layers[0][1], module.fuse_layers[1][0]
    with torch.no_grad():
        first, second = module([fine, coarse])
        total = 2 * fine + up(coarse)
        torch.testing.assert_close(first, total.relu())
        torch.testing.assert_close(second, (2 * down(total) + coarse).relu())


def test_attention_bias_depends_on_the_offset_alone() -> None:
    index = WindowAttention(8, 1).relative_position_index.reshape(7, 7, 7, 7)
    rows, columns = np.indices((7, 7))
    for y, x in ((0, 0), (2, 5), (6, 6)):
        expected = (y - rows + 6) * 13 + (x - columns + 6)
        np.testing.assert_array_equal(index[y, x], expected)


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        (BackboneSpec("hrnet"), "HRNet-W32"),
        (BackboneSpec("hrnet", {"width": 48}), "HRNet-W48"),
        (BackboneSpec("hrformer"), "HRFormer-S"),
        (BackboneSpec("hrformer", {"width": 78, "heads": 2}), "HRFormer-B"),
        (BackboneSpec("hrformer", {"width": 8, "heads": 2}), "HRFormer(w=8,heads=2)"),
        (BackboneSpec("litehrnet", {"depth": 30}), "Lite-HRNet-30"),
        (NAIVE, "Naive-Lite-HRNet-18(w=30)"),
        (BackboneSpec("vipnas_mobilenet_v3"), "ViPNAS-MobileNetV3"),
        (BackboneSpec("vipnas_resnet"), "ViPNAS-ResNet-50"),
    ],
)
def test_printed_names(backbone: BackboneSpec, name: str) -> None:
    assert describe(backbone) == name


@pytest.mark.parametrize(
    ("backbone", "said"),
    [
        (BackboneSpec("hrnet", {"width": 0}), "at least 1"),
        (BackboneSpec("hrformer", {"width": 32, "heads": 3}), "32 channels in 3 heads"),
        (BackboneSpec("litehrnet", {"depth": 50}), "18, 30"),
        (BackboneSpec("litehrnet", {"base_channels": 7}), "even and at least 8"),
        (BackboneSpec("vipnas_resnet", {"depth": 50}), "unknown key 'depth'"),
    ],
)
def test_options_that_no_network_has(backbone: BackboneSpec, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        build_backbone(backbone)


SMALL = {
    "hrnet": BackboneSpec("hrnet", {"width": 2}),
    "hrformer": BackboneSpec("hrformer", {"width": 2}),
    "litehrnet": BackboneSpec("litehrnet", {"base_channels": 8}),
}


@pytest.mark.parametrize("family", SMALL)
def test_a_size_that_the_branches_cannot_be_fused_at_is_unsupported(family: str) -> None:
    with torch.device("meta"):
        model = model_of(SMALL[family], CONV, InputSize(64, 64))
        with pytest.raises(RuntimeError, match="broadcast"):
            model.backbone(torch.empty(1, 3, 64, 72))
        cell = apply_policy(model, InputSize(96, 64), "native")
        (heatmaps,) = cell(torch.empty(1, 3, 96, 64))
    assert heatmaps.shape == (1, 17, 24, 16)
    assert map_grid(model.spec.head, model.stride, InputSize(96, 64)) == Grid(24, 16)
    with pytest.raises(
        UnsupportedSizeError, match="multiples of 32: this network cannot round sides up"
    ) as caught:
        apply_policy(model, InputSize(64, 72), "native")
    assert "64x64 and 64x96" in str(caught.value)
    assert apply_policy(model, InputSize(64, 72), "resample").input_size == InputSize(64, 64)
    with pytest.raises(SpecError, match="multiples of 32, not 64x72"):
        model_of(SMALL[family], CONV, InputSize(64, 72))


def test_simcc_on_hrnet_flattens_maps_of_stride_4() -> None:
    # SimDR-HRNet-W32 of the SimCC paper (arXiv:2107.03332): 31.3 million parameters.
    with torch.device("meta"):
        model = model_of(BackboneSpec("hrnet"), HeadSpec("simcc"))
    assert count_parameters(model) / 1e6 == pytest.approx(31.3, abs=0.05)
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    found = trained_size(shapes, model.spec.head, model.stride, None)
    assert [(each.field, each.value) for each in found] == [
        ("input_size", "256x192"),
        ("codec.split_ratio", 2.0),
    ]
    small = model_of(SMALL["hrnet"], HeadSpec("simcc"), InputSize(64, 64))
    initialise(small, 0)
    crop = seeded_crop(96, 64)
    bins: dict[Policy, tuple[int, int]] = {"pool": (128, 128), "interpolate": (128, 192)}
    for policy, expected in bins.items():
        with torch.no_grad():
            outputs = apply_policy(small, InputSize(96, 64), policy)(crop)
        assert tuple(output.shape[-1] for output in outputs) == expected
