"""What tools call their results, and how a row tells which of them wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

FormatName = Literal["coco", "ultralytics", "detectron2", "alphapose", "per-image"]
FormatChoice = Literal["auto", FormatName]
FORMAT_CHOICES: tuple[FormatChoice, ...] = ("auto", *get_args(FormatName))


@dataclass(frozen=True)
class ResultsFormat:
    """A way to write results: what it is called, and whether a row looks like it.

    Rows of an `exact` format have to be COCO results already.
    """

    says: str
    fits: Callable[[Mapping[str, Any]], bool]
    exact: bool = False


def _is_ultralytics(row: Mapping[str, Any]) -> bool:
    image = row.get("image_id")
    is_stem = isinstance(image, str) and "." not in image and "/" not in image
    return "bbox" in row and ("file_name" in row or is_stem)


def _is_alphapose(row: Mapping[str, Any]) -> bool:
    return "box" in row or "idx" in row


def _is_detectron2(row: Mapping[str, Any]) -> bool:
    return "bbox" in row and (isinstance(row.get("image_id"), str) or row.get("category_id") == 0)


# In the order in which they are tried; COCO results, which many tools write, fit nothing else.
FORMATS: Mapping[FormatName, ResultsFormat] = MappingProxyType(
    {
        "alphapose": ResultsFormat("AlphaPose's results", _is_alphapose),
        "ultralytics": ResultsFormat("ultralytics' predictions.json", _is_ultralytics),
        "detectron2": ResultsFormat("Detectron2's results", _is_detectron2),
        "per-image": ResultsFormat("a folder with a file for each image", lambda _: False),
        "coco": ResultsFormat("COCO results", lambda _: True, exact=True),
    }
)


def recognised(row: Mapping[str, Any]) -> FormatName:
    """Return the format that a row looks like."""
    return next(name for name, each in FORMATS.items() if each.fits(row))
