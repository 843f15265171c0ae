"""Fake quantisation, against torch's own modules for it and closed forms."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_networks import make_crops, make_model
from torch import Tensor, nn
from torch.ao.quantization import FakeQuantize, MinMaxObserver, PerChannelMinMaxObserver

from posebench.lab.transforms.layers import Weighted, rows_of, set_rows, weighted_layers
from posebench.lab.transforms.quantising import Levels, quantise_inputs, quantise_weights
from posebench.prediction.engines.torch_engine import is_optimised, optimised
from posebench.prediction.execution import Execution

LAYERS: dict[str, Callable[[], Weighted]] = {
    "convolution": lambda: nn.Conv2d(6, 8, 3),
    "grouped": lambda: nn.Conv2d(6, 8, 3, groups=2),
    "linear": lambda: nn.Linear(12, 8),
    "transposed": lambda: nn.ConvTranspose2d(6, 8, 4),
}


def layer_of(kind: str) -> Weighted:
    torch.manual_seed(0)
    return LAYERS[kind]()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("kind", LAYERS)
def test_weights_equal_those_of_torch(kind: str, bits: int) -> None:
    layer = layer_of(kind)
    most = 2 ** (bits - 1) - 1
    torch_own = FakeQuantize(
        observer=PerChannelMinMaxObserver,
        quant_min=-most,
        quant_max=most,
        dtype=torch.qint8,
        qscheme=torch.per_channel_symmetric,
        ch_axis=1 if kind == "transposed" else 0,
    )
    expected = torch_own(layer.weight.detach())
    quantise_weights(layer, bits)
    assert torch.equal(layer.weight.detach(), expected)
    levels = [len(row.unique()) for row in rows_of(layer)]
    assert max(levels) <= 2 * most + 1


def test_the_outputs_of_a_grouped_transposed_convolution_have_a_scale_each() -> None:
    torch.manual_seed(0)
    layer = nn.ConvTranspose2d(4, 6, 2, groups=2, bias=False)
    apart = [nn.ConvTranspose2d(2, 3, 2, bias=False) for _ in range(2)]
    for group, part in enumerate(apart):
        part.weight.data = layer.weight.data[2 * group : 2 * group + 2].clone()
        quantise_weights(part, 3)
    quantise_weights(layer, 3)
    assert torch.equal(layer.weight.data, torch.cat([part.weight.data for part in apart]))


@pytest.mark.parametrize("kind", LAYERS)
def test_rows_lead_back_to_weights(kind: str) -> None:
    layer = layer_of(kind)
    before = layer.weight.detach().clone()
    rows = rows_of(layer)
    assert len(rows) == 8
    set_rows(layer, rows)
    assert torch.equal(layer.weight.detach(), before)
    rows = rows.clone()
    rows[5] = 0
    set_rows(layer, rows)
    zeroed = [float(row.abs().sum()) == 0 for row in rows_of(layer)]
    assert zeroed == [index == 5 for index in range(8)]


def test_a_layer_of_zeros_stays_one() -> None:
    layer = nn.Linear(3, 2)
    nn.init.zeros_(layer.weight)
    quantise_weights(layer, 4)
    assert torch.equal(layer.weight.detach(), torch.zeros(2, 3))


@pytest.mark.parametrize("bits", [3, 4, 8])
@pytest.mark.parametrize("shift", [-5.0, 0.0, 0.3, 9.0])
def test_activations_equal_those_of_torch(bits: int, shift: float) -> None:
    values = torch.randn(4, 5, generator=torch.Generator().manual_seed(0)) + shift
    torch_own = FakeQuantize(
        observer=MinMaxObserver,
        quant_min=0,
        quant_max=2**bits - 1,
        dtype=torch.quint8,
        qscheme=torch.per_tensor_affine,
    )
    expected = torch_own(values)
    layer = nn.Linear(5, 2)
    read: list[Tensor] = []
    quantise_inputs([layer], bits, lambda: layer(values))
    layer.register_forward_pre_hook(lambda _layer, inputs: read.append(inputs[0]))
    layer(values)
    assert torch.allclose(read[0], expected, atol=1e-6)


def test_levels_in_closed_form() -> None:
    levels = Levels.of_range(-1.0, 2.0, bits=2)
    assert (levels.scale, levels.zero_point, levels.most) == (1.0, 1, 3)
    values = torch.tensor([-7.0, -0.6, 0.4, 1.6, 7.0])
    assert levels.round(values).tolist() == [-1, -1, 0, 2, 2]
    # Half of the levels would be lost on values that ReLU leaves, if they lay symmetrically.
    assert Levels.of_range(0.5, 6.0, bits=2).round(torch.tensor([3.1])).tolist() == [4.0]


def test_layers_with_several_inputs_and_those_that_do_not_run() -> None:
    class Sum(nn.Module):
        def forward(self, both: tuple[Tensor, Tensor]) -> Tensor:
            return both[0] + both[1]

    layer, idle = Sum(), nn.Linear(2, 2)
    both = (torch.tensor([0.0, 3.0]), torch.tensor([0.0, 30.0]))
    quantise_inputs([layer, idle], 2, lambda: layer(both))
    assert layer((torch.tensor([1.2]), torch.tensor([12.0]))).tolist() == [11.0]
    assert not idle._forward_pre_hooks


@pytest.mark.parametrize("kind", ["heatmap", "simcc", "rtmcc"])
def test_folding_before_or_after_makes_the_same_weights(kind: str) -> None:
    crops, model = make_crops(), make_model(kind)

    def quantised(network: Any) -> Any:
        result = copy.deepcopy(network)
        for layer in weighted_layers(result, "whole"):
            quantise_weights(layer, 4)
        return result

    before = optimised(quantised(model), Execution("torch"))
    after = quantised(optimised(model, Execution("torch")))
    assert is_optimised(before) and is_optimised(after)
    with torch.inference_mode():
        pairs = list(zip(before(crops), after(crops), strict=True))
        moved = list(zip(after(crops), model(crops), strict=True))
    gap = max(float((one - two).abs().max() / two.abs().max()) for one, two in pairs)
    assert gap < 1e-4
    assert max(float((one - two).abs().max() / two.abs().max()) for one, two in moved) > 1e-2
