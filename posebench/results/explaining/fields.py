"""A result's protocol as fields that an explanation compares and switches. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from posebench.datasets.categories import EVERY
from posebench.results.cell import CellResult

Kind = Literal["scoring", "boxes filter", "network", "fixed"]

# What each field takes to be switched: scoring of kept predictions, leaving out kept persons,
# another run of the network, or more than a switch can do.
FIELDS: Mapping[str, Kind] = {
    "checkpoint": "fixed",
    "annotations": "fixed",
    "images": "fixed",
    "image_files": "fixed",
    "category": "fixed",
    "record": "fixed",
    "exif": "network",
    "allow_resized": "network",
    "corruption": "network",
    "boxes": "network",
    "min_box_score": "boxes filter",
    "box_nms": "boxes filter",
    "max_boxes": "boxes filter",
    "box_shift": "network",
    "box_scale": "network",
    "padding": "network",
    "crop": "network",
    "channels": "network",
    "mean": "network",
    "std": "network",
    "flip_test": "network",
    "flip_shift": "network",
    "size": "network",
    "policy": "network",
    "transform": "network",
    "calibration_crops": "fixed",
    "engine": "network",
    "precision": "network",
    "decoder": "network",
    "sigmas": "scoring",
    "area_rule": "scoring",
    "evaluator": "scoring",
    "rescoring": "scoring",
    "keypoint_threshold": "scoring",
    "nms": "scoring",
    "nms_threshold": "scoring",
}
# Another checkpoint brings these with it: they are not switched one by one.
OF_CHECKPOINT = ("padding", "crop", "channels", "mean", "std", "flip_shift")
# Fields of a protocol that stand above by another name, and those that follow from others or move
# no number by themselves.
OTHER_NAMES: Mapping[str, str] = {
    "annotations_sha256": "annotations",
    "images_sha256": "image_files",
    "boxes_sha256": "boxes",
    "crop_padding": "padding",
}
LEFT_OUT: Mapping[str, str] = {
    "dataset": "a name; `annotations` tells data apart",
    "keypoints": "they follow from the annotations; `sigmas` are compared",
    "scored_keypoints": "they follow from checkpoint and annotations",
    "boxes_left_out": "they follow from boxes and annotations",
    "instances": "their number follows from boxes and filters",
    "device": "what it moves is below a digit that is shown",
}
GROUND_TRUTH = "gt"
_NO_RECORD = "none"


@dataclass(frozen=True)
class FieldDifference:
    """A field of the protocol and its values in words, theirs and mine."""

    field: str
    theirs: Any
    mine: Any


def fields_of(result: CellResult) -> dict[str, Any]:
    """Return what is known of a result by the names of `FIELDS`."""
    protocol = result.protocol
    spec = result.checkpoint.spec or {}
    crop, flip = spec.get("crop", {}), spec.get("flip", {})
    found = {
        "checkpoint": result.checkpoint.sha256,
        "annotations": protocol.annotations_sha256,
        "images": protocol.images,
        "image_files": protocol.images_sha256,
        "record": protocol.record or _NO_RECORD,
        "category": "every" if protocol.category == EVERY else protocol.category,
        "exif": protocol.exif,
        "boxes": _boxes(result),
        "box_shift": list(protocol.box_shift),
        "padding": protocol.crop_padding,
        "crop": protocol.crop,
        "channels": crop.get("channels"),
        "mean": _listed(crop.get("mean")),
        "std": _listed(crop.get("std")),
        "flip_shift": _flip_shift(flip),
        "size": None if result.size is None else str(result.size),
        "policy": result.policy,
        "precision": protocol.precision.partition(",")[0],
        "sigmas": list(protocol.sigmas),
    }
    same = {name: getattr(protocol, name) for name in FIELDS if name not in found}
    every = {**found, **same}
    return {name: every[name] for name in FIELDS}


def _boxes(result: CellResult) -> str:
    """Return what names the boxes, whatever their file is called."""
    protocol = result.protocol
    return protocol.boxes_sha256 or GROUND_TRUTH


def _flip_shift(flip: Mapping[str, Any]) -> list[str]:
    return [name for name in ("shift_heatmap", "shift_simcc", "shift_coords") if flip.get(name)]


def _listed(values: Any) -> list[float] | None:
    return None if values is None else [float(value) for value in values]
