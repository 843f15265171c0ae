"""The names of paradigms and of decoders, as suites and results write them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

Paradigm = Literal["heatmap", "simcc", "regression"]
Refinement = Literal["argmax", "quarter", "dark", "udp", "expectation"]
# UDP-regress outputs contain their own offsets, and a regression network's outputs are coordinates
# already (`direct`): they have no other decoder.
Decoder = Literal[Refinement, "udp-regress", "direct"]
# The own decoder of codecs that have no field for it, by kind.
UNSTATED_DECODERS: Mapping[str, Decoder] = MappingProxyType(
    {"simcc": "argmax", "regression": "direct"}
)
# `own` is the decoder that a checkpoint was published with; `classic` is the quarter offset for
# heatmaps, and the own decoder of other paradigms.
DecoderChoice = Literal["own", "classic", Refinement]
DECODER_CHOICES: tuple[DecoderChoice, ...] = get_args(DecoderChoice)
