"""Networks against MMPose 1.3.2: names, shapes, values, published sizes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from filled_weights import fill, seeded_crop

from posebench.errors import SpecError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.costs import count_gflops, count_parameters
from posebench.networks.model import PoseModel, build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

FACTORS = {"t": (0.167, 0.375), "s": (0.33, 0.5), "m": (0.67, 0.75), "l": (1.0, 1.0)}
DECONVS: dict[str, Any] = {"deconv_channels": (256,) * 3, "deconv_kernels": (4,) * 3}


def resnet(depth: int) -> BackboneSpec:
    return BackboneSpec("resnet", {"depth": depth})


def cspnext(variant: str) -> BackboneSpec:
    deepen, widen = FACTORS[variant]
    return BackboneSpec("cspnext", {"deepen_factor": deepen, "widen_factor": widen})


def heatmap(backbone: BackboneSpec) -> ModelSpec:
    return ModelSpec(backbone, HeadSpec("heatmap", DECONVS), HeatmapCodec(), InputSize(256, 192))


def simcc(backbone: BackboneSpec) -> ModelSpec:
    return ModelSpec(backbone, HeadSpec("simcc", DECONVS), SimccCodec(), InputSize(256, 192))


def rtmpose(variant: str) -> ModelSpec:
    head = HeadSpec("rtmcc", {"final_layer_kernel": 7, "gau": {}})
    return ModelSpec(cspnext(variant), head, SimccCodec(), InputSize(256, 192))


SPECS = {
    "td-hm_res50": heatmap(resnet(50)),
    "td-hm_res101": heatmap(resnet(101)),
    "td-hm_res152": heatmap(resnet(152)),
    "simcc_res50": simcc(resnet(50)),
    "cspnext-m_udp": heatmap(cspnext("m")),
    "rtmpose-t": rtmpose("t"),
    "rtmpose-s": rtmpose("s"),
    "rtmpose-m": rtmpose("m"),
    "rtmpose-l": rtmpose("l"),
}


def build_on_meta(spec: ModelSpec) -> PoseModel:
    with torch.device("meta"):
        return build_model(spec)


# sha256 of the sorted lines "name shape" of the state dict that MMPose 1.3.2 builds from its
# config for coco-256x192.
STATE_DICTS = {
    "td-hm_res50": "3165fb863a3069551f76155314c93b46087676b401f7b2f5b08d3481df0c0c29",
    "td-hm_res101": "093a5bc7858c78a945e4c59603b6ca612f4c0213b2e69c92b0b02897318d6f7e",
    "td-hm_res152": "b588dd2192cd0dc08e13d50e21e9379cc9ffe6d445bc9d8c99b416ec453a03db",
    "simcc_res50": "b1c97424c80503848c99a579052429c8547f3c10b3ac871dd2bf095cbb62756d",
    "cspnext-m_udp": "e24bdeab0e0847bdf57cc5611ee112e08de82d520205b5272e73086a4adb994a",
    "rtmpose-t": "06a0c935b031a335e2575bb08822456cbae6f5ceeaed6829fa0517cbb502a8de",
    "rtmpose-s": "d517a549b40faf73d129ba859ece3f6e9b5f67c8d5faac77ca561b9bb8912b90",
    "rtmpose-m": "265557701443eeb09160484e6fdc0031769e9b7cd5885b35a8e3a572c31c57c6",
    "rtmpose-l": "bf628821c520441837c26af098d336fe730526d6e9d2c8d92bc3105e26191ee6",
}


@pytest.mark.parametrize("name", SPECS)
def test_names_and_shapes_are_mmposes(name: str) -> None:
    state = build_on_meta(SPECS[name]).state_dict()
    listing = "\n".join(sorted(f"{key} {tuple(value.shape)}" for key, value in state.items()))
    assert hashlib.sha256(listing.encode()).hexdigest() == STATE_DICTS[name]


# Five outputs at even distances, computed by MMPose 1.3.2 with the weights and crop below.
MMPOSE_OUTPUTS = {
    "rtmpose-t": (
        (-0.0165, -0.16445, -1.23182, 0.79019, -0.78011),
        (1.15195, -0.55543, 2.27909, 0.07504, 0.13407),
    ),
    "simcc_res50": (
        (-0.24098, -0.57839, -0.11543, -0.05207, -0.00377),
        (0.02637, 0.43005, 0.03068, 0.09433, 0.47326),
    ),
    "td-hm_res50": ((0.0872, 0.29676, 1.03586, -0.04363, 0.14976),),
}


@pytest.mark.parametrize("name", MMPOSE_OUTPUTS)
def test_outputs_are_mmposes(name: str) -> None:
    model = build_model(SPECS[name]).eval()
    fill(model)
    with torch.no_grad():
        outputs = model(seeded_crop(256, 192))
    for output, expected in zip(outputs, MMPOSE_OUTPUTS[name], strict=True):
        flat = output.flatten()
        probed = flat[:: len(flat) // 5][:5].numpy()
        np.testing.assert_allclose(probed, expected, rtol=0, atol=1e-4)


# Millions of parameters and giga multiply-accumulates, from the RTMPose paper (arXiv:2303.07399)
# and MMPose's model zoo.
@pytest.mark.parametrize(
    ("name", "parameters", "gflops"),
    [
        ("rtmpose-t", 3.34, 0.36),
        ("rtmpose-s", 5.47, 0.68),
        ("rtmpose-m", 13.59, 1.93),
        ("rtmpose-l", 27.66, 4.16),
        ("td-hm_res50", 34.0, 5.4),
    ],
)
def test_size_is_the_published_one(name: str, parameters: float, gflops: float) -> None:
    assert count_parameters(build_on_meta(SPECS[name])) / 1e6 == pytest.approx(parameters, abs=5e-3)
    spec = SPECS[name]
    assert count_gflops(build_model(spec), spec.input_size) == pytest.approx(gflops, rel=0.02)


def test_gflops_of_a_heatmap_network_grow_with_the_area() -> None:
    spec = SPECS["td-hm_res50"]
    model = build_model(spec)
    own = count_gflops(model, spec.input_size)
    assert count_gflops(model, InputSize(512, 384)) == pytest.approx(4 * own)


@pytest.mark.parametrize(
    "head",
    [
        HeadSpec("heatmap", {"deconv_channels": (16, 16), "deconv_kernels": (4, 3)}),
        HeadSpec("simcc"),
        HeadSpec(
            "simcc", {"deconv_channels": (32,), "deconv_kernels": (2,), "deconv_groups": (16,)}
        ),
        HeadSpec("rtmcc", {"final_layer_kernel": 7, "gau": {"hidden_dims": 32, "s": 16}}),
    ],
)
def test_initial_weights_depend_on_the_seed_alone(head: HeadSpec) -> None:
    backbone = BackboneSpec(
        "cspnext", {"deepen_factor": 0.2, "widen_factor": 0.125, "out_stage": 3}
    )
    codec = HeatmapCodec() if head.kind == "heatmap" else SimccCodec()
    spec = ModelSpec(backbone, head, codec, InputSize(64, 48))
    torch.manual_seed(0)
    first, second, other = build_model(spec), build_model(spec), build_model(spec)
    initialise(first, 7)
    torch.manual_seed(1)
    initialise(second, 7)
    initialise(other, 8)
    states = [model.state_dict() for model in (first, second, other)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    changed = {key for key in states[0] if not torch.equal(states[0][key], states[2][key])}
    assert changed == {
        key for key, value in states[0].items() if value.ndim >= 2 or "gau.gamma" in key
    }


def test_parameters_that_no_rule_sets_are_named() -> None:
    spec = SPECS["td-hm_res50"]
    model = build_model(replace(spec, backbone=resnet(18)))
    model.backbone = torch.nn.Conv3d(3, 4, 1)  # type: ignore[assignment]
    with pytest.raises(AssertionError, match=r"Conv3d has .* no rule sets: weight, bias\. Give it"):
        initialise(model, 0)


def test_initial_output_layers_are_small() -> None:
    spec = SPECS["td-hm_res50"]
    small = replace(spec, backbone=resnet(18))
    model = build_model(small)
    initialise(model, 0)
    weight = model.state_dict()["head.final_layer.weight"]
    assert float(weight.std()) == pytest.approx(0.001, rel=0.1)
    assert float(model.state_dict()["backbone.conv1.weight"].std()) == pytest.approx(
        (2 / (3 * 49)) ** 0.5, rel=0.1
    )


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (HeadSpec("simcc", {"deconv_channels": (256,), "deconv_kernels": (5,)}), "2, 3, 4"),
        (
            HeadSpec(
                "simcc", {"deconv_channels": (256,), "deconv_kernels": (4,), "deconv_groups": (3,)}
            ),
            "3 groups",
        ),
        (
            HeadSpec("rtmcc", {"deconv_channels": (256,), "deconv_kernels": (4,), "gau": {}}),
            "deconv_channels",
        ),
        (HeadSpec("simcc", {"final_layer_kernel": 2}), "odd"),
    ],
)
def test_impossible_heads_are_errors(head: HeadSpec, said: str) -> None:
    spec = ModelSpec(resnet(50), head, SimccCodec(), InputSize(256, 192))
    with pytest.raises(SpecError, match=said) as caught:
        build_on_meta(spec)
    assert said in str(caught.value)
