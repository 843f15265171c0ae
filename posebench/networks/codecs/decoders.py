"""Decoders by name: the ones that fit a codec's outputs, and decoding by one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray

from posebench.errors import EvaluationError
from posebench.networks.codecs.decoded import Decoded
from posebench.networks.codecs.maps import Maps
from posebench.networks.names import Decoder, DecoderChoice
from posebench.networks.sizes import InputSize

if TYPE_CHECKING:
    from posebench.networks.codecs import Codec


def own_decoder(codec: Codec) -> Decoder:
    """Return the decoder that a checkpoint was published with."""
    return codec.own_decoder


def chosen_decoders(codec: Codec, choices: tuple[DecoderChoice, ...]) -> tuple[Decoder, ...]:
    """Return the distinct decoders that `choices` mean, in their order."""
    named: dict[DecoderChoice, Decoder] = {
        "own": codec.own_decoder,
        "classic": codec.classic_decoder,
    }
    chosen = (named.get(choice, cast("Decoder", choice)) for choice in choices)
    return tuple(dict.fromkeys(chosen))


def check_decoder(codec: Codec, decoder: Decoder) -> None:
    """Raise `EvaluationError`, with the reason, if a decoder does not fit the codec's outputs."""
    if decoder not in codec.decoders:
        raise EvaluationError(
            f"{codec.answers} have no {decoder} decoder.",
            hint=f"Theirs are {' and '.join(codec.decoders)}.",
        )


def decode_by(
    decoder: Decoder, codec: Codec, outputs: tuple[NDArray[Any] | Maps, ...], size: InputSize
) -> Decoded:
    """Return keypoints in input pixels of `size`, and scores.

    `outputs` are `(heatmaps,)`, `(simcc_x, simcc_y)` or `(coordinates,)`, as numpy arrays or as
    `Maps`. Raises
    `EvaluationError` if the outputs do not fit the decoder or contain NaN.
    """
    check_decoder(codec, decoder)
    return codec.decode(outputs, size, decoder)
