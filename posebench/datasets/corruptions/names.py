"""Corruptions as a user writes them: `blur-3`, `noise-5@7`; `none` leaves images as they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from posebench.errors import SpecError, nearest

Kind = Literal["noise", "blur", "fog", "jpeg", "bright", "dark", "occluders", "truncation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEVELS = (1, 2, 3, 4, 5)
# The kinds whose pixels depend on the annotated boxes of an image.
BY_BOXES: frozenset[Kind] = frozenset({"occluders", "truncation"})
NO_CORRUPTION = "none"
_TEXT = re.compile(r"(?P<kind>[a-z]+)-(?P<level>[1-5])(?:@(?P<seed>\d{1,9}))?")


@dataclass(frozen=True)
class Corruption:
    """What is done to every image before it is cropped: a kind, a level 1 to 5, and a seed."""

    kind: Kind
    level: int
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.kind}-{self.level}" + (f"@{self.seed}" if self.seed else "")


def parse_corruption(text: str) -> Corruption | None:
    """Return the corruption that a text means, None for `none`; `str` returns the text again.

    Raises `SpecError` that names the nearest valid text.
    """
    if text == NO_CORRUPTION:
        return None
    found = _TEXT.fullmatch(text)
    if found is None or found["kind"] not in KINDS:
        valid = [NO_CORRUPTION, *(f"{kind}-{level}" for kind in KINDS for level in LEVELS)]
        raise SpecError(f"There is no corruption {text!r}.", hint=nearest(text, valid))
    seed = int(found["seed"] or 0)
    if found["seed"] is not None and seed == 0:
        raise SpecError(f"The corruption {text!r} is written without its seed, which is 0 anyway.")
    return Corruption(cast("Kind", found["kind"]), int(found["level"]), seed)
