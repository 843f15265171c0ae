"""Flip test: average a network's outputs with those of the mirrored crops.

Numbers must match MMPose 1.3.2's `models/utils/tta.py`, and `lib/core/function.py` of the HRNet and
SimCC repositories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from posebench.networks.codecs import SimccCodec
from posebench.networks.codecs.offset_maps import CHANNELS as OFFSET_CHANNELS
from posebench.networks.codecs.regression import COORDINATES
from posebench.networks.model import Network
from posebench.networks.names import Paradigm
from posebench.networks.spec import ModelSpec

Outputs = tuple[Tensor, ...]


def predict_outputs(
    network: Network, x: Tensor, flip_test: bool, *, apart: bool = False
) -> Outputs:
    """Run crops x (N, 3, H, W), and with `flip_test` their mirror images.

    Both go in one batch or, if `apart`, in two as in the references; the two ways round
    differently. The outputs are ready to decode: SimCC vectors are probabilities if the codec has a
    softmax, deviations of coordinates are fractions of the input.
    """
    spec, width = network.spec, x.shape[-1]
    if flip_test and apart:
        return flip_average(network(x), network(x.flip(-1)), spec, width)
    if flip_test:
        both = network(torch.cat((x, x.flip(-1))))
        outputs, outputs_of_flipped = zip(*(output.chunk(2) for output in both), strict=True)
        return flip_average(outputs, outputs_of_flipped, spec, width)
    return ready(network(x), spec)


def ready(outputs: Outputs, spec: ModelSpec) -> Outputs:
    """Return a network's raw outputs as they are decoded without a flip test."""
    rules = _RULES[spec.paradigm]
    return rules.of_mean(rules.of_each(outputs, spec), spec)


def flip_average(
    outputs: Outputs, outputs_of_flipped: Outputs, spec: ModelSpec, width: int
) -> Outputs:
    """Return the mean of outputs and of mirrored outputs, flipped back.

    `outputs` are the raw ones, `(heatmaps,)`, `(simcc_x, simcc_y)` or `(coordinates,)`, of crops
    that are `width` pixels wide, `outputs_of_flipped` those of the crops mirrored left to right.
    """
    rules = _RULES[spec.paradigm]
    returned = rules.of_each(rules.flipped_back(outputs_of_flipped, spec, width), spec)
    outputs = rules.of_each(outputs, spec)
    mean = tuple((one + other) * 0.5 for one, other in zip(outputs, returned, strict=True))
    return rules.of_mean(mean, spec)


@lru_cache(maxsize=64)
def _on_device(order: tuple[int, ...], device: torch.device) -> Tensor:
    """Return indices as a tensor, made once because making it waits for all work of a GPU."""
    with torch.inference_mode(False):
        return torch.tensor(order, device=device)


def _heatmaps_flipped_back(outputs: Outputs, spec: ModelSpec, _width: int) -> Outputs:
    """Return maps of one channel per keypoint, or of three, the second of which is an x offset.

    If the spec says so, they shift right by one column, keeping column 0. Mirrored maps are one
    pixel off when stride-2 layers align at the left.
    """
    order = _on_device(spec.keypoints.flip_indices, outputs[0].device)
    heatmaps = outputs[0].flip(-1)
    heatmaps = heatmaps.reshape(len(heatmaps), len(order), -1, *heatmaps.shape[2:])
    heatmaps = heatmaps.index_select(1, order)
    if heatmaps.shape[2] == OFFSET_CHANNELS:
        heatmaps = torch.stack((heatmaps[:, :, 0], -heatmaps[:, :, 1], heatmaps[:, :, 2]), 2)
    heatmaps = heatmaps.flatten(1, 2)
    if spec.flip.shift_heatmap:
        heatmaps = torch.cat((heatmaps[..., :1], heatmaps[..., :-1]), dim=-1)
    return (heatmaps,)


def _bins_flipped_back(outputs: Outputs, spec: ModelSpec, _width: int) -> Outputs:
    """Return `(simcc_x, simcc_y)`, x shifted left by one bin where the spec says so."""
    order = _on_device(spec.keypoints.flip_indices, outputs[0].device)
    simcc_x, simcc_y = (output.index_select(1, order) for output in outputs)
    simcc_x = simcc_x.flip(-1)
    if spec.flip.shift_simcc:
        simcc_x = torch.cat((simcc_x[..., 1:], simcc_x[..., -1:]), dim=-1)
    return simcc_x, simcc_y


def _coordinates_flipped_back(outputs: Outputs, spec: ModelSpec, width: int) -> Outputs:
    """Return coordinates with x counted from the other side, and deviations as they are."""
    order = _on_device(spec.keypoints.flip_indices, outputs[0].device)
    values = outputs[0].index_select(1, order)
    x = 1.0 - values[..., :1]
    if spec.flip.shift_coords:
        x = x - 1.0 / width
    return (torch.cat((x, values[..., 1:]), dim=-1),)


def _softmax_at(place: str) -> Callable[[Outputs, ModelSpec], Outputs]:
    """Return a function that turns logits of bins into probabilities if the codec says `place`."""

    def probabilities(outputs: Outputs, spec: ModelSpec) -> Outputs:
        assert isinstance(spec.codec, SimccCodec)
        if spec.codec.softmax != place:
            return outputs
        return tuple(output.softmax(dim=-1) for output in outputs)

    return probabilities


def _deviations(outputs: Outputs, _spec: ModelSpec) -> Outputs:
    """Return coordinates, and their deviations, if there are any, from logits."""
    coordinates, logits = outputs[0][..., :COORDINATES], outputs[0][..., COORDINATES:]
    return (torch.cat((coordinates, logits.sigmoid()), dim=-1),)


def _as_they_are(outputs: Outputs, _spec: ModelSpec) -> Outputs:
    return outputs


@dataclass(frozen=True)
class _Rules:
    """What is done to the outputs of a paradigm around the mean of a flip test.

    `flipped_back` makes outputs of mirrored crops, as wide as its last argument says, those of the
    crops themselves. `of_each` is applied to each pass, `of_mean` to their mean; without flip test
    both are applied to the only pass.
    """

    flipped_back: Callable[[Outputs, ModelSpec, int], Outputs]
    of_each: Callable[[Outputs, ModelSpec], Outputs] = _as_they_are
    of_mean: Callable[[Outputs, ModelSpec], Outputs] = _as_they_are


_RULES: dict[Paradigm, _Rules] = {
    "heatmap": _Rules(_heatmaps_flipped_back),
    "simcc": _Rules(_bins_flipped_back, _softmax_at("each"), _softmax_at("mean")),
    "regression": _Rules(_coordinates_flipped_back, of_each=_deviations),
}
