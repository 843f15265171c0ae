"""Regression codec: coordinates as the network answers them, in fractions of the input.

Numbers must match MMPose 1.3.2's `codecs/regression_label.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from posebench.errors import EvaluationError
from posebench.networks.codecs.decoded import Decoded, raise_if_nan
from posebench.networks.codecs.maps import Maps, as_maps
from posebench.networks.codecs.targets import training_weights
from posebench.networks.names import Decoder, Paradigm
from posebench.networks.sizes import InputSize

COORDINATES = 2
"""Values of a keypoint without deviations: x and y."""
WITH_DEVIATIONS = 4
"""Values of a keypoint with deviations: x, y, and the deviation of each."""


@dataclass(frozen=True)
class RegressionCodec:
    """How a keypoint's own numbers stand for it: x over the width and y over the height.

    A network may answer with a deviation for each of the two as well (RLE), as logits of a
    fraction of the input; they become the score, and without them every score is 1. Because
    answers are fractions, they fit any input size.
    """

    paradigm: ClassVar[Paradigm] = "regression"
    channels: ClassVar[int] = 1
    answers: ClassVar[str] = "Coordinates"
    decoders: ClassVar[tuple[Decoder, ...]] = ("direct",)
    own_decoder: ClassVar[Decoder] = "direct"
    classic_decoder: ClassVar[Decoder] = "direct"

    kind: Literal["regression"] = "regression"

    def decode(
        self,
        outputs: tuple[NDArray[Any] | Maps, ...],
        size: InputSize,
        _decoder: Decoder = "direct",
    ) -> Decoded:
        """Return the coordinates in input pixels of `size`, in float64, and scores.

        `outputs` is one array (N, K, 2) of coordinates, or (N, K, 4) with deviations behind them,
        as fractions: `flip.predict_outputs` turns their logits into these. The score is 1 less the
        mean of both deviations. Raises `EvaluationError` if outputs contain NaN or have another
        number of values.
        """
        maps = as_maps(outputs[0])
        count, keypoints, values = maps.shape
        if values not in (COORDINATES, WITH_DEVIATIONS):
            raise EvaluationError(
                f"Outputs of {values} values for each keypoint are no coordinates.",
                hint="Coordinates are 2 values, or 4 with their deviations.",
            )
        places = np.arange(keypoints * values).reshape(keypoints, values)
        answers = maps.at(np.tile(places, (count, 1, 1)))
        coordinates, deviations = np.split(answers, [COORDINATES], axis=-1)
        scores = np.ones((count, keypoints), dtype=np.float32)
        if values == WITH_DEVIATIONS:
            scores = (1 - deviations).mean(axis=-1)
        raise_if_nan(coordinates.sum(axis=-1) + scores)
        return Decoded(coordinates * np.array([size.width, size.height]), scores)

    def encode(
        self,
        keypoints: NDArray[Any],
        visible: NDArray[Any],
        size: InputSize,
        _shapes: Sequence[tuple[int, ...]],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return keypoints (N, K, 2), given in input pixels, as fractions, and weights (N, K)."""
        weights = training_weights(keypoints, visible, size)
        fractions = keypoints / np.array([size.width, size.height])
        return fractions.astype(np.float32), weights
