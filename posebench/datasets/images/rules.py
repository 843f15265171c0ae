"""How image files become the images that annotations are of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ExifRule = Literal["apply", "ignore"]


EXIF_RULES: tuple[ExifRule, ...] = ("apply", "ignore")


@dataclass(frozen=True)
class ImageReading:
    """How a file becomes the image that its annotations describe.

    `exif` says whether an EXIF orientation turns the image. MMPose applies it, as OpenCV does by
    default; the original HRNet code ignores it, and so do labels that were made on stored pixels.
    `allow_resized` takes a file of another size and the same aspect ratio for a resized copy, and
    resamples it to the annotated size.
    """

    exif: ExifRule = "apply"
    allow_resized: bool = False
