"""ViT: parameter counts, recognition, and the position embedding at other sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from posebench.errors import SpecError, UnsupportedSizeError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.backbones import build_backbone, describe, recognise_backbone
from posebench.networks.backbones.vit import ViT, ViTOptions, size_of_positions
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.costs import count_gflops
from posebench.networks.heads import head_options
from posebench.networks.model import build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

SIZES = {
    "S": (384, 12, 12, 1536),
    "B": (768, 12, 12, 3072),
    "L": (1024, 24, 16, 4096),
    "H": (1280, 32, 16, 5120),
}


def options(dims: tuple[int, int, int, int], **others: Any) -> dict[str, Any]:
    names = ("embed_dims", "num_layers", "num_heads", "feedforward_channels")
    return {**dict(zip(names, dims, strict=True)), "img_size": "256x192", **others}


def tiny(seed: int = 0, **others: Any) -> ViT:
    torch.manual_seed(seed)
    given: dict[str, Any] = {"img_size": InputSize(64, 48), **others}
    model = ViT(ViTOptions(16, 2, 4, 32, **given)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return model


# torchvision's published counts of vit_b_16, vit_l_16 and vit_h_14, without the classifier, the
# class token and its position; 196 or 256 positions become 192, and patches of 14 pixels become 16.
@pytest.mark.parametrize(
    ("size", "published", "classifier", "positions", "patch"),
    [
        ("B", 86_567_656, 769_000, 196, 16),
        ("L", 304_326_632, 1_025_000, 196, 16),
        ("H", 632_045_800, 1_281_000, 256, 14),
    ],
)
def test_parameters_are_as_published(
    size: str, published: int, classifier: int, positions: int, patch: int
) -> None:
    with torch.device("meta"):
        backbone = build_backbone(BackboneSpec("vit", options(SIZES[size])))
    assert isinstance(backbone, nn.Module)
    width = SIZES[size][0]
    moved = 2 + positions - 192 + 3 * (patch**2 - 16**2)
    found = sum(parameter.numel() for parameter in backbone.parameters())
    assert found == published - classifier - width * moved


def test_gflops_count_attention() -> None:
    dims = (16, 2, 4, 32)
    spec = ModelSpec(
        BackboneSpec("vit", options(dims, img_size="64x48")),
        HeadSpec("heatmap"),
        HeatmapCodec(),
        InputSize(64, 48),
    )
    width, layers, _, hidden = dims
    patches = 4 * 3
    linear = patches * (4 * width**2 + 2 * width * hidden)
    attention = 2 * patches**2 * width
    ends = patches * width * (3 * 16**2 + 17)
    assert count_gflops(build_model(spec), spec.input_size) == pytest.approx(
        (layers * (linear + attention) + ends) / 1e9
    )


def test_initialise_sets_every_weight_from_the_seed() -> None:
    spec = ModelSpec(
        BackboneSpec("vit", options((16, 2, 4, 32))),
        HeadSpec("heatmap", {"final_layer_kernel": 3, "upsample": 4}),
        HeatmapCodec(),
        InputSize(256, 192),
    )
    states = []
    for torch_seed in (1, 2):
        torch.manual_seed(torch_seed)
        model = build_model(spec)
        initialise(model, 3)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    # The std of upstream's initialisation.
    assert float(states[0]["backbone.pos_embed"].std()) == pytest.approx(0.02, rel=0.05)


def test_only_heatmap_heads_enlarge() -> None:
    with pytest.raises(SpecError, match="unknown key 'upsample'"):
        head_options(HeadSpec("simcc", {"upsample": 2}))


@pytest.mark.parametrize("size", SIZES)
def test_published_sizes_are_recognised(size: str) -> None:
    spec = BackboneSpec("vit", options(SIZES[size]))
    with torch.device("meta"):
        backbone = build_backbone(spec)
    assert isinstance(backbone, nn.Module)
    shapes = {name: tuple(tensor.shape) for name, tensor in backbone.state_dict().items()}
    assert recognise_backbone(shapes) == spec
    assert describe(spec) == f"ViT-{size}"


def test_heads_of_other_sizes_are_not_guessed() -> None:
    model = tiny(qkv_bias=False)
    found = recognise_backbone({n: tuple(t.shape) for n, t in model.state_dict().items()})
    assert found is not None
    assert found.options == {
        "embed_dims": 16,
        "num_layers": 2,
        "feedforward_channels": 32,
        "img_size": "64x48",
        "qkv_bias": False,
    }
    with pytest.raises(SpecError, match="num_heads"):
        build_backbone(found)


@pytest.mark.parametrize(
    ("count", "size"),
    [(192, "256x192"), (432, "384x288"), (108, "192x144"), (196, "224x224"), (384, "384x256")],
)
def test_positions_tell_the_trained_size(count: int, size: str) -> None:
    assert str(size_of_positions(count)) == size


@pytest.mark.parametrize("count", [0, 257, 100_000])
def test_positions_that_are_no_grid(count: int) -> None:
    with pytest.raises(ValueError, match="form no grid"):
        size_of_positions(count)


def by_hand(model: ViT, x: torch.Tensor) -> torch.Tensor:
    """The same network by its equations: softmax(QK'/sqrt(d))V per head, bicubic positions."""
    state = model.state_dict()
    patches = functional.conv2d(
        x, state["patch_embed.projection.weight"], state["patch_embed.projection.bias"], 16, 2
    )
    _, channels, rows, columns = patches.shape
    grid = state["pos_embed"].reshape(1, 4, 3, channels).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, (rows, columns), mode="bicubic", align_corners=False)
    x = (patches + grid).flatten(2).transpose(1, 2)

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-6).sqrt()
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return torch.add(scaled * weight, bias)

    def linear(x: torch.Tensor, name: str) -> torch.Tensor:
        return torch.add(x @ state[f"{name}.weight"].T, state[f"{name}.bias"])

    for layer in ("layers.0", "layers.1"):
        qkv = linear(norm(x, f"{layer}.ln1"), f"{layer}.attn.qkv")
        heads = []
        for head in range(4):
            part = slice(4 * head, 4 * head + 4)
            q, k, v = (each[..., part] for each in qkv.split(channels, dim=-1))
            heads.append((q @ k.transpose(1, 2) / 2).softmax(-1) @ v)
        x = x + linear(torch.cat(heads, -1), f"{layer}.attn.proj")
        y = linear(norm(x, f"{layer}.ln2"), f"{layer}.ffn.layers.0.0")
        y = y * 0.5 * (1 + torch.erf(y / 2**0.5))
        x = x + linear(y, f"{layer}.ffn.layers.1")
    return norm(x, "ln1").transpose(1, 2).reshape(-1, channels, rows, columns)


@pytest.mark.parametrize("size", [(64, 48), (96, 96), (32, 64)])
def test_the_network_is_the_equations_at_any_size(size: tuple[int, int]) -> None:
    model = tiny()
    x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model(x), by_hand(model, x), rtol=1e-4, atol=1e-5)


def test_a_size_that_cuts_patches_is_refused() -> None:
    with pytest.raises(UnsupportedSizeError, match="multiples of 16"):
        tiny()(torch.zeros(1, 3, 72, 48))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"num_heads": 5}, "5 heads"),
        ({"num_layers": 0}, "1 or more"),
        ({"img_size": "250x190"}, "multiples of 16"),
        ({"img_size": "big"}, "not an input size"),
        ({"norm_eps": 2}, "norm_eps"),
    ],
)
def test_options_that_no_vit_has(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        build_backbone(BackboneSpec("vit", {**options(SIZES["S"]), **changed}))
