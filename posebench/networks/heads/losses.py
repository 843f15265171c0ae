"""Training losses that heads share: pure functions of outputs, targets and weights (N, K)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from posebench.networks.heads.family import Outputs
from posebench.networks.loss_settings import LossSettings


def squared_error(
    outputs: Outputs, targets: Outputs, weight: Tensor, _settings: LossSettings
) -> Tensor:
    """Return squared error summed over each (h, w) map, averaged over labelled keypoints."""
    squared = (outputs[0].float() - targets[0]).square().sum(dim=(2, 3))
    return (squared * weight).sum() / weight.sum().clamp(min=1)


def divergence_of_bins(
    outputs: Outputs, targets: Outputs, weight: Tensor, settings: LossSettings
) -> Tensor:
    """Return the divergence of both axes' bins, averaged over labelled keypoints.

    `LossSettings` says which. By default it equals RTMPose's `KLDiscretLoss` with `label_softmax`:
    outputs and targets are multiplied by `beta` and turned into distributions, so raw outputs learn
    the targets' own scale.
    """
    total = torch.zeros((), device=weight.device)
    for output, target in zip(outputs, targets, strict=True):
        logarithm = torch.log_softmax(output.float() * settings.beta, dim=-1)
        wanted = wanted_distribution(target, settings)
        terms = functional.kl_div(logarithm, wanted, reduction="none")
        if settings.focal:
            terms = terms * (1 - logarithm.exp()) ** settings.focal
        total = total + (terms.sum(dim=-1) * weight).sum() / weight.sum().clamp(min=1)
    return total


def wanted_distribution(target: Tensor, settings: LossSettings) -> Tensor:
    """Return the distribution over bins that a codec's Gaussian (N, K, bins) asks for.

    Targets of weight 0, which are 0 in all bins, become 0 or any distribution.
    """
    if settings.targets == "softmax":
        wanted = torch.softmax(target * settings.beta, dim=-1)
    elif settings.targets == "gaussian":
        wanted = target / target.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(target.dtype).tiny)
    else:
        nearest = target.argmax(dim=-1, keepdim=True)
        wanted = torch.zeros_like(target).scatter_(-1, nearest, 1.0)
    if settings.smoothing:
        wanted = torch.lerp(
            wanted, torch.full_like(wanted, 1 / target.shape[-1]), settings.smoothing
        )
    return wanted
