"""Heatmap codec: argmax, quarter-offset, DARK, UDP and UDP-regress decoding, Gaussian targets.

Numbers must match MMPose 1.3.2's `codecs/msra_heatmap.py` and `codecs/udp_heatmap.py`: Xiao et
al. 2018 (quarter offset), Zhang et al. 2020 (DARK), Huang et al. 2020 (UDP).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from posebench.errors import EvaluationError, SpecError
from posebench.networks.codecs.decoded import Decoded, raise_if_nan
from posebench.networks.codecs.expectation import heatmap_expectation_offsets
from posebench.networks.codecs.maps import Maps, as_maps
from posebench.networks.codecs.offset_maps import CHANNELS, decode_offset_maps
from posebench.networks.codecs.refinement import dark_offsets, quarter_offsets, udp_offsets
from posebench.networks.codecs.targets import training_weights
from posebench.networks.names import Decoder, Paradigm
from posebench.networks.sizes import InputSize

HeatmapDecoder = Literal["argmax", "quarter", "dark", "udp", "udp-regress"]
HeatmapRules = Literal["mmpose", "hrnet"]


MAX_BLUR_KERNEL = 255
"""Published networks have 17 at most."""


@dataclass(frozen=True)
class HeatmapCodec:
    """How heatmaps encode keypoints.

    `decoder` is the one that the checkpoint was published with, and says how its targets were made:
    those of `udp` put the first and last cell on the sides of the input, and so do those of
    `udp-regress`, whose outputs have three channels per keypoint (`codecs.offset_maps`). `sigma`,
    in heatmap cells, affects training targets only. `blur_kernel` is the odd width of the Gaussian
    with which DARK and UDP smooth a heatmap (UDP-regress uses twice that plus 1), and of the window
    of an expectation.

    `rules` says whose rules apply if a best cell is missing or at a border. `mmpose`: a map without
    a positive value has the best cell (−1, −1), and the quarter offset of an axis is 0 at that
    axis's borders. `hrnet` (`lib/core/inference.py` of the HRNet and SimpleBaseline repositories):
    such a map has the best cell (0, 0), and both offsets are 0 at any border.
    """

    paradigm: ClassVar[Paradigm] = "heatmap"

    kind: Literal["heatmap"] = "heatmap"
    decoder: HeatmapDecoder = "quarter"
    sigma: float = 2.0
    blur_kernel: int = 11
    rules: HeatmapRules = "mmpose"

    def __post_init__(self) -> None:
        if self.blur_kernel < 3 or self.blur_kernel % 2 == 0:
            raise SpecError(f"blur_kernel must be odd and at least 3, not {self.blur_kernel}.")
        if self.blur_kernel > MAX_BLUR_KERNEL:
            raise SpecError(f"blur_kernel must be at most {MAX_BLUR_KERNEL}.")
        if not 0 < self.sigma < math.inf:
            raise SpecError(f"sigma must be above 0, not {self.sigma}.")

    @property
    def channels(self) -> int:
        """Number of output channels per keypoint."""
        return CHANNELS if self.decoder == "udp-regress" else 1

    @property
    def answers(self) -> str:
        """The name of the outputs in messages."""
        return "UDP-regress outputs" if self.decoder == "udp-regress" else "Heatmaps"

    @property
    def decoders(self) -> tuple[Decoder, ...]:
        """The decoders that fit the outputs."""
        return ("udp-regress",) if self.decoder == "udp-regress" else HEATMAP_REFINEMENTS

    @property
    def own_decoder(self) -> Decoder:
        """The decoder that the checkpoint was published with."""
        return self.decoder

    @property
    def classic_decoder(self) -> Decoder:
        """The quarter offset, if keypoints have one channel each."""
        return self.decoder if self.decoder == "udp-regress" else "quarter"

    def decode(
        self,
        outputs: tuple[NDArray[Any] | Maps, ...],
        size: InputSize,
        decoder: Decoder | None = None,
    ) -> Decoded:
        """Return the best cell of each heatmap, refined, in input pixels of `size`.

        `outputs` is one array (N, K · channels, h, w). The score is the maximum before any
        smoothing; if it is not above 0, the cell is that of `rules`, still refined and scaled. Of
        equal cells the first wins. `decoder` replaces the codec's own, except that `udp-regress`
        has no other. The places of cells in the input depend on the targets that the network
        learned, and therefore always on the codec's `decoder`. Raises `EvaluationError` if outputs
        contain NaN, or if heatmaps are too small for UDP.
        """
        heatmaps = as_maps(outputs[0])
        height, width = heatmaps.shape[2:]
        if self.decoder == "udp-regress":
            keypoints, scores = decode_offset_maps(heatmaps, 2 * self.blur_kernel + 1)
            raise_if_nan(scores)
            return Decoded(self._to_input(keypoints, (height, width), size), scores)
        scores, best = heatmaps.peaks()
        raise_if_nan(scores)
        row, column = np.divmod(best, width)
        cells = np.stack([column, row], axis=-1)
        cells[scores <= 0] = -1 if self.rules == "mmpose" else 0
        keypoints = cells.astype(np.float32)
        refine = _REFINEMENTS[decoder or self.decoder]
        if refine is not None:
            keypoints += refine(heatmaps, cells, self)
        return Decoded(self._to_input(keypoints, (height, width), size), scores)

    def _to_input(
        self, keypoints: NDArray[np.float32], heatmap_size: tuple[int, int], size: InputSize
    ) -> NDArray[np.floating[Any]]:
        sides = np.array([size.width, size.height])
        cells = np.array(heatmap_size[::-1])
        if self.decoder not in ("udp", "udp-regress"):
            scaled: NDArray[np.float32] = keypoints * (sides / cells).astype(np.float32)
            return scaled
        if (cells < 2).any():
            raise EvaluationError(f"UDP cannot decode heatmaps of {cells[1]}x{cells[0]} cells.")
        # Times W, not W − 1: the map to the image divides by W again.
        stretched: NDArray[np.float64] = keypoints / (cells - 1) * sides
        return stretched

    def encode(
        self,
        keypoints: NDArray[Any],
        visible: NDArray[Any],
        size: InputSize,
        shapes: Sequence[tuple[int, ...]],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return Gaussian targets (N, K, h, w), peak 1, and weights (N, K).

        `keypoints` (N, K, 2) are in input pixels; `shapes` are those of the outputs, here one
        (N, K, h, w). Targets of `argmax` and `quarter` are centred on the nearest cell and cut off
        at 3 sigma; those of `udp` are centred on the keypoint and cut off at 3 sigma; those of
        `dark` are centred on the keypoint and not cut off. Targets of weight 0 are 0. Raises
        `EvaluationError` if the decoder is `udp-regress`, which is not trained here.
        """
        if self.decoder == "udp-regress":
            raise EvaluationError("There are no training targets for udp-regress.")
        weights = training_weights(keypoints, visible, size)
        sides = np.array([size.width, size.height])
        height, width = shapes[0][2:]
        cells = np.array([width, height])
        last = 1 if self.decoder == "udp" else 0
        exact = keypoints / sides * (cells - last)
        # Truncation rounds halves up. It misplaces cells below −0.5, which is harmless: they belong
        # to keypoints outside the input.
        nearest = np.trunc(exact + 0.5)
        center = nearest if self.decoder in ("argmax", "quarter") else exact
        profiles = []
        for axis in (0, 1):
            index = np.arange(cells[axis], dtype=np.float32)
            offset = index - center[..., axis, None].astype(np.float32)
            profile = np.exp(offset * offset * np.float32(-0.5 / self.sigma**2))
            if self.decoder != "dark":
                profile *= np.abs(index - nearest[..., axis, None]) <= 3 * self.sigma
            profiles.append(profile)
        profiles[0] *= (weights > 0)[..., None]
        return profiles[1][..., :, None] * profiles[0][..., None, :], weights


Refine = Callable[[Maps, NDArray[np.int64], HeatmapCodec], NDArray[np.floating[Any]]]
# The offsets (N, K, 2), in cells, that each decoder adds to the best cells.
_REFINEMENTS: dict[Decoder, Refine | None] = {
    "argmax": None,
    "quarter": lambda maps, cells, codec: quarter_offsets(
        maps, cells, jointly=codec.rules == "hrnet"
    ),
    "dark": lambda maps, cells, codec: dark_offsets(maps, cells, codec.blur_kernel),
    "udp": lambda maps, cells, codec: udp_offsets(maps, cells, codec.blur_kernel),
    "expectation": lambda maps, cells, codec: heatmap_expectation_offsets(
        maps, cells, codec.blur_kernel // 2
    ),
}
HEATMAP_REFINEMENTS: tuple[Decoder, ...] = tuple(_REFINEMENTS)
