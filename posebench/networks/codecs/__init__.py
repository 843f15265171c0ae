"""Codecs: keypoints to training targets and network outputs back to keypoints.

A codec is a frozen record in a file of its own; `CODECS` and the union `Codec` list them. Beside
its fields each has a `kind`, its `paradigm`, the `channels` of a keypoint, the name of its outputs
(`answers`), its `decoders`, among them its `own_decoder` and its `classic_decoder`, and the two
directions, `encode` and `decode`.
"""

from typing import get_args

from posebench.networks.codecs.decoders import (
    check_decoder,
    chosen_decoders,
    decode_by,
    own_decoder,
)
from posebench.networks.codecs.heatmap import HeatmapCodec
from posebench.networks.codecs.regression import RegressionCodec
from posebench.networks.codecs.simcc import SimccCodec
from posebench.networks.names import DECODER_CHOICES, Decoder, DecoderChoice, Paradigm

Codec = HeatmapCodec | SimccCodec | RegressionCodec
CODECS: dict[str, type[Codec]] = {codec.kind: codec for codec in get_args(Codec)}

__all__ = [
    "CODECS",
    "DECODER_CHOICES",
    "Codec",
    "Decoder",
    "DecoderChoice",
    "HeatmapCodec",
    "Paradigm",
    "RegressionCodec",
    "SimccCodec",
    "check_decoder",
    "chosen_decoders",
    "decode_by",
    "own_decoder",
]
