"""Every family's state dict is recognised by that family alone, with options that rebuild it.

Their weights all have initial values.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from posebench.lab.training.initial_weights import initialise
from posebench.networks.backbones import BACKBONES, Shapes, build_backbone
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.model import build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

# Options that exercise every branch of a family's `recognise`; a new family adds its lines here.
OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "alexnet": ({},),
    "cspnext": (
        {"deepen_factor": 0.167, "widen_factor": 0.375},
        {"deepen_factor": 1.0, "widen_factor": 1.0},
        {"deepen_factor": 1.33, "widen_factor": 1.25},
        {"deepen_factor": 0.33, "widen_factor": 0.25, "out_stage": 3},
    ),
    "hrformer": ({"width": 32, "heads": 1}, {"width": 78, "heads": 2}),
    "hrnet": tuple({"width": width} for width in (18, 32, 48)),
    "litehrnet": (
        {"depth": 18},
        {"depth": 30},
        {"depth": 18, "base_channels": 30, "blocks": "naive"},
    ),
    "mobilenet_v2": (
        {"widen_factor": 0.35},
        {"widen_factor": 1.0},
        {"widen_factor": 1.4},
        {"widen_factor": 1.1},
    ),
    "resnest": tuple({"depth": depth} for depth in (50, 101, 152, 200, 269)),
    "resnet": (
        {"depth": 18},
        {"depth": 34, "base_channels": 16},
        {"depth": 50},
        {"depth": 50, "out_stage": 3},
        {"depth": 152},
        {"depth": 34, "avg_down": True},
        {"depth": 101, "deep_stem": True, "avg_down": True},
        {"depth": 50, "deep_stem": True, "base_channels": 32},
        {"depth": 50, "groups": 32, "width_per_group": 4},
        {"depth": 50, "groups": 8, "width_per_group": 2, "base_channels": 32},
        {"depth": 101, "se_ratio": 16},
        {"depth": 50, "se_ratio": 8, "groups": 64, "width_per_group": 4, "out_stage": 3},
    ),
    "scnet": ({"depth": 50}, {"depth": 101}),
    "shufflenet_v1": (
        *({"groups": groups} for groups in (1, 2, 3, 4, 8)),
        {"groups": 3, "widen_factor": 0.5},
    ),
    "shufflenet_v2": tuple({"widen_factor": factor} for factor in (0.5, 1.0, 1.5, 2.0)),
    "vgg": tuple({"depth": d, "batch_norm": bn} for d in (11, 13, 16, 19) for bn in (True, False)),
    "vipnas_mobilenet_v3": ({},),
    "vipnas_resnet": ({},),
    "vit": tuple(
        {
            "embed_dims": width,
            "num_layers": layers,
            "num_heads": heads,
            "feedforward_channels": 4 * width,
            "img_size": size,
        }
        for width, layers, heads, size in (
            (384, 12, 12, "256x192"),
            (768, 12, 12, "224x224"),
            (1024, 24, 16, "384x288"),
        )
    ),
}
CASES = [(family, options) for family, records in OPTIONS.items() for options in records]


def shapes_of(family: str, options: dict[str, Any]) -> Shapes:
    with torch.device("meta"):
        backbone = build_backbone(BackboneSpec(family, options))
    assert isinstance(backbone, torch.nn.Module)
    return {name: tuple(tensor.shape) for name, tensor in backbone.state_dict().items()}


def test_every_family_has_options_here() -> None:
    assert OPTIONS.keys() == BACKBONES.keys()


@pytest.mark.parametrize(("family", "options"), CASES, ids=str)
def test_only_its_own_family_recognises_a_state_dict(family: str, options: dict[str, Any]) -> None:
    shapes = shapes_of(family, options)
    found = {name: other.recognise(shapes) for name, other in BACKBONES.items()}
    claims = {name: record for name, record in found.items() if record is not None}
    assert claims.keys() == {family}
    assert shapes_of(family, claims[family]) == shapes


@pytest.mark.parametrize("family", OPTIONS)
def test_all_weights_of_a_family_have_initial_values(family: str) -> None:
    backbone = BackboneSpec(family, OPTIONS[family][0])
    with torch.device("meta"):
        spec = ModelSpec(backbone, HeadSpec("heatmap"), HeatmapCodec(), InputSize(256, 192))
        model = build_model(spec)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    initialise(model, 0)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
