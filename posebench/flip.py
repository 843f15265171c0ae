"""Flip test: average a network's outputs with those of the mirrored crops (MMPose `tta.py`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from posebench.codecs.offset_maps import CHANNELS as OFFSET_CHANNELS
from posebench.model import Network


def flip_average(
    outputs: tuple[Tensor, ...],
    outputs_of_flipped: tuple[Tensor, ...],
    flip_indices: Sequence[int],
    shift_heatmap: bool,
) -> tuple[Tensor, ...]:
    """Return the mean of outputs and of mirrored outputs, flipped back.

    Args:
        outputs: `(heatmaps,)` or raw `(simcc_x, simcc_y)` of the crops. Heatmaps have one
            channel per keypoint, or three, of which the second holds offsets in x.
        outputs_of_flipped: The same of the crops mirrored left to right.
        flip_indices: For each keypoint the one it becomes in a mirror.
        shift_heatmap: Shift flipped heatmaps right by one column, keeping column 0: they are
            one pixel off because the stride-2 layers align at the left. SimCC is never shifted.
    """
    order = list(flip_indices)
    if len(outputs_of_flipped) == 1:
        heatmaps = outputs_of_flipped[0].flip(-1)
        heatmaps = heatmaps.reshape(len(heatmaps), len(order), -1, *heatmaps.shape[2:])[:, order]
        if heatmaps.shape[2] == OFFSET_CHANNELS:
            heatmaps = torch.stack((heatmaps[:, :, 0], -heatmaps[:, :, 1], heatmaps[:, :, 2]), 2)
        heatmaps = heatmaps.flatten(1, 2)
        if shift_heatmap:
            heatmaps = torch.cat((heatmaps[..., :1], heatmaps[..., :-1]), dim=-1)
        returned: tuple[Tensor, ...] = (heatmaps,)
    else:
        simcc_x, simcc_y = (output[:, order] for output in outputs_of_flipped)
        returned = (simcc_x.flip(-1), simcc_y)
    return tuple((one + other) * 0.5 for one, other in zip(outputs, returned, strict=True))


def predict_outputs(network: Network, x: Tensor, flip_test: bool) -> tuple[Tensor, ...]:
    """Run crops x (N, 3, H, W), and with `flip_test` their mirror images, in a second pass."""
    outputs = network(x)
    if not flip_test:
        return outputs
    spec = network.spec
    return flip_average(
        outputs, network(x.flip(-1)), spec.keypoints.flip_indices, spec.flip.shift_heatmap
    )
