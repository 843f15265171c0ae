"""HRNet, Lite-HRNet, HRFormer and ViPNAS against MMPose 1.3.2 and published sizes."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from filled_weights import fill, seeded_crop
from torch import Tensor

from posebench.backbones import BACKBONES, build_backbone, describe, recognise_backbone
from posebench.backbones.hrformer import WindowAttention
from posebench.backbones.litehrnet import LiteHRModule
from posebench.checkpoints.architecture import find_architecture
from posebench.checkpoints.findings import nested_mapping
from posebench.codecs import HeatmapCodec, SimccCodec
from posebench.errors import SpecError, UnsupportedSizeError
from posebench.grids import Grid, heatmap_size
from posebench.model import PoseModel, build_model, count_gflops, count_parameters, initialise
from posebench.policies import apply_policy
from posebench.sizes import InputSize
from posebench.spec import BackboneSpec, HeadSpec, ModelSpec

KEYS = Path(__file__).parents[1] / "data" / "keys"
SIZE = InputSize(256, 192)
CONV = HeadSpec("heatmap")
VIPNAS = HeadSpec("heatmap", (144,) * 3, (4,) * 3, (16,) * 3)
VIPNAS_SIMCC = HeadSpec("simcc", (160,) * 3, (4,) * 3, (160,) * 3)
PUBLISHED: dict[str, tuple[BackboneSpec, HeadSpec]] = {
    "td-hm_hrnet-w32": (BackboneSpec("hrnet", {"width": 32}), CONV),
    "td-hm_hrnet-w48": (BackboneSpec("hrnet", {"width": 48}), CONV),
    "td-hm_hrformer-small": (BackboneSpec("hrformer", {"width": 32, "heads": 1}), CONV),
    "td-hm_hrformer-base": (BackboneSpec("hrformer", {"width": 78, "heads": 2}), CONV),
    "td-hm_litehrnet-18": (BackboneSpec("litehrnet", {"depth": 18}), CONV),
    "td-hm_litehrnet-30": (BackboneSpec("litehrnet", {"depth": 30}), CONV),
    "td-hm_vipnas-mbv3": (BackboneSpec("vipnas_mobilenet_v3"), VIPNAS),
    "td-hm_vipnas-res50": (BackboneSpec("vipnas_resnet"), VIPNAS),
    "simcc_vipnas-mbv3": (BackboneSpec("vipnas_mobilenet_v3"), VIPNAS_SIMCC),
}
NAIVE = BackboneSpec("litehrnet", {"base_channels": 30, "blocks": "naive"})


def build(backbone: BackboneSpec, device: str = "meta") -> torch.nn.Module:
    with torch.device(device):
        network = build_backbone(backbone)
    assert isinstance(network, torch.nn.Module)
    return network.eval()


def model_of(backbone: BackboneSpec, head: HeadSpec, size: InputSize = SIZE) -> PoseModel:
    codec = HeatmapCodec() if head.kind == "heatmap" else SimccCodec()
    return build_model(ModelSpec(backbone, head, codec, size)).eval()


def keys(name: str) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes that MMPose 1.3.2 builds of its config for coco-256x192."""
    lines = gzip.decompress((KEYS / f"{name}.txt.gz").read_bytes()).decode().splitlines()
    rows = (line.split() for line in lines)
    return {row[0]: tuple(map(int, row[1].split("x"))) if row[1:] else () for row in rows}


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks_are_found_from_mmposes_names_and_shapes(name: str) -> None:
    backbone, head = PUBLISHED[name]
    found = nested_mapping(find_architecture(keys(name)))
    assert found["backbone"] == {"family": backbone.family, "options": backbone.options}
    assert HeadSpec(**found["head"]) == head
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
    backbone = build(NAIVE if name == "naive" else PUBLISHED[name][0], "cpu")
    fill(backbone)
    with torch.no_grad():
        means = backbone(seeded_crop(128, 128)).mean((0, 2, 3))
    probed = means[:: len(means) // 5][:5].numpy()
    np.testing.assert_allclose(probed, MMPOSE_FEATURES[name], rtol=1e-4, atol=1e-4)


# Millions of parameters and giga multiply-accumulates at 256x192: table 1 of the HRNet paper
# (arXiv:1902.09212), table 2 of the Lite-HRNet paper (arXiv:2104.06403).
@pytest.mark.parametrize(
    ("name", "parameters", "gflops"),
    [
        ("td-hm_hrnet-w32", 28.5, 7.1),
        ("td-hm_hrnet-w48", 63.6, 14.6),
        ("td-hm_litehrnet-18", 1.1, 0.2052),
        ("td-hm_litehrnet-30", 1.8, 0.3192),
    ],
)
def test_size_is_the_published_one(name: str, parameters: float, gflops: float) -> None:
    model = model_of(*PUBLISHED[name])
    assert count_parameters(model) / 1e6 == pytest.approx(parameters, abs=0.05)
    print(name, count_gflops(model, SIZE))
    assert count_gflops(model, SIZE) == pytest.approx(gflops, rel=0.02)
