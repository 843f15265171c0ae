"""`PoseModel`: backbone, neck and head under MMPose's names (`backbone.*`, `neck.*`, `head.*`)."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn

from posebench.backbones import Backbone, build_backbone, describe, size_divisor
from posebench.backbones.cspnext import CSPNeXt
from posebench.backbones.vit import POSITION_STD, ViT
from posebench.errors import SpecError
from posebench.gau import GatedAttentionUnit, Scale, ScaleNorm
from posebench.heads import HeatmapHead, build_head
from posebench.rtmw import CSPNeXtPAFPN, build_neck
from posebench.sizes import InputSize
from posebench.spec import ModelSpec

HEATMAP_STD = 0.001
LINEAR_STD = 0.01


class Network(Protocol):
    """Anything that maps crops to outputs: a `PoseModel`, an exported graph, a cell's network."""

    @property
    def spec(self) -> ModelSpec:
        """What the network is, at its trained size."""
        ...

    @property
    def stride(self) -> int:
        """Pixels per cell of the backbone's features; input sides are multiples of it."""
        ...

    @property
    def fixed_size(self) -> InputSize | None:
        """The only input size it takes, where that is out of reach, as in exported files."""
        ...

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W) to `(heatmaps,)` or `(simcc_x, simcc_y)`."""
        ...


class PoseModel(nn.Module):
    """A backbone and a head, with or without a neck between them."""

    def __init__(
        self,
        spec: ModelSpec,
        backbone: Backbone,
        head: nn.Module,
        neck: CSPNeXtPAFPN | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = backbone
        self.neck = neck
        self.head = head

    @property
    def stride(self) -> int:
        """Pixels per cell of the backbone's features."""
        return self.backbone.stride

    @property
    def fixed_size(self) -> InputSize | None:
        """No size: the weights are at hand, and what they lock is known from the head."""
        return None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W) to `(heatmaps,)` or `(simcc_x, simcc_y)`.

        Heatmaps are (N, K, h, w), SimCC vectors (N, K, bins_x) and (N, K, bins_y).
        """
        if self.neck is None:
            features = self.backbone(x)
        else:
            assert isinstance(self.backbone, CSPNeXt)
            features = self.neck(self.backbone.pyramid(x))
        outputs: tuple[Tensor, ...] = self.head(features)
        return outputs


def build_model(spec: ModelSpec) -> PoseModel:
    """Build the network of `spec` with torch's default weights.

    Works under `torch.device("meta")`. Raise `SpecError` for an unknown family or options, and for
    an input size that the backbone cannot run.
    """
    divisor, size = size_divisor(spec.backbone), spec.input_size
    if divisor is not None and (size.height % divisor or size.width % divisor):
        raise SpecError(
            f"{describe(spec.backbone)} takes input sides that are multiples of {divisor}, "
            f"not {size}.",
            hint="Correct input_size, for example 256x192.",
        )
    backbone = build_backbone(spec.backbone)
    head = build_head(spec, backbone.out_channels, backbone.stride)
    neck = None if spec.neck is None else build_neck(spec.neck, backbone)
    return PoseModel(spec, backbone, head, neck)


def count_parameters(model: nn.Module) -> int:
    """Return the number of learned values, without BatchNorm's running statistics."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_gflops(network: Network, size: InputSize) -> float | None:
    """Return the giga multiply-accumulates of one forward pass of one crop of `size`.

    Counts convolutions and matrix products as they run, a multiply-add as one, which the papers'
    and MMPose's tables call FLOPs. `None` for a network that does not run in torch.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    crop = torch.zeros(1, 3, size.height, size.width)
    # The counter does not know the fused attention of a CPU, only its matrix products.
    attention = sdpa_kernel(SDPBackend.MATH)
    with torch.no_grad(), attention, FlopCounterMode(display=False) as counter:
        network(crop)
    operations: int = counter.get_total_flops()
    return operations / 2 / 1e9 if operations else None


def initialise(model: PoseModel, seed: int) -> None:
    """Set all weights of `model` in place, from `seed` alone.

    Convolutions: Kaiming normal, for the number of inputs of one output. BatchNorm: 1 and 0.
    Output layers as MMPose's heads: normal, std 0.001 for the convolution that makes heatmaps,
    0.01 for linear layers; 0.02 for the position embedding of a ViT. All biases 0.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            _initialise_module(module, generator)
        if isinstance(model.head, HeatmapHead):
            _normal(model.head.final_layer.weight, HEATMAP_STD, generator)


def _initialise_module(module: nn.Module, generator: torch.Generator) -> None:
    """Set the parameters and buffers that `module` itself owns."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        _normal(module.weight, math.sqrt(2 / _inputs(module)), generator)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, nn.Linear):
        _normal(module.weight, LINEAR_STD, generator)
        if module.bias is not None:
            module.bias.zero_()
    elif isinstance(module, ViT):
        _normal(module.pos_embed, POSITION_STD, generator)
    elif isinstance(module, nn.LayerNorm):
        module.reset_parameters()
    elif isinstance(module, nn.BatchNorm2d):
        module.reset_running_stats()
        module.weight.fill_(1)
        module.bias.zero_()
    elif isinstance(module, ScaleNorm):
        module.g.fill_(1)
    elif isinstance(module, Scale):
        module.scale.fill_(1)
    elif isinstance(module, GatedAttentionUnit):
        for parameter in (module.gamma, module.beta):
            parameter.copy_(torch.rand(parameter.shape, generator=generator))


def _inputs(module: nn.Conv2d | nn.ConvTranspose2d) -> float:
    """Return how many input values one output value sums over."""
    kernel = math.prod(module.kernel_size)
    inputs = module.in_channels // module.groups * kernel
    # A transposed convolution of stride s reaches each output with 1/s² of its kernel.
    return inputs / math.prod(module.stride) if isinstance(module, nn.ConvTranspose2d) else inputs


def _normal(parameter: Tensor, std: float, generator: torch.Generator) -> None:
    # Drawn on the CPU, so that a model on another device gets the same weights.
    parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
