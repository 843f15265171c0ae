"""Backbones: shapes, options and printed names."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from posebench.errors import SpecError
from posebench.networks.backbones import build_backbone, describe
from posebench.networks.spec import BackboneSpec


def cspnext(deepen: float, widen: float, **others: Any) -> BackboneSpec:
    return BackboneSpec("cspnext", {"deepen_factor": deepen, "widen_factor": widen, **others})


@pytest.mark.parametrize(
    ("spec", "channels", "stride"),
    [
        (BackboneSpec("resnet", {"depth": 18}), 512, 32),
        (BackboneSpec("resnet"), 2048, 32),
        (cspnext(0.167, 0.375), 384, 32),
        (cspnext(0.33, 0.25, out_stage=3), 128, 16),
        (BackboneSpec("resnet", {"deep_stem": True, "avg_down": True}), 2048, 32),
        (BackboneSpec("resnest"), 2048, 32),
        (BackboneSpec("mobilenet_v2", {"widen_factor": 0.5}), 1280, 32),
        (BackboneSpec("mobilenet_v2", {"widen_factor": 1.4}), 1792, 32),
        (BackboneSpec("shufflenet_v1"), 960, 32),
        (BackboneSpec("shufflenet_v2", {"widen_factor": 2.0}), 2048, 32),
    ],
)
@pytest.mark.parametrize(("height", "width"), [(96, 64), (96, 72)])
def test_features_have_the_stated_channels_and_stride(
    spec: BackboneSpec, channels: int, stride: int, height: int, width: int
) -> None:
    with torch.device("meta"):
        backbone = build_backbone(spec)
        features = backbone(torch.empty(2, 3, height, width))
    assert (backbone.out_channels, backbone.stride) == (channels, stride)
    assert features.shape == (2, channels, -(-height // stride), -(-width // stride))


# torchvision's published counts without the classifier (512 or 2048 x 1000 + 1000).
@pytest.mark.parametrize(
    ("depth", "published", "classifier"),
    [
        (18, 11_689_512, 513_000),
        (34, 21_797_672, 513_000),
        (50, 25_557_032, 2_049_000),
        (101, 44_549_160, 2_049_000),
        (152, 60_192_808, 2_049_000),
    ],
)
def test_resnet_has_torchvisions_parameter_count(
    depth: int, published: int, classifier: int
) -> None:
    with torch.device("meta"):
        backbone = build_backbone(BackboneSpec("resnet", {"depth": depth}))
    assert isinstance(backbone, torch.nn.Module)
    assert sum(p.numel() for p in backbone.parameters()) == published - classifier


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (BackboneSpec("resnet", {"depth": 101}), "ResNet-101"),
        (BackboneSpec("resnet"), "ResNet-50"),
        (cspnext(0.67, 0.75), "CSPNeXt-m"),
        (cspnext(1, 1), "CSPNeXt-l"),
        (cspnext(0.33, 0.25), "CSPNeXt(d=0.33,w=0.25)"),
        (cspnext(0.67, 0.75, out_stage=3), "CSPNeXt(d=0.67,w=0.75,stride=16)"),
        (BackboneSpec("resnet", {"groups": 32}), "ResNeXt-50(32x4d)"),
        (BackboneSpec("resnet", {"deep_stem": True, "avg_down": True}), "ResNetV1d-50"),
        (BackboneSpec("resnet", {"deep_stem": True}), "ResNet-50(deep_stem)"),
        (BackboneSpec("resnet", {"depth": 101, "se_ratio": 16}), "SEResNet-101"),
        (
            BackboneSpec("resnet", {"se_ratio": 8, "base_channels": 32, "out_stage": 3}),
            "SEResNet-50(w=32,ratio=8)/stage3",
        ),
        (BackboneSpec("scnet", {"depth": 101}), "SCNet-101"),
        (BackboneSpec("resnest", {"depth": 269}), "ResNeSt-269"),
        (BackboneSpec("mobilenet_v2"), "MobileNetV2"),
        (BackboneSpec("mobilenet_v2", {"widen_factor": 0.5}), "MobileNetV2(w=0.5)"),
        (BackboneSpec("shufflenet_v1"), "ShuffleNetV1(g=3)"),
        (BackboneSpec("shufflenet_v1", {"widen_factor": 0.5}), "ShuffleNetV1(g=3,w=0.5)"),
        (BackboneSpec("shufflenet_v2", {"widen_factor": 1.5}), "ShuffleNetV2(w=1.5)"),
        (BackboneSpec("vgg"), "VGG-16-bn"),
        (BackboneSpec("vgg", {"batch_norm": False}), "VGG-16"),
        (BackboneSpec("alexnet"), "AlexNet"),
    ],
)
def test_printed_names(spec: BackboneSpec, name: str) -> None:
    assert describe(spec) == name


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (BackboneSpec("resnext"), "Did you mean 'resnet'"),
        (BackboneSpec("resnet", {"depth": 18, "groups": 32}), "50, 101, 152"),
        (BackboneSpec("resnet", {"depth": 34, "style": "caffe"}), "50, 101, 152"),
        (BackboneSpec("resnet", {"se_ratio": 0}), "1 or more"),
        (BackboneSpec("scnet", {"depth": 152}), "50, 101"),
        (BackboneSpec("resnest", {"depth": 18}), "50, 101, 152, 200, 269"),
        (BackboneSpec("mobilenet_v2", {"widen_factor": 0.0}), "above 0"),
        (BackboneSpec("shufflenet_v1", {"groups": 5}), "1, 2, 3, 4, 8"),
        (BackboneSpec("shufflenet_v2", {"widen_factor": 0.7}), "0.5, 1.0, 1.5, 2.0"),
        (BackboneSpec("vgg", {"depth": 12}), "11, 13, 16, 19"),
        (BackboneSpec("resnet", {"depht": 50}), "Did you mean 'depth'"),
        (BackboneSpec("resnet", {"depth": 51}), "18, 34, 50, 101, 152"),
        (BackboneSpec("cspnext", {"deepen_factor": 1.0}), "widen_factor"),
        (cspnext(1.0, 0.01), "at least 0.0625"),
        (cspnext(1.0, 1.0, out_stage=2), "out_stage"),
    ],
)
def test_unknown_families_and_options_are_named(spec: BackboneSpec, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_backbone(spec)
    assert said in str(caught.value)
