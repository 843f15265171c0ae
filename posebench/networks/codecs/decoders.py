"""Decoders by name: which ones a codec's outputs can be decoded by, and decoding by one."""

from __future__ import annotations

from typing import Any, Literal, cast, get_args

from numpy.typing import NDArray

from posebench.errors import EvaluationError
from posebench.networks.codecs.decoded import Decoded
from posebench.networks.codecs.heatmap import HEATMAP_REFINEMENTS, HeatmapCodec, HeatmapRefinement
from posebench.networks.codecs.maps import Maps
from posebench.networks.codecs.simcc import SIMCC_REFINEMENTS, SimccCodec, SimccRefinement
from posebench.networks.sizes import InputSize

Decoder = HeatmapRefinement | Literal["udp-regress"]  # SimCC has some of them
# `own` is the decoder that a checkpoint was published with, `classic` the quarter offset of a
# heatmap and SimCC's own.
DecoderChoice = Literal["own", "classic", "argmax", "quarter", "dark", "udp", "expectation"]
DECODER_CHOICES: tuple[DecoderChoice, ...] = get_args(DecoderChoice)


def own_decoder(codec: HeatmapCodec | SimccCodec) -> Decoder:
    """Return the decoder that a checkpoint was published with."""
    return codec.decoder if isinstance(codec, HeatmapCodec) else "argmax"


def chosen_decoders(
    codec: HeatmapCodec | SimccCodec, choices: tuple[DecoderChoice, ...]
) -> tuple[Decoder, ...]:
    """Return the distinct decoders that `choices` mean, in their order."""
    own = own_decoder(codec)
    own_alone = isinstance(codec, SimccCodec) or codec.decoder == "udp-regress"
    classic: Decoder = own if own_alone else "quarter"
    named: dict[DecoderChoice, Decoder] = {"own": own, "classic": classic}
    chosen = (named.get(choice, cast("Decoder", choice)) for choice in choices)
    return tuple(dict.fromkeys(chosen))


def check_decoder(codec: HeatmapCodec | SimccCodec, decoder: Decoder) -> None:
    """Raise `EvaluationError`, with the reason, for a decoder that the outputs are not for."""
    valid: tuple[Decoder, ...] = HEATMAP_REFINEMENTS
    what = "Heatmaps"
    if isinstance(codec, SimccCodec):
        valid, what = SIMCC_REFINEMENTS, "SimCC outputs"
    elif codec.decoder == "udp-regress":
        valid, what = ("udp-regress",), "UDP-regress outputs"
    if decoder not in valid:
        raise EvaluationError(
            f"{what} have no {decoder} decoder.",
            hint=f"Theirs are {' and '.join(valid)}.",
        )


def decode_by(
    decoder: Decoder,
    codec: HeatmapCodec | SimccCodec,
    outputs: tuple[NDArray[Any] | Maps, ...],
    size: InputSize,
) -> Decoded:
    """Return keypoints in input pixels of `size`, and scores; raise `EvaluationError`.

    `outputs` are `(heatmaps,)` or `(simcc_x, simcc_y)`, in numpy or wherever `Maps` are.
    """
    check_decoder(codec, decoder)
    if isinstance(codec, HeatmapCodec):
        return codec.decode(outputs, size, None if decoder == "udp-regress" else decoder)
    return codec.decode(outputs, size, cast("SimccRefinement", decoder))
