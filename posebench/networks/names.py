"""The names of paradigms and of decoders, as suites and results write them."""

from __future__ import annotations

from typing import Literal, get_args

Paradigm = Literal["heatmap", "simcc"]
Refinement = Literal["argmax", "quarter", "dark", "udp", "expectation"]
# UDP-regress outputs contain their own offsets and have no other decoder.
Decoder = Literal[Refinement, "udp-regress"]
# `own` is the decoder that a checkpoint was published with; `classic` is the quarter offset for
# heatmaps, and SimCC's own decoder.
DecoderChoice = Literal["own", "classic", Refinement]
DECODER_CHOICES: tuple[DecoderChoice, ...] = get_args(DecoderChoice)
