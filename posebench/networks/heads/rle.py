"""MMPose 1.3.2's `RLEHead`: regression trained by residual log-likelihood (arXiv:2107.11291).

A coordinate's error over its deviation has a density of its own, which a flow learns together
with the network (RealNVP, arXiv:1605.08803). The flow serves the loss alone: a network that is
evaluated has none. Names of its weights are those of MMPose's `RLELoss`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from posebench.datasets.keypoints import SETS_BY_NUMBER
from posebench.networks.codecs import RegressionCodec
from posebench.networks.codecs.regression import COORDINATES, WITH_DEVIATIONS
from posebench.networks.heads.family import HeadFamily, Outputs, Surroundings
from posebench.networks.heads.regression import RegressionHead, RegressionOptions, output_rows
from posebench.networks.loss_settings import LossSettings
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec

_FLOW = "loss_module.flow_model."
_COUPLINGS = 6
_WIDTH = 64
# Of a flow's first weights, as in MMPose: so small that it begins as the identity.
_FLOW_GAIN = 0.01
# Keeps errors finite where a deviation is 0.
_TINY = 1e-9


class RealNVP(nn.Module):
    """A flow of plane points: couplings that scale and shift one coordinate by the other."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(2))
        self.register_buffer("cov", torch.eye(2))
        self.register_buffer("mask", torch.tensor([[0.0, 1.0], [1.0, 0.0]] * (_COUPLINGS // 2)))
        self.s = nn.ModuleList(_coupling(nn.Tanh()) for _ in range(_COUPLINGS))
        self.t = nn.ModuleList(_coupling() for _ in range(_COUPLINGS))

    def forward(self, points: Tensor) -> Tensor:
        """Return the logarithm of the density (N,) at points (N, 2)."""
        determinant = torch.zeros_like(points[:, 0])
        for keep, scale, shift in reversed(list(zip(self.mask, self.s, self.t, strict=True))):
            kept = keep * points
            logarithm = scale(kept) * (1 - keep)
            moved = (1 - keep) * (points - shift(kept) * (1 - keep)) * torch.exp(-logarithm)
            points = moved + kept
            determinant = determinant - logarithm.sum(dim=1)
        return standard_normal(points) + determinant


class ResidualLikelihood(nn.Module):
    """The loss with its flow, called as a plain loss is."""

    def __init__(self) -> None:
        super().__init__()
        self.flow_model = RealNVP()

    def forward(
        self, outputs: Outputs, targets: Outputs, weight: Tensor, settings: LossSettings
    ) -> Tensor:
        """Return `residual_likelihood` under the density that the flow has learned so far."""
        return residual_likelihood(outputs, targets, weight, settings, self.flow_model)


def _coupling(*last: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2, _WIDTH), nn.LeakyReLU(), nn.Linear(_WIDTH, _WIDTH), nn.LeakyReLU(),
        nn.Linear(_WIDTH, 2), *last,
    )  # fmt: skip


def standard_normal(points: Tensor) -> Tensor:
    """Return the logarithm of the plane's standard normal density at points (N, 2)."""
    return -0.5 * points.square().sum(dim=-1) - math.log(2 * math.pi)


def residual_likelihood(
    outputs: Outputs,
    targets: Outputs,
    weight: Tensor,
    _settings: LossSettings,
    log_density: Callable[[Tensor], Tensor] = standard_normal,
) -> Tensor:
    """Return minus the log-likelihood summed over x and y, averaged over labelled keypoints.

    The density of an error, in deviations, is a Laplace density times that of `log_density`,
    which takes points (N, 2). Equals MMPose's `RLELoss`, which averages over instances instead,
    and like it counts the density of the point for each of its two coordinates.
    """
    values = outputs[0].float()
    logits = values[..., COORDINATES:]
    deviation, logarithm = logits.sigmoid(), functional.logsigmoid(logits)
    error = (values[..., :COORDINATES] - targets[0]) / (deviation + _TINY)
    learned = log_density(error.reshape(-1, COORDINATES)).reshape(weight.shape)
    laplace = (math.log(2) + logarithm + error.abs()).sum(dim=-1)
    loss = logarithm.sum(dim=-1) - COORDINATES * learned + laplace
    return (loss * weight).sum() / weight.sum().clamp(min=1)


def build(_options: RegressionOptions, around: Surroundings) -> RegressionHead:
    """Build the head of four values for each keypoint."""
    return RegressionHead(around.in_channels, around.keypoints, WITH_DEVIATIONS)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return no options for a head of one linear layer with deviations, or None.

    They are there if the file has the flow, or if a built-in set has a quarter of the outputs as
    keypoints. (No built-in set has half as many as another, so this is never a head without.)
    """
    keypoints, rest = divmod(output_rows(shapes), WITH_DEVIATIONS)
    known = any(len(each) == keypoints for each in SETS_BY_NUMBER.values())
    has_flow = any(name.startswith(_FLOW) for name in shapes)
    return {} if keypoints and not rest and (known or has_flow) else None


def initialise(head: RegressionHead, generator: torch.Generator) -> None:
    """Initialise the flow's weights, if it is there, as MMPose does: almost the identity."""
    for name, parameter in head.named_parameters():
        if name.startswith(_FLOW) and parameter.ndim == 2:
            bound = _FLOW_GAIN * math.sqrt(6 / sum(parameter.shape))
            parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) * bound)


RLE = HeadFamily(
    options=RegressionOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: output_rows(shapes) // WITH_DEVIATIONS,
    codec=RegressionCodec,
    loss=residual_likelihood,
    learned_loss=ResidualLikelihood,
    initialise=initialise,
)
