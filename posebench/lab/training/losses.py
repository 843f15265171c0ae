"""Training losses of the two paradigms."""

from __future__ import annotations

import torch
from torch import Tensor


def heatmap_loss(
    outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...], weight: Tensor
) -> Tensor:
    """Return squared error summed over each (h, w) map, averaged over labelled keypoints."""
    squared = (outputs[0].float() - targets[0]).square().sum(dim=(2, 3))
    return (squared * weight).sum() / weight.sum().clamp(min=1)


def simcc_loss(
    outputs: tuple[Tensor, ...], targets: tuple[Tensor, ...], weight: Tensor, beta: float
) -> Tensor:
    """Return the divergence of both axes' bins, averaged over labelled keypoints.

    As RTMPose's `KLDiscretLoss` with `label_softmax`: outputs and targets are multiplied by
    `beta` and turned into distributions, so raw outputs learn the targets' own scale.
    """
    total = torch.zeros((), device=weight.device)
    for output, target in zip(outputs, targets, strict=True):
        logarithm = torch.log_softmax(output.float() * beta, dim=-1)
        wanted = torch.softmax(target * beta, dim=-1)
        divergence = torch.nn.functional.kl_div(logarithm, wanted, reduction="none").sum(dim=-1)
        total = total + (divergence * weight).sum() / weight.sum().clamp(min=1)
    return total
