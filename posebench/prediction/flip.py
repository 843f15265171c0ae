"""Flip test: average a network's outputs with those of the mirrored crops.

Numbers must match MMPose 1.3.2's `models/utils/tta.py`, and `lib/core/function.py` of the HRNet and
SimCC repositories.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from posebench.networks.codecs.offset_maps import CHANNELS as OFFSET_CHANNELS
from posebench.networks.model import Network
from posebench.networks.names import Paradigm
from posebench.networks.spec import ModelSpec


def predict_outputs(
    network: Network, x: Tensor, flip_test: bool, *, apart: bool = False
) -> tuple[Tensor, ...]:
    """Run crops x (N, 3, H, W), and with `flip_test` their mirror images.

    Both go in one batch or, if `apart`, in two as in the references; the two ways round
    differently. The outputs are ready to decode: SimCC vectors are probabilities if the codec has a
    softmax.
    """
    if flip_test and apart:
        return flip_average(network(x), network(x.flip(-1)), network.spec)
    if flip_test:
        both = network(torch.cat((x, x.flip(-1))))
        outputs, outputs_of_flipped = zip(*(output.chunk(2) for output in both), strict=True)
        return flip_average(outputs, outputs_of_flipped, network.spec)
    outputs = network(x)
    return _softmax(outputs) if network.spec.codec.softmax != "none" else outputs


def flip_average(
    outputs: tuple[Tensor, ...], outputs_of_flipped: tuple[Tensor, ...], spec: ModelSpec
) -> tuple[Tensor, ...]:
    """Return the mean of outputs and of mirrored outputs, flipped back.

    `outputs` are `(heatmaps,)` or raw `(simcc_x, simcc_y)` of the crops, `outputs_of_flipped`
    those of the crops mirrored left to right.
    """
    returned = _FLIPPED_BACK[spec.paradigm](outputs_of_flipped, spec)
    softmax = spec.codec.softmax
    if softmax == "each":
        outputs, returned = _softmax(outputs), _softmax(returned)
    mean = tuple((one + other) * 0.5 for one, other in zip(outputs, returned, strict=True))
    return _softmax(mean) if softmax == "mean" else mean


def _heatmaps_flipped_back(outputs: tuple[Tensor, ...], spec: ModelSpec) -> tuple[Tensor, ...]:
    """Return maps of one channel per keypoint, or of three, the second of which is an x offset.

    If the spec says so, they shift right by one column, keeping column 0. Mirrored maps are one
    pixel off when stride-2 layers align at the left.
    """
    order = list(spec.keypoints.flip_indices)
    heatmaps = outputs[0].flip(-1)
    heatmaps = heatmaps.reshape(len(heatmaps), len(order), -1, *heatmaps.shape[2:])[:, order]
    if heatmaps.shape[2] == OFFSET_CHANNELS:
        heatmaps = torch.stack((heatmaps[:, :, 0], -heatmaps[:, :, 1], heatmaps[:, :, 2]), 2)
    heatmaps = heatmaps.flatten(1, 2)
    if spec.flip.shift_heatmap:
        heatmaps = torch.cat((heatmaps[..., :1], heatmaps[..., :-1]), dim=-1)
    return (heatmaps,)


def _bins_flipped_back(outputs: tuple[Tensor, ...], spec: ModelSpec) -> tuple[Tensor, ...]:
    """Return `(simcc_x, simcc_y)`, x shifted left by one bin where the spec says so."""
    order = list(spec.keypoints.flip_indices)
    simcc_x, simcc_y = (output[:, order] for output in outputs)
    simcc_x = simcc_x.flip(-1)
    if spec.flip.shift_simcc:
        simcc_x = torch.cat((simcc_x[..., 1:], simcc_x[..., -1:]), dim=-1)
    return simcc_x, simcc_y


# How outputs of mirrored crops become those of the crops themselves.
_FLIPPED_BACK: dict[Paradigm, Callable[[tuple[Tensor, ...], ModelSpec], tuple[Tensor, ...]]] = {
    "heatmap": _heatmaps_flipped_back,
    "simcc": _bins_flipped_back,
}


def _softmax(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(output.softmax(dim=-1) for output in outputs)
