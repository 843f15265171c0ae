"""SimCC codec: coordinates as two classifications over bins.

Numbers must match MMPose 1.3.2's `codecs/simcc_label.py` and `get_simcc_maximum` (Li et al.,
"SimCC", 2022): the maximum is taken of raw logits, so scores can exceed 1. With `softmax` they
must match `lib/core/function.py` of the paper's repository, where scores are probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from posebench.errors import EvaluationError, SpecError
from posebench.networks.codecs.decoded import Decoded, raise_if_nan
from posebench.networks.codecs.expectation import bin_expectation_offsets
from posebench.networks.codecs.maps import Maps, as_maps
from posebench.networks.codecs.targets import training_weights
from posebench.networks.codecs.uneven_bins import BinPositions, check_positions, nearest_bins
from posebench.networks.names import Decoder, Paradigm
from posebench.networks.sizes import InputSize

Softmax = Literal["none", "each", "mean"]
SIMCC_REFINEMENTS: tuple[Decoder, ...] = ("argmax", "expectation")


MAX_SPLIT_RATIO = 64
"""Bins per pixel; published networks have 3 at most."""


@dataclass(frozen=True)
class SimccCodec:
    """How vectors of x and y bins encode keypoints.

    `split_ratio` is bins per input pixel. `sigma` (x, y), in bins, and `normalize` (targets sum
    to about 1 rather than peak at 1) are those of the training targets; an expectation's window
    reaches 3 sigma to either side.

    With `positions`, bins lie where these say, at whatever size, rather than at equal distances;
    `sigma` then counts bins of `split_ratio`, so that targets are as wide in pixels as without.
    Their own distances differ, so an expectation over them has no meaning.

    `softmax` says whether logits (`none`) or probabilities are decoded, and where a flip test
    applies the softmax: to each pass before their mean (`each`, SimDR), or to the mean of the
    passes' logits (`mean`, SA-SimDR). `score` chooses the lower or the higher of the two axes'
    maxima.
    """

    paradigm: ClassVar[Paradigm] = "simcc"
    channels: ClassVar[int] = 1
    answers: ClassVar[str] = "SimCC outputs"
    own_decoder: ClassVar[Decoder] = "argmax"
    classic_decoder: ClassVar[Decoder] = "argmax"

    kind: Literal["simcc"] = "simcc"
    split_ratio: float = 2.0
    sigma: tuple[float, float] = (4.9, 5.66)
    normalize: bool = True
    softmax: Softmax = "none"
    score: Literal["min", "max"] = "min"
    positions: BinPositions | None = None

    def __post_init__(self) -> None:
        if not 0 < self.split_ratio <= MAX_SPLIT_RATIO:
            raise SpecError(
                f"split_ratio must be above 0 and at most {MAX_SPLIT_RATIO}, not"
                f" {self.split_ratio}."
            )
        if not all(0 < value < math.inf for value in self.sigma):
            raise SpecError(f"sigma must be above 0, not {self.sigma}.")
        if self.positions is not None:
            check_positions(self.positions)

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """The decoders that fit the outputs."""
        return SIMCC_REFINEMENTS if self.positions is None else ("argmax",)

    @property
    def bins_follow_size(self) -> bool:
        """Whether a larger input has more bins."""
        return self.positions is None

    def bins(self, size: InputSize) -> tuple[int, int]:
        """Return the number of x and of y bins of an input size, truncated as in MMPose's heads."""
        if self.positions is not None:
            return len(self.positions[0]), len(self.positions[1])
        return int(size.width * self.split_ratio), int(size.height * self.split_ratio)

    def widened(self, factor: float) -> SimccCodec:
        """Return the codec whose targets are `factor` times as wide."""
        return replace(self, sigma=(self.sigma[0] * factor, self.sigma[1] * factor))

    def places(self, size: InputSize) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the places of the x and of the y bins in input pixels of `size`."""
        if self.positions is None:
            x, y = (np.arange(count) / self.split_ratio for count in self.bins(size))
        else:
            sides = (size.width, size.height)
            x, y = (np.array(p) * side for p, side in zip(self.positions, sides, strict=True))
        return x.astype(np.float32), y.astype(np.float32)

    def decode(
        self,
        outputs: tuple[NDArray[Any] | Maps, ...],
        size: InputSize,
        decoder: Decoder = "argmax",
    ) -> Decoded:
        """Return the best bin on each axis, in input pixels, and the score that `score` chooses.

        `outputs` are simcc_x (N, K, bins_x) and simcc_y (N, K, bins_y) of the input `size`. If the
        score is not above 0, both bins are −1, unrefined. Raises `EvaluationError` if outputs
        contain NaN or do not have the bins of `size`.
        """
        simcc_x, simcc_y = (as_maps(output) for output in outputs)
        found = simcc_x.shape[-1], simcc_y.shape[-1]
        if found != self.bins(size):
            raise EvaluationError(
                f"SimCC outputs of {found[0]} x {found[1]} bins do not fit an input of {size}, "
                f"which has {self.bins(size)[0]} x {self.bins(size)[1]}.",
                hint="Decode at the size the network answers for.",
            )
        choose = np.minimum if self.score == "min" else np.maximum
        (highest_x, best_x), (highest_y, best_y) = simcc_x.peaks(), simcc_y.peaks()
        scores = choose(highest_x, highest_y)
        raise_if_nan(scores)
        best = np.stack([best_x, best_y], axis=-1)
        bins = best.astype(np.float32)
        if decoder == "expectation":
            for axis, output in enumerate((simcc_x, simcc_y)):
                bins[..., axis] += bin_expectation_offsets(
                    output,
                    best[..., axis],
                    math.ceil(3 * self.sigma[axis]),
                    probabilities=self.softmax != "none",
                )
        bins[scores <= 0] = -1
        keypoints = bins / np.float32(self.split_ratio)
        if self.positions is not None:
            x, y = self.places(size)
            there = np.stack([x[best[..., 0]], y[best[..., 1]]], axis=-1)
            keypoints = np.where(scores[..., None] <= 0, keypoints, there)
        return Decoded(keypoints, scores)

    def encode(
        self,
        keypoints: NDArray[Any],
        visible: NDArray[Any],
        size: InputSize,
        shapes: Sequence[tuple[int, ...]],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return Gaussian targets (N, K, bins_x) and (N, K, bins_y), and weights (N, K).

        `keypoints` (N, K, 2) are in input pixels and are rounded to the nearest bin, `shapes` are
        those of the outputs; targets of weight 0 are 0.
        """
        weights = training_weights(keypoints, visible, size)
        targets = []
        for axis, (*_, count) in enumerate(shapes):
            sigma = np.float32(self.sigma[axis])
            distance = self._distances(keypoints[..., axis], axis, size, count) / sigma
            target = np.exp(np.float32(-0.5) * distance * distance)
            if self.normalize:
                target /= sigma * np.sqrt(np.float32(2 * np.pi))
            targets.append(target * (weights > 0)[..., None])
        return targets[0], targets[1], weights

    def _distances(
        self, coordinates: NDArray[Any], axis: int, size: InputSize, count: int
    ) -> NDArray[np.float32]:
        """Return (N, K, count): from the bin nearest to each coordinate (N, K) to every bin.

        They are in bins of `split_ratio`.
        """
        if self.positions is None:
            nearest_bin = np.rint(coordinates * self.split_ratio).astype(np.float32)
            return np.arange(count, dtype=np.float32) - nearest_bin[..., None]
        places = self.places(size)[axis]
        nearest = places[nearest_bins(places, coordinates), None]
        distances: NDArray[np.float32] = (places - nearest) * np.float32(self.split_ratio)
        return distances
