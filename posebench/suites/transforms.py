"""Transforms of a network as a user writes them: `w8`, `w4a8`, `head-w4`, `prune-50`. No torch.

The grammar is `[PART-]wBITS`, `[PART-]aBITS`, `[PART-]wBITSaBITS` or
`[PART-]prune-PERCENT[-layer|-channel]`; `none` leaves the network as it is. `lab.transforms` says
what each does to a network.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, cast, get_args

from posebench.errors import SpecError

Part = Literal["whole", "backbone", "head", "tokens", "answers"]
"""What is transformed.

`whole` is the network, `backbone` has the neck with it, `head` is all behind them, `tokens` are the
features that enter the head, and `answers` are the layers whose rows are the vectors of keypoints
(heatmap) or of positions (SimCC).
"""
Ranking = Literal["global", "layer", "channel"]
"""What pruned weights are ranked among: the whole part, their layer, or whole channels."""

NO_TRANSFORM = "none"
FLOAT_BITS = 32
_FEWEST, _MOST = 2, 8
_TEXT = re.compile(
    r"(?:(?P<part>backbone|head|tokens|answers)-)?"
    r"(?:w(?P<weights>\d{1,3})(?:a(?P<both>\d{1,3}))?|a(?P<activations>\d{1,3})"
    r"|prune-(?P<pruned>[1-9]\d?)(?:-(?P<ranking>layer|channel))?)"
)
_EXAMPLES = (
    "none, w8, w4a8, a8, backbone-w4, head-w4, answers-w4, tokens-a4, prune-50, prune-50-layer, "
    "prune-50-channel, head-prune-50"
)


@dataclass(frozen=True)
class Transform:
    """What is done to a network before it runs.

    `weight_bits` and `activation_bits` are None where these stay in float32; `pruned` is the
    percentage of weights, or of channels, that become 0.
    """

    part: Part = "whole"
    weight_bits: int | None = None
    activation_bits: int | None = None
    pruned: int | None = None
    ranking: Ranking = "global"

    @property
    def is_none(self) -> bool:
        """Whether the network stays as it is."""
        return not self.moves_weights and self.activation_bits is None

    @property
    def moves_weights(self) -> bool:
        """Whether weights are changed, by quantising or by pruning."""
        return self.weight_bits is not None or self.pruned is not None

    @property
    def quantises(self) -> bool:
        """Whether weights or activations are quantised."""
        return self.weight_bits is not None or self.activation_bits is not None

    @property
    def bits(self) -> int:
        """The bits of weights, or of activations where weights stay; 32 where nothing is so."""
        return self.weight_bits or self.activation_bits or FLOAT_BITS

    @property
    def kept(self) -> float:
        """The share of weights, or of channels, that pruning leaves."""
        return 1 - (self.pruned or 0) / 100

    def __str__(self) -> str:
        if self.is_none:
            return NO_TRANSFORM
        prefix = "" if self.part == "whole" else f"{self.part}-"
        if self.pruned is not None:
            suffix = "" if self.ranking == "global" else f"-{self.ranking}"
            return f"{prefix}prune-{self.pruned}{suffix}"
        weights = "" if self.weight_bits is None else f"w{self.weight_bits}"
        activations = "" if self.activation_bits is None else f"a{self.activation_bits}"
        return f"{prefix}{weights}{activations}"


IDENTITY = Transform()


def parse_transform(text: str) -> Transform:
    """Return the transform that a text means; `str` returns the text again.

    Raises `SpecError` that names the nearest valid text.
    """
    if text == NO_TRANSFORM:
        return IDENTITY
    found = _TEXT.fullmatch(text)
    if found is None:
        raise _unknown(text)
    bits = [found["weights"], found["both"] or found["activations"]]
    weights, activations = (None if each is None else int(each) for each in bits)
    if any(b is not None and not _FEWEST <= b <= _MOST for b in (weights, activations)):
        raise SpecError(
            f"The transform {text!r} has bits outside of {_FEWEST} to {_MOST}.",
            hint=f"{FLOAT_BITS} bits are `{NO_TRANSFORM}`.",
        )
    pruned = None if found["pruned"] is None else int(found["pruned"])
    part = cast("Part", found["part"] or "whole")
    if part == "tokens" and (weights is not None or pruned is not None):
        raise SpecError(
            f"The transform {text!r} means weights, and tokens are activations.",
            hint=f"Such as tokens-a{weights or _MOST}; for weights: backbone, head or answers.",
        )
    ranking = cast("Ranking", found["ranking"] or "global")
    return Transform(part, weights, activations, pruned, ranking)


def _unknown(text: str) -> SpecError:
    close = difflib.get_close_matches(text, [*_valid_texts()], n=1, cutoff=0.5)
    nearest = f"Did you mean {close[0]!r}? " if close else ""
    return SpecError(
        f"There is no transform {text!r}.",
        hint=f"{nearest}Valid are such as {_EXAMPLES}; {_FEWEST} to {_MOST} bits, 1 to 99 percent.",
    )


def _valid_texts() -> Iterator[str]:
    yield NO_TRANSFORM
    spans: list[int | None] = [None, *range(_FEWEST, _MOST + 1)]
    for part in get_args(Part):
        for weights in spans if part != "tokens" else spans[:1]:
            for activations in spans[weights is None :]:
                yield str(Transform(part, weights, activations))
        for percent in range(1, 100) if part != "tokens" else ():
            for ranking in get_args(Ranking):
                yield str(Transform(part, pruned=percent, ranking=ranking))
