"""Training losses that heads share: pure functions of outputs, targets and weights (N, K)."""

from __future__ import annotations

import torch
from torch import Tensor

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

    Equals RTMPose's `KLDiscretLoss` with `label_softmax`: outputs and targets are multiplied by
    `simcc_beta` and turned into distributions, so raw outputs learn the targets' own scale.
    """
    beta = settings.simcc_beta
    total = torch.zeros((), device=weight.device)
    for output, target in zip(outputs, targets, strict=True):
        logarithm = torch.log_softmax(output.float() * beta, dim=-1)
        wanted = torch.softmax(target * beta, dim=-1)
        divergence = torch.nn.functional.kl_div(logarithm, wanted, reduction="none").sum(dim=-1)
        total = total + (divergence * weight).sum() / weight.sum().clamp(min=1)
    return total
