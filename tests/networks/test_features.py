"""Features by name: one interface for every family of backbones and heads."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from posebench.errors import UnsupportedExecutionError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.backbones import BACKBONES, stage_modules
from posebench.networks.codecs import HeatmapCodec, SimccCodec
from posebench.networks.costs import count_gflops
from posebench.networks.features import read_answer_vectors
from posebench.networks.heads import HEADS
from posebench.networks.model import PoseModel, build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec, NeckSpec

SIZE = InputSize(128, 128)
# The smallest network of each family; a new family adds its line.
OPTIONS: dict[str, dict[str, Any]] = {
    "alexnet": {},
    "cspnext": {"deepen_factor": 0.167, "widen_factor": 0.125},
    "hrformer": {"width": 8, "heads": 1},
    "hrnet": {"width": 4},
    "litehrnet": {"depth": 18},
    "mobilenet_v2": {"widen_factor": 0.35},
    "resnest": {"depth": 50},
    "resnet": {"depth": 18, "base_channels": 8},
    "scnet": {"depth": 50},
    "shufflenet_v1": {"widen_factor": 0.5},
    "shufflenet_v2": {"widen_factor": 0.5},
    "vgg": {"depth": 11},
    "vipnas_mobilenet_v3": {},
    "vipnas_resnet": {},
    "vit": {
        "embed_dims": 16,
        "num_layers": 6,
        "num_heads": 2,
        "feedforward_channels": 32,
        "img_size": str(SIZE),
    },
}
GAU = {"hidden_dims": 32, "s": 16}
SMALL = BackboneSpec("cspnext", OPTIONS["cspnext"])
DECONVS = {"deconv_channels": [8], "deconv_kernels": [4]}


def network(backbone: BackboneSpec, head: HeadSpec, codec: Any = None) -> PoseModel:
    family = HEADS[head.kind]
    neck = NeckSpec(blocks=1) if family.neck else None
    model = build_model(ModelSpec(backbone, head, codec or family.codec(), SIZE, neck=neck))
    initialise(model, 0)
    return model.eval()


def crops() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 3, SIZE.height, SIZE.width, generator=generator)


def test_every_family_of_backbones_is_tried() -> None:
    assert OPTIONS.keys() == BACKBONES.keys()


@pytest.mark.parametrize("family", OPTIONS)
@torch.no_grad()
def test_stages_are_maps_as_they_were_computed_and_end_in_the_features(family: str) -> None:
    model = network(BackboneSpec(family, OPTIONS[family]), HeadSpec("heatmap"))
    copies: list[Tensor] = []

    def copy(_module: nn.Module, _inputs: Any, output: Any) -> None:
        copies.append((output[0] if isinstance(output, list) else output).clone())

    assert isinstance(model.backbone, nn.Module)
    names = stage_modules(model.spec.backbone)
    hooks = [model.backbone.get_submodule(name).register_forward_hook(copy) for name in names]
    found = model.features(crops())
    for hook in hooks:
        hook.remove()
    stages = [maps for name, maps in found.maps.items() if name.startswith("stage")]
    assert 3 <= len(stages) == len(copies)
    for maps, kept in zip(stages, copies, strict=True):
        assert maps.ndim == 4
        # Nothing after a stage changes what it computed.
        tokens = maps.flatten(2).transpose(1, 2) if kept.ndim == 3 else maps
        assert torch.equal(tokens, kept)
    assert torch.equal(stages[-1], model.backbone(crops()))
    assert torch.equal(found.outputs[0], model(crops())[0])


@torch.no_grad()
@pytest.mark.parametrize(
    "head",
    [
        HeadSpec("heatmap"),
        HeadSpec("heatmap", DECONVS),
        HeadSpec("heatmap", {**DECONVS, "final_layer_kernel": 3}),
    ],
)
def test_a_heatmap_is_the_product_of_tokens_and_keypoint_vectors(head: HeadSpec) -> None:
    model = network(SMALL, head)
    found, vectors = model.features(crops()), model.answer_vectors()
    learned = vectors.keypoints
    assert learned is not None and learned.bias is not None
    kernel = learned.kernel
    around = functional.unfold(found.maps["tokens"], kernel, padding=kernel // 2)
    product = (learned.rows @ around + learned.bias[:, None]).reshape(found.outputs[0].shape)
    torch.testing.assert_close(product, found.outputs[0])
    assert found.codes is None and not vectors.positions


@torch.no_grad()
@pytest.mark.parametrize(
    "head",
    [
        HeadSpec("simcc"),
        HeadSpec("simcc", DECONVS),
        HeadSpec("rtmcc", {"gau": GAU, "final_layer_kernel": 7}),
        HeadSpec("rtmw", {"gau": GAU, "final_layer_kernel": 7}),
    ],
)
def test_bins_are_the_product_of_codes_and_position_vectors(head: HeadSpec) -> None:
    model = network(SMALL, head)
    found, vectors = model.features(crops()), model.answer_vectors()
    assert found.codes is not None
    assert vectors.positions.keys() == {"simcc_x", "simcc_y"}
    for output, learned in zip(found.outputs, vectors.positions.values(), strict=True):
        torch.testing.assert_close(found.codes @ learned.rows.T, output)
    assert ("neck1" in found.maps) == (head.kind == "rtmw")


def test_several_maps_of_a_keypoint_make_one_vector() -> None:
    model = network(SMALL, HeadSpec("simcc", {"channels_per_keypoint": 3}), SimccCodec())
    channels = model.backbone.out_channels
    vectors = model.answer_vectors().of_keypoints(17)
    assert vectors is not None and vectors.shape == (17, 3 * channels)


def test_offsets_of_udp_regress_are_no_keypoint_vectors() -> None:
    model = network(SMALL, HeadSpec("heatmap"), HeatmapCodec(decoder="udp-regress"))
    assert isinstance(model.head.final_layer, nn.Conv2d)
    rows = model.head.final_layer.weight[::3].flatten(1)
    vectors = model.answer_vectors().of_keypoints(17)
    assert vectors is not None and torch.equal(vectors, rows)


def test_a_head_without_such_layers_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network(SMALL, HeadSpec("heatmap"))
    plain = HEADS["heatmap"]
    monkeypatch.setitem(HEADS, "heatmap", type(plain)(**{**vars(plain), "answer_layers": None}))
    with pytest.raises(UnsupportedExecutionError, match="heatmap head"):
        read_answer_vectors(model)
    assert "tokens" not in model.features(crops()).maps


@pytest.mark.slow
def test_operations_of_all_backbones_are_counted_as_torch_counts_them() -> None:
    for family, options in OPTIONS.items():
        model = network(BackboneSpec(family, options), HeadSpec("heatmap"))
        theirs = FlopCounterMode(display=False)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), theirs:
            model(torch.zeros(1, 3, SIZE.height, SIZE.width))
        assert count_gflops(model, SIZE) == theirs.get_total_flops() / 2e9
