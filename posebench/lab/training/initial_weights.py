"""Initial weights of a network, from a seed alone."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from posebench.networks.heads import head_family
from posebench.networks.model import PoseModel

LINEAR_STD = 0.01


@runtime_checkable
class _OwnRule(Protocol):
    """A module with parameters outside common layers, which it initialises itself."""

    def initialise(self, generator: torch.Generator) -> None: ...


def initialise(model: PoseModel, seed: int) -> None:
    """Set all weights of `model` in place, from `seed` alone.

    Convolutions: Kaiming normal, by the number of inputs to one output. BatchNorm: 1 and 0. Linear
    layers as in MMPose's heads: normal, std 0.01. All biases 0. Modules with parameters of their
    own set these themselves; last, the head's family sets its output layers.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            _initialise_module(module, generator)
        head_family(model.spec.head.kind).initialise(model.head, generator)


def _initialise_module(module: nn.Module, generator: torch.Generator) -> None:
    """Set the parameters and buffers that `module` itself owns."""
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
        _normal(module.weight, math.sqrt(2 / _inputs(module)), generator)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, nn.Linear):
        _normal(module.weight, LINEAR_STD, generator)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, nn.LayerNorm):
        module.reset_parameters()
    elif isinstance(module, nn.BatchNorm2d):
        module.reset_running_stats()
        module.weight.fill_(1)
        module.bias.zero_()
    elif isinstance(module, _OwnRule):
        module.initialise(generator)
    else:
        # What nobody sets would depend on memory or on torch's own random state.
        unset = [name for name, _ in module.named_parameters(recurse=False)]
        assert not unset, (
            f"{type(module).__name__} has parameters that no rule sets: {', '.join(unset)}."
            " Give it a method `initialise(generator)`."
        )


def _inputs(module: nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d) -> float:
    """Return how many input values one output value sums over."""
    kernel = math.prod(module.kernel_size)
    inputs = module.in_channels // module.groups * kernel
    # A transposed convolution of stride s reaches each output with 1/s² of its kernel.
    return inputs / math.prod(module.stride) if isinstance(module, nn.ConvTranspose2d) else inputs


def _normal(parameter: Tensor, std: float, generator: torch.Generator) -> None:
    # Drawn on the CPU, so that a model on another device gets the same weights.
    parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
