"""C6: an output is the inner product of what enters its last layer and a learned vector.

A convolution of kernel 1 is a linear layer over pixels: each value of a heatmap must be the product
of a pixel's token and a keypoint's vector. It is computed again in double precision, and the
difference compared with the most that sums in single precision may be off.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from posebench.errors import UnsupportedProbeError
from posebench.lab.probes.subject import Subject
from posebench.networks.features import TOKENS, Features, LearnedVectors
from posebench.results.probes import ProbeReading, ReadingRow, Sums
from posebench.suites.probes import ProbeSettings

HEATMAPS = "heatmaps"
# The identity either holds or not: more people make the largest difference no more telling.
_PEOPLE = 32
_ROUNDOFF = 2.0**-24


@dataclass(eq=False)
class _Extremes:
    """The largest values so far of one output, and where its best cells lie."""

    difference: float = 0.0
    bound: float = 0.0
    output: float = 0.0
    bias: float = 0.0
    same: list[NDArray[np.bool_]] = field(default_factory=list)


def identity(subject: Subject, _settings: ProbeSettings) -> ProbeReading:
    """Return the largest difference between outputs and inner products, with its bound."""
    vectors = subject.trained.learned()
    layers = dict(vectors.positions)
    if not layers and vectors.keypoints is not None:
        layers = {HEATMAPS: vectors.keypoints}
    people, found = subject.people, {name: _Extremes() for name in layers}
    count = min(len(people), _PEOPLE)
    with torch.no_grad():
        # One by one: with a kernel of 3 or 7, a token is that many cells squared.
        for row in range(count):
            features = subject.trained.features(people.crops[row : row + 1])
            for place, (name, layer) in enumerate(layers.items()):
                output = features.outputs[place]
                if name == HEATMAPS:
                    output = output[:, :: subject.spec.codec.channels].flatten(2)
                _update(found[name], output[0], _entering(features, layer)[0], layer)
    if not any(each.output for each in found.values()):
        raise UnsupportedProbeError("Every output is 0, so there is nothing to compare.")
    rows = []
    for name, each in found.items():
        where = {"output": name}
        rows.append(_row(each, where, people.image[:count], people.images))
        rows.append(ReadingRow("rounding", where, {}, {"identity error": each.bound / each.output}))
    return ProbeReading(tuple(rows), sampled="images")


def _row(
    found: _Extremes, where: dict[str, str], image: NDArray[np.int64], images: int
) -> ReadingRow:
    same = np.stack(found.same).astype(np.float64)
    sums = Sums.of(same.ravel(), np.repeat(image, same.shape[1]), images)
    numbers = {
        "identity error": found.difference / found.output,
        "bias share": found.bias / found.output,
    }
    return ReadingRow("trained", where, {"same peak by cosine": sums}, numbers)


def _entering(features: Features, layer: LearnedVectors) -> Tensor:
    """Return what enters a layer, (N, D, P): tokens with the cells around them, or codes."""
    if features.codes is not None:
        return features.codes.transpose(1, 2)
    kernel = layer.kernel
    return functional.unfold(features.maps[TOKENS], kernel, padding=kernel // 2)


def _update(found: _Extremes, output: Tensor, inputs: Tensor, layer: LearnedVectors) -> None:
    """Compare one person's outputs (K, P) with the products of rows (K, D) and tokens (D, P).

    For SimCC, outputs are (K, bins), rows (bins, D) and codes (D, K).
    """
    rows, values = layer.rows.double(), inputs.double()
    product, reach = rows @ values, rows.abs() @ values.abs()
    # The vectors among which the best is sought have different lengths, which a cosine ignores.
    sought = values.norm(dim=0) if len(rows) == len(output) else rows.norm(dim=1, keepdim=True)
    cosine = product / sought.clamp(min=torch.finfo(torch.float64).tiny)
    if layer.bias is not None:
        bias = layer.bias.double()[:, None]
        product, reach = product + bias, reach + bias.abs()
        found.bias = max(found.bias, float(bias.abs().max()))
    if len(rows) != len(output):
        product, reach, cosine = product.T, reach.T, cosine.T
    # Higham 2002, section 3.1: a sum of n products is off by at most n u / (1 - n u) of their size.
    terms = rows.shape[1] + 1
    slack = terms * _ROUNDOFF / (1 - terms * _ROUNDOFF)
    found.difference = max(found.difference, float((output.double() - product).abs().max()))
    found.bound = max(found.bound, float(slack * reach.max()))
    found.output = max(found.output, float(output.abs().max()))
    found.same.append((product.argmax(dim=1) == cosine.argmax(dim=1)).numpy())
