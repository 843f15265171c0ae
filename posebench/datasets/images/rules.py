"""How image files become the images that annotations are of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from posebench.datasets.corruptions.names import NO_CORRUPTION

ExifRule = Literal["apply", "ignore"]


EXIF_RULES: tuple[ExifRule, ...] = ("apply", "ignore")


@dataclass(frozen=True)
class ImageReading:
    """How a file becomes the image that its annotations describe.

    `exif` says whether an EXIF orientation turns the image. MMPose applies it, as OpenCV does by
    default; the original HRNet code ignores it, and so do labels that were made on stored pixels.
    `allow_resized` takes a file of another size and the same aspect ratio for a resized copy, and
    resamples it to the annotated size. `corruption` is a text of `datasets.corruptions`, for what
    is done to the image then.
    """

    exif: ExifRule = "apply"
    allow_resized: bool = False
    corruption: str = NO_CORRUPTION

    def __str__(self) -> str:
        """Return what moves pixels; it enters the keys of kept predictions."""
        corrupted = "" if self.corruption == NO_CORRUPTION else f", corruption={self.corruption!r}"
        files = f"exif={self.exif!r}, allow_resized={self.allow_resized!r}"
        return f"ImageReading({files}{corrupted})"
