"""What a user may choose of data, as records that need no arrays: rules, levels, boxes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from posebench.errors import UsageError

Kind = Literal["coco", "crowdpose", "wholebody", "distance"]
"""The evaluator whose rules count: OKS, with strata by crowd, by part of the body, or distances."""
AreaRule = Literal["annotation", "box"]
AREA_RULES: tuple[AreaRule, ...] = ("annotation", "box")
SYNTHETIC_LEVELS = {"synthetic": "standard", "synthetic-crowd": "crowd"}
# Beyond these a crop shows nothing of its person.
_LARGEST_SHIFT, _LARGEST_SCALE = 1.0, 4.0


@dataclass(frozen=True)
class BoxFilter:
    """Which detected boxes to keep: score at least `min_score`, then box NMS, then the best few.

    `nms_threshold` is the IoU above which the lower-scored box goes.
    """

    min_score: float = 0.0
    nms_threshold: float | None = None
    max_per_image: int | None = None

    def __post_init__(self) -> None:
        if self.nms_threshold is not None and not 0 < self.nms_threshold <= 1:
            raise UsageError(f"A box NMS threshold of {self.nms_threshold} is not in (0, 1].")
        if self.max_per_image is not None and self.max_per_image < 1:
            raise UsageError(f"At most {self.max_per_image} boxes per image leaves none.")


@dataclass(frozen=True)
class BoxChange:
    """How boxes differ from what they were: moved, then scaled about their new centres.

    `shift` (x, y) is in fractions of each box's own width and height, `scale` a factor of both.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not all(abs(part) <= _LARGEST_SHIFT for part in self.shift):
            x, y = self.shift
            raise UsageError(
                f"A box shift of ({x:g}, {y:g}) is more than {_LARGEST_SHIFT:g} sides of a box."
            )
        if not 1 / _LARGEST_SCALE <= self.scale <= _LARGEST_SCALE:
            raise UsageError(
                f"A box scale of {self.scale:g} does not lie between {1 / _LARGEST_SCALE:g} and "
                f"{_LARGEST_SCALE:g}."
            )

    def __str__(self) -> str:
        parts = []
        if self.shift != (0.0, 0.0):
            parts.append("shift {:g} {:g}".format(*self.shift))
        if self.scale != 1.0:
            parts.append(f"scale {self.scale:g}")
        return " ".join(parts)


def name_in_results(dataset: str, label: str | None) -> str:
    """Return what results call data: their label, or the name of their folder or file."""
    return label or Path(dataset).resolve().stem
