"""BatchNorm folded into the convolution in front of it: one layer less, the same function.

A BatchNorm's convolution is found by what flows between them in a forward pass, not by names.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from posebench.networks.model import PoseModel

Convolution = nn.Conv2d | nn.ConvTranspose2d


def folded(model: PoseModel) -> PoseModel:
    """Return a copy of `model` without the BatchNorms that a convolution can take in.

    A BatchNorm stays if its input comes from no convolution, or from one that runs more than once.
    The caller must check that the copy answers as the model does, because something else might take
    a convolution's output too.
    """
    result = copy.deepcopy(model).eval()
    places = {child: (parent, name) for parent, name, child in _places(result)}
    with torch.no_grad():
        for convolution, norm in _pairs(result):
            _fold_into(convolution, norm)
            parent, name = places[norm]
            setattr(parent, name, nn.Identity())
    return result


def _fold_into(convolution: Convolution, norm: nn.BatchNorm2d) -> None:
    """Make `convolution` answer, in place, as `norm` behind it does."""
    assert norm.running_mean is not None and norm.running_var is not None
    ones = torch.ones_like(norm.running_mean)
    gain = (norm.weight if norm.affine else ones).double()
    gain = gain / (norm.running_var.double() + norm.eps).sqrt()
    bias = convolution.bias if convolution.bias is not None else 0 * ones
    shift = (norm.bias if norm.affine else 0 * ones).double()
    weight = convolution.weight.double()
    if isinstance(convolution, nn.ConvTranspose2d):
        # (inputs, outputs of a group, height, width): outputs vary along two axes.
        grouped = weight.reshape(convolution.groups, -1, *weight.shape[1:])
        weight = (grouped * gain.reshape(convolution.groups, 1, -1, 1, 1)).flatten(0, 1)
    else:
        weight = weight * gain.reshape(-1, 1, 1, 1)
    folded_bias = (bias.double() - norm.running_mean.double()) * gain + shift
    convolution.weight = nn.Parameter(weight.to(convolution.weight), requires_grad=False)
    convolution.bias = nn.Parameter(folded_bias.to(convolution.weight), requires_grad=False)


def _pairs(model: PoseModel) -> list[tuple[Convolution, nn.BatchNorm2d]]:
    """Return each convolution with the BatchNorm that takes its output, as a blank crop shows."""
    made: dict[int, Convolution] = {}
    runs: Counter[nn.Module] = Counter()
    pairs: list[tuple[Convolution, nn.BatchNorm2d]] = []
    kept: list[Any] = []  # keeps tensors alive, so that no id is used twice

    def record(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        runs[module] += 1
        kept.append(output)
        if isinstance(module, Convolution):
            made[id(output)] = module
        elif isinstance(module, nn.BatchNorm2d) and id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])], module))

    hooks = [module.register_forward_hook(record) for module in model.modules()]
    size = model.spec.input_size
    model(torch.zeros(1, 3, size.height, size.width))
    for hook in hooks:
        hook.remove()
    return [(one, other) for one, other in pairs if runs[one] == runs[other] == 1]


def _places(model: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """Yield parent, name and module of every child."""
    for parent in model.modules():
        for name, child in parent.named_children():
            yield parent, name, child
