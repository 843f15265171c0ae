"""Find the outputs of an exported network that are its answer, or name its kind if it has none.

Output names `simcc_x`, `simcc_y` are those of MMDeploy's exports of RTMPose; `dets`, `labels` and
`keypoints` those of its detectors and of RTMO.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from posebench.checkpoints.findings import Finding, keypoints_by_count
from posebench.datasets.keypoints import SETS_BY_NUMBER
from posebench.errors import CheckpointError
from posebench.networks.codecs.regression import COORDINATES, WITH_DEVIATIONS
from posebench.networks.sizes import InputSize

ASSUMED = "assumed: the file does not say; --spec overrules"
_SIMCC_NAMES = ("simcc_x", "simcc_y")
# A file does not tell its backbone's stride; this one is right for all published networks whose
# outputs are not maps.
_USUAL_STRIDE = 32
_MANY_BOXES = 100
_CLASSES = 1000

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Outputs:
    """The outputs that are the answer, in order, findings from their shapes, and their channels.

    `stride` counts pixels per cell of the heatmaps.
    """

    names: tuple[str, ...]
    findings: tuple[Finding, ...]
    stride: int
    channels: int


def find_outputs(shapes: Shapes, size: InputSize, *, told_regression: bool = False) -> Outputs:
    """Find heatmaps (N, K, h, w), SimCC vectors (N, K, bins) or coordinates (N, K, 2 or 4).

    `shapes` are those of outputs run at `size`. Coordinates with deviations are told by the number
    of a built-in set's keypoints; others may be pixels, and count if `told_regression` says that
    they are fractions of the input. Raises `CheckpointError` if there is not exactly one answer; it
    lists the outputs and names the kind of network if that is known.
    """
    if told_regression:
        found = _regression(shapes, size)
    else:
        found = _simcc(shapes, size) or _heatmap(shapes, size) or _regression_of_known(shapes, size)
    if found is not None:
        return found
    other = _other_network(shapes)
    listing = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    if other is not None:
        raise CheckpointError(
            f"This is {other}, with the outputs {listing}.",
            hint="posebench evaluates top-down networks by their heatmaps, SimCC vectors, or"
            " coordinates as fractions of the crop (--spec with codec: {kind: regression}).",
        )
    raise CheckpointError(
        f"No one output is heatmaps (N, K, h, w), no two are SimCC vectors: {listing}.",
        hint="Export the network with its heatmaps, or simcc_x and simcc_y, as its outputs.",
    )


def _heatmap(shapes: Shapes, size: InputSize) -> Outputs | None:
    maps = [name for name, shape in shapes.items() if _is_heatmap(shape, size)]
    named = [name for name in maps if "heatmap" in name.lower()]
    maps = named if len(named) == 1 else maps
    if len(maps) != 1:
        return None
    (name,) = maps
    _, count, height, _ = shapes[name]
    why = f"output {name} {shapes[name]}"
    findings = (
        Finding("head.kind", "heatmap", why),
        Finding("codec.kind", "heatmap", why),
        Finding("codec.decoder", "quarter", ASSUMED),
        *keypoints_by_count(count),
    )
    return Outputs((name,), findings, size.height // height, count)


def _simcc(shapes: Shapes, size: InputSize) -> Outputs | None:
    pair = _simcc_pair(shapes, size)
    if pair is None:
        return None
    _, count, bins = shapes[pair[0]]
    why = f"outputs {pair[0]}, {pair[1]}"
    findings = (
        Finding("head.kind", "simcc", why),
        Finding("codec.kind", "simcc", why),
        Finding("codec.split_ratio", bins / size.width, why),
        *keypoints_by_count(count),
    )
    return Outputs(pair, findings, _USUAL_STRIDE, count)


def _regression(shapes: Shapes, _size: InputSize) -> Outputs | None:
    if len(shapes) != 1:
        return None
    ((name, shape),) = shapes.items()
    if len(shape) != 3 or shape[2] not in (COORDINATES, WITH_DEVIATIONS):
        return None
    why = f"output {name} {shape}"
    findings = (
        Finding("head.kind", "rle" if shape[2] == WITH_DEVIATIONS else "regression", why),
        Finding("codec.kind", "regression", why),
        *keypoints_by_count(shape[1]),
    )
    return Outputs((name,), findings, _USUAL_STRIDE, shape[1])


def _regression_of_known(shapes: Shapes, size: InputSize) -> Outputs | None:
    """Return coordinates with deviations of as many keypoints as a built-in set has."""
    found = _regression(shapes, size)
    if found is None or shapes[found.names[0]][2] != WITH_DEVIATIONS:
        return None
    return found if found.channels in {len(known) for known in SETS_BY_NUMBER.values()} else None


def _is_heatmap(shape: tuple[int, ...], size: InputSize) -> bool:
    """Tell whether a shape is that of maps whose cells are whole, square blocks of the input."""
    if len(shape) != 4 or min(shape) < 1:
        return False
    _, _, height, width = shape
    whole = size.height % height == 0 and size.width % width == 0
    return whole and size.height // height == size.width // width and height * width > 1


def _simcc_pair(shapes: Shapes, size: InputSize) -> tuple[str, str] | None:
    """Return the names of the x and y vectors whose bins are the input's sides times one ratio."""
    vectors = [name for name, shape in shapes.items() if len(shape) == 3]
    if set(_SIMCC_NAMES) <= set(vectors):
        vectors = list(_SIMCC_NAMES)
    if len(vectors) != 2:
        return None
    for x, y in (tuple(vectors), tuple(reversed(vectors))):
        ratio_x, ratio_y = shapes[x][2] / size.width, shapes[y][2] / size.height
        if shapes[x][1] == shapes[y][1] and math.isclose(ratio_x, ratio_y) and ratio_x >= 0.5:
            return x, y
    return None


def _other_network(shapes: Shapes) -> str | None:
    """Name the kind of network with these outputs, if it is a known kind that is not evaluated."""
    names = {name.lower() for name in shapes}
    sole = next(iter(shapes.values())) if len(shapes) == 1 else ()
    last = {shape[-1] for shape in shapes.values() if shape}
    if "dets" in names and "keypoints" in names:
        return "a one-stage pose network (RTMO) that finds people itself"
    if {"dets", "labels"} <= names:
        return "an object detector"
    if len(sole) == 3 and max(sole[1:]) > _MANY_BOXES:
        return _rows_of_boxes(min(sole[1:]))
    if len(sole) == 2 and sole[1] >= _CLASSES:
        return "an image classifier"
    if _is_associative_embedding(shapes):
        return "a bottom-up pose network (heatmaps and tags of a whole image)"
    if shapes and last <= {1, 2, 3} and all(len(shape) in (3, 4) for shape in shapes.values()):
        return "an export that decodes keypoints itself, so that its outputs are coordinates"
    return None


def _rows_of_boxes(values: int) -> str:
    """Name the network that lists candidates with this many values each.

    YOLO-pose has a box, a score and three values per keypoint; YOLOv7 adds an objectness.
    """
    if values >= 5 + 3 and (values - 5) % 3 == 0:
        return f"a one-stage pose network (YOLO-pose, {(values - 5) // 3} keypoints)"
    if values == 6 + 3 * 17:
        return "a one-stage pose network (YOLO-pose, 17 keypoints)"
    return "an object detector"


def _is_associative_embedding(shapes: Shapes) -> bool:
    """Tell whether one map has twice the channels of another: HigherHRNet's tags."""
    channels = sorted(shape[1] for shape in shapes.values() if len(shape) == 4)
    return len(channels) == 2 and channels[1] == 2 * channels[0] and len(shapes) == 2
