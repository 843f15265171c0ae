"""Codecs: keypoints to training targets and network outputs back to keypoints."""

from posebench.networks.codecs.decoders import (
    DECODER_CHOICES,
    Decoder,
    DecoderChoice,
    check_decoder,
    chosen_decoders,
    decode_by,
    own_decoder,
)
from posebench.networks.codecs.heatmap import HeatmapCodec
from posebench.networks.codecs.simcc import SimccCodec

Codec = HeatmapCodec | SimccCodec

__all__ = [
    "DECODER_CHOICES",
    "Codec",
    "Decoder",
    "DecoderChoice",
    "HeatmapCodec",
    "SimccCodec",
    "check_decoder",
    "chosen_decoders",
    "decode_by",
    "own_decoder",
]
