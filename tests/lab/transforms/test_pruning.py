"""Magnitude pruning, against torch's own and networks that really lack the channels."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from small_networks import make_crops, make_model
from small_run import small_model
from torch import nn
from torch.nn.utils import prune

from posebench.errors import UnsupportedExecutionError
from posebench.lab.transforms.applying import with_transformed_weights
from posebench.lab.transforms.channels import prune_channels, removable
from posebench.lab.transforms.layers import weighted_layers
from posebench.lab.transforms.pruning import limit_of, prune_weights
from posebench.networks.model import build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec
from posebench.suites.transforms import parse_transform


def three_layers() -> list[Any]:
    torch.manual_seed(0)
    return [nn.Conv2d(3, 4, 3), nn.Linear(7, 9), nn.ConvTranspose2d(4, 5, 2)]


@pytest.mark.parametrize("percent", [1, 30, 50, 90])
def test_weights_equal_those_of_torch(percent: int) -> None:
    ours, theirs = three_layers(), three_layers()
    prune_weights(ours, percent)
    prune.global_unstructured(
        [(layer, "weight") for layer in theirs],
        pruning_method=prune.L1Unstructured,
        amount=percent / 100,
    )
    for one, two in zip(ours, theirs, strict=True):
        assert torch.equal(one.weight, two.weight)
        assert one.bias.all()


def test_global_and_layer_by_layer_rank_among_others() -> None:
    model = make_model("heatmap")

    def shares(text: str) -> list[float]:
        result: Any = with_transformed_weights(model, parse_transform(text))
        return [
            float((layer.weight == 0).float().mean()) for layer in weighted_layers(result, "whole")
        ]

    layers = weighted_layers(model, "whole")
    sizes = [layer.weight.numel() for layer in layers]
    by_layer, together = shares("prune-50-layer"), shares("prune-50")
    assert all(abs(share - 0.5) <= 0.51 / size for share, size in zip(by_layer, sizes, strict=True))
    total = sum(share * size for share, size in zip(together, sizes, strict=True)) / sum(sizes)
    assert total == pytest.approx(0.5, abs=1e-4)
    assert max(together) - min(together) > 0.2
    assert all(layer.weight.all() for layer in layers)  # the published network stays


def test_the_limit_is_that_of_the_smallest() -> None:
    sizes = torch.tensor([3.0, 1.0, 2.0, 4.0])
    assert [limit_of(sizes, percent) for percent in (1, 25, 50, 99)] == [-1, 1, 2, 4]


def names_of_removable(model: Any) -> dict[str, str | None]:
    names = {module: name for name, module in model.named_modules()}
    return {
        names[each.layer]: None if each.norm is None else names[each.norm]
        for each in removable(model)
    }


def test_which_channels_can_be_taken_out() -> None:
    found = names_of_removable(small_model("heatmap"))
    # The second convolution of a block is added to a shortcut; the stem is read by one, too.
    blocks = [f"backbone.layer{stage}.{block}" for stage in (1, 2, 3) for block in (0, 1)]
    assert found == {f"{block}.conv1": f"{block}.bn1" for block in blocks}
    # Behind the head's transposed convolutions nothing but convolutions reads.
    head = names_of_removable(make_model("heatmap"))
    assert {"head.deconv_layers.0": "head.deconv_layers.1"}.items() <= head.items()
    assert {"head.deconv_layers.3": "head.deconv_layers.4"}.items() <= head.items()
    assert "head.final_layer" not in head
    depthwise = [name for name in head if "depthwise" in name]
    assert not depthwise


def test_channels_at_zero_are_channels_that_are_not_there() -> None:
    model = make_model("heatmap")
    layers: Any = model.head.deconv_layers
    with torch.no_grad():
        for norm in (layers[1], layers[4]):
            norm.bias.copy_(torch.linspace(0.1, 1, len(norm.bias)))
    pruned = copy.deepcopy(model)
    prune_channels(pruned, weighted_layers(pruned, "head"), 50)
    smaller = copy.deepcopy(model)
    inner: Any = smaller.head.deconv_layers
    kept: list[Any] = []
    for place in (0, 3):
        sums = layers[place].weight.abs().sum(dim=(0, 2, 3))
        kept.append(sums.argsort()[len(sums) // 2 :].sort().values)
        assert len(kept[-1]) in (4, 3)
    first, second = kept
    inner[0] = _taken(layers[0].weight[:, first])
    inner[1] = _norm(layers[1], first)
    inner[3] = _taken(layers[3].weight[first][:, second])
    inner[4] = _norm(layers[4], second)
    final: Any = smaller.head
    weight = final.final_layer.weight[:, second]
    bias = final.final_layer.bias
    final.final_layer = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    final.final_layer.weight.data, final.final_layer.bias.data = weight.data, bias.data
    crops = make_crops()
    with torch.inference_mode():
        assert torch.allclose(smaller(crops)[0], pruned(crops)[0], atol=1e-6)
        assert not torch.allclose(model(crops)[0], pruned(crops)[0], atol=1e-4)


def _taken(weight: torch.Tensor) -> nn.ConvTranspose2d:
    result = nn.ConvTranspose2d(
        weight.shape[0], weight.shape[1], 4, stride=2, padding=1, bias=False
    )
    result.weight.data = weight.data.clone()
    return result


def _norm(norm: nn.BatchNorm2d, kept: torch.Tensor) -> nn.BatchNorm2d:
    result = nn.BatchNorm2d(len(kept)).eval()
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(result, name).data = getattr(norm, name).data[kept].clone()
    return result


def test_a_network_without_such_channels_says_so() -> None:
    size = InputSize(64, 48)
    backbone = BackboneSpec(
        "vit",
        {
            "embed_dims": 16,
            "num_layers": 1,
            "num_heads": 2,
            "feedforward_channels": 16,
            "img_size": "64x48",
        },
    )
    codec = small_model("heatmap").spec.codec
    model = build_model(ModelSpec(backbone, HeadSpec("heatmap"), codec, size)).eval()
    with pytest.raises(UnsupportedExecutionError, match="No layer of this part has channels"):
        with_transformed_weights(model, parse_transform("prune-50-channel"))
