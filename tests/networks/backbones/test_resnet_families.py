"""ResNet's variants and the mobile families against MMPose 1.3.2 and published sizes."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pytest
import torch
from filled_weights import fill, seeded_crop
from key_lists import KEYS

from posebench.checkpoints.architecture import trained_size
from posebench.errors import UnsupportedSizeError
from posebench.networks.backbones import build_backbone
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.model import build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

PUBLISHED: dict[str, BackboneSpec] = {
    "td-hm_alexnet": BackboneSpec("alexnet"),
    "td-hm_mobilenetv2": BackboneSpec("mobilenet_v2"),
    "td-hm_resnest50": BackboneSpec("resnest"),
    "td-hm_resnetv1d50": BackboneSpec("resnet", {"deep_stem": True, "avg_down": True}),
    "td-hm_resnext50": BackboneSpec("resnet", {"groups": 32, "width_per_group": 4}),
    "td-hm_scnet50": BackboneSpec("scnet"),
    "td-hm_seresnet50": BackboneSpec("resnet", {"se_ratio": 16}),
    "td-hm_shufflenetv1": BackboneSpec("shufflenet_v1"),
    "td-hm_shufflenetv2": BackboneSpec("shufflenet_v2"),
    "td-hm_vgg16-bn": BackboneSpec("vgg"),
}


DECONVS = HeadSpec("heatmap", {"deconv_channels": (256,) * 3, "deconv_kernels": (4,) * 3})


def build(spec: BackboneSpec) -> torch.nn.Module:
    with torch.device("meta"):
        backbone = build_backbone(spec)
    assert isinstance(backbone, torch.nn.Module)
    return backbone.eval()


def mmpose_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes that MMPose 1.3.2 builds from its config for coco-256x192."""
    lines = gzip.decompress((KEYS / f"{name}.txt.gz").read_bytes()).decode().splitlines()
    rows = (line.split() for line in lines)
    return {row[0]: tuple(map(int, row[1].split("x"))) if row[1:] else () for row in rows}


def shapes_of(spec: ModelSpec) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        model = build_model(spec)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_are_mmposes(name: str) -> None:
    spec = ModelSpec(PUBLISHED[name], DECONVS, HeatmapCodec(), InputSize(256, 192))
    assert shapes_of(spec) == mmpose_shapes(name)


def test_simcc_without_deconvolutions_is_mmposes() -> None:
    shapes = mmpose_shapes("simcc_mobilenetv2_wo-deconv")
    head, size = HeadSpec("simcc"), InputSize(256, 192)
    spec = ModelSpec(BackboneSpec("mobilenet_v2"), head, SimccCodec(), size)
    assert shapes_of(spec) == shapes
    found = {finding.field: finding.value for finding in trained_size(shapes, head, 32, None)}
    assert found == {"input_size": str(size), "codec.split_ratio": 2.0}


# Means over the cells of five channels at even distances, computed by MMPose 1.3.2.
MMPOSE_FEATURES = {
    "td-hm_alexnet": (0.02568, 0.66055, 0.98822, 0.88818, 0.00707),
    "td-hm_mobilenetv2": (0.0405, 0.00394, 0.0, 0.04653, 0.00772),
    "td-hm_resnest50": (0.37796, 0.60103, 0.01349, 0.19877, 2.03876),
    "td-hm_resnetv1d50": (0.20108, 0.78495, 0.01205, 0.66037, 2.66817),
    "td-hm_resnext50": (1.94098, 2.34954, 0.58176, 1.38459, 3.27842),
    "td-hm_scnet50": (0.66427, 2.30951, 0.01067, 1.62797, 0.09564),
    "td-hm_seresnet50": (0.3009, 1.68047, 0.01201, 0.49958, 0.04336),
    "td-hm_shufflenetv1": (0.57843, 5.50969, 4.51049, 0.98885, 0.12249),
    "td-hm_shufflenetv2": (0.0, 0.1416, 0.00023, 0.02291, 0.11324),
    "td-hm_vgg16-bn": (0.09165, 0.0, 0.05829, 0.18524, 0.09213),
}


@pytest.mark.parametrize("name", MMPOSE_FEATURES)
def test_features_are_mmposes(name: str) -> None:
    backbone = build(PUBLISHED[name])
    fill(backbone)
    with torch.no_grad():
        means = backbone(seeded_crop(128, 128)).mean((0, 2, 3))
    probed = means[:: len(means) // 5][:5].numpy()
    np.testing.assert_allclose(probed, MMPOSE_FEATURES[name], rtol=0, atol=1e-4)


# Published counts without the classifier: torchvision's, except for SE-ResNet, ResNetV1d and
# ResNeSt (timm's legacy_seresnet50 and 152, resnet50d, resnest50d).
_LINEAR_2048, _LINEAR_1280, _LINEAR_1024 = 2_049_000, 1_281_000, 1_025_000
_VGG_CLASSIFIER, _ALEXNET_CLASSIFIER = 123_642_856, 58_631_144


@pytest.mark.parametrize(
    ("family", "options", "published", "classifier"),
    [
        ("resnet", {"groups": 32}, 25_028_904, _LINEAR_2048),
        (
            "resnet",
            {"depth": 101, "groups": 32, "width_per_group": 8},
            88_791_336,
            _LINEAR_2048,
        ),
        ("resnet", {"depth": 101, "groups": 64}, 83_455_272, _LINEAR_2048),
        ("resnet", {"deep_stem": True, "avg_down": True}, 25_576_264, _LINEAR_2048),
        ("resnet", {"se_ratio": 16}, 28_088_024, _LINEAR_2048),
        ("resnet", {"depth": 152, "se_ratio": 16}, 66_821_848, _LINEAR_2048),
        ("resnest", {}, 27_483_240, _LINEAR_2048),
        ("mobilenet_v2", {}, 3_504_872, _LINEAR_1280),
        ("shufflenet_v2", {"widen_factor": 0.5}, 1_366_792, _LINEAR_1024),
        ("shufflenet_v2", {}, 2_278_604, _LINEAR_1024),
        ("shufflenet_v2", {"widen_factor": 1.5}, 3_503_624, _LINEAR_1024),
        ("shufflenet_v2", {"widen_factor": 2.0}, 7_393_996, _LINEAR_2048),
        ("vgg", {"depth": 11, "batch_norm": False}, 132_863_336, _VGG_CLASSIFIER),
        ("vgg", {"depth": 16}, 138_365_992, _VGG_CLASSIFIER),
        ("vgg", {"depth": 19, "batch_norm": False}, 143_667_240, _VGG_CLASSIFIER),
        ("alexnet", {}, 61_100_840, _ALEXNET_CLASSIFIER),
    ],
)
def test_parameter_counts_are_the_published_ones(
    family: str, options: dict[str, Any], published: int, classifier: int
) -> None:
    backbone = build(BackboneSpec(family, options))
    assert sum(p.numel() for p in backbone.parameters()) == published - classifier


# Millions of parameters with a classifier of 1000 classes, from the SCNet paper's table 1.
@pytest.mark.parametrize(("depth", "millions"), [(50, 25.6), (101, 44.6)])
def test_scnet_is_of_the_published_size(depth: int, millions: float) -> None:
    count = sum(p.numel() for p in build(BackboneSpec("scnet", {"depth": depth})).parameters())
    assert (count + _LINEAR_2048) / 1e6 == pytest.approx(millions, abs=0.05)


def test_scnet_says_which_inputs_are_too_small() -> None:
    scnet = build(BackboneSpec("scnet"))
    assert scnet(torch.empty(1, 3, 128, 128, device="meta")).shape == (1, 2048, 4, 4)
    with pytest.raises(UnsupportedSizeError, match="3x4"):
        scnet(torch.empty(1, 3, 96, 128, device="meta"))


def test_alexnet_rounds_its_maps_down() -> None:
    alexnet = build(BackboneSpec("alexnet"))
    assert alexnet(torch.empty(1, 3, 256, 192, device="meta")).shape == (1, 256, 7, 5)
