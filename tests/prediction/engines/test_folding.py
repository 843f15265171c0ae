"""Folded networks against the networks themselves, family by family."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from filled_weights import fill, seeded_crop
from small_run import small_spec
from torch import nn

from posebench.networks.backbones import BACKBONES
from posebench.networks.model import PoseModel, build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec
from posebench.prediction.engines.folding import folded

SIZE = InputSize(128, 96)
FAMILIES: dict[str, dict[str, object]] = {
    "resnet": {"depth": 18, "base_channels": 8},
    "hrnet": {"width": 18},
    "cspnext": {"deepen_factor": 0.167, "widen_factor": 0.125},
    "mobilenet_v2": {},
    "shufflenet_v2": {},
}


def model_of(family: str, options: dict[str, object], head: HeadSpec | None = None) -> PoseModel:
    plain = small_spec("heatmap", SIZE)
    spec = ModelSpec(
        BackboneSpec(family, options), head or plain.head, plain.codec, SIZE, plain.keypoints
    )
    model = build_model(spec).eval()
    fill(model)
    return model


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def gap(model: PoseModel, other: PoseModel) -> float:
    crop = seeded_crop(SIZE.height, SIZE.width)
    with torch.inference_mode():
        (one,), (two,) = model(crop), other(crop)
    return float((one - two).abs().max() / one.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
def test_folding_leaves_no_norm_and_the_same_function(family: str) -> None:
    assert family in BACKBONES
    model = model_of(family, FAMILIES[family])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count = norms(model)
    result = folded(model)
    assert (count > 0, norms(result)) == (True, 0)
    assert gap(model, result) < 1e-5
    # The original is what it was: `eager` and other precisions start from it.
    assert norms(model) == count
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_groups_of_transposed_convolutions() -> None:
    head = HeadSpec(
        "heatmap", {"deconv_channels": (8, 8), "deconv_kernels": (4, 4), "deconv_groups": (2, 4)}
    )
    model = model_of("resnet", FAMILIES["resnet"], head)
    result = folded(model)
    assert norms(result) == 0
    assert gap(model, result) < 1e-5


def test_a_convolution_that_runs_twice_keeps_its_norms() -> None:
    head = HeadSpec("heatmap", {"deconv_channels": (8, 8), "deconv_kernels": (4, 4)})
    model: Any = model_of("resnet", FAMILIES["resnet"], head)
    first, second = model.head.deconv_layers[3], model.head.deconv_layers[4]
    twice = nn.Sequential(first, second, nn.ReLU(), first, nn.BatchNorm2d(second.num_features))
    # Of stride 2 and equal channels, it can follow itself.
    model.head.deconv_layers = nn.Sequential(*model.head.deconv_layers[:3], twice)
    count = norms(model)
    result = folded(model.eval())
    assert norms(result) == 2 < count
    assert gap(model, result) < 1e-5
