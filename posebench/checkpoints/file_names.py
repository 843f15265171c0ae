"""What a published file's name says, where nothing inside the file says it.

Names are those of MMPose's model zoo and of the HRNet and SimCC repositories: sizes in them are
height x width, `dark` and `udp` are decoders, and `_pt-…` is what pre-training ran on.
"""

from __future__ import annotations

import re

from posebench.checkpoints.findings import Finding, keypoints_by_count
from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.networks.sizes import MAX_SIDE, InputSize

WHY = "file name"
_SIZE = re.compile(r"(?<![0-9a-z])(\d{2,4})x(\d{2,4})(?![0-9a-z])", re.IGNORECASE)
_PRETRAINING = re.compile(r"_pt-[^_]*")
# The built-in set that a data set has; None: its own, which is not built in.
_DATA_SETS: dict[str, str | None] = {
    "coco": "coco",
    "humanart": "coco",
    "ochuman": "coco",
    "body7": "coco",
    "body8": "coco",
    "crowdpose": "crowdpose",
    "aic": "aic",
    "mpii": "mpii",
    "halpe26": "halpe26",
    "wholebody": "coco-wholebody",
    "ubody": "coco-wholebody",
    "ucoco": "coco-wholebody",
    "cocktail14": "coco-wholebody",
    "posetrack18": None,
    "jhmdb": None,
    "exlpose": None,
}


def find_size(name: str) -> tuple[Finding, ...]:
    """Return the one input size in a file's name, if there is one and it could be one."""
    sizes = {(int(height), int(width)) for height, width in _SIZE.findall(name)}
    valid = [InputSize(*sides) for sides in sizes if 0 < min(sides) <= max(sides) <= MAX_SIDE]
    return tuple(Finding("input_size", str(size), WHY) for size in valid if len(sizes) == 1)


def find_decoder(name: str) -> tuple[Finding, ...]:
    """Return decoder and crop of a heatmap network whose file is named after its decoder."""
    words = _words(name)
    if "udp" not in words:
        return (Finding("codec.decoder", "dark", WHY),) if "dark" in words else ()
    decoder = "udp-regress" if "regress" in words else "udp"
    return (Finding("codec.decoder", decoder, WHY), Finding("crop.udp", True, WHY))


def find_keypoints(name: str, count: int) -> tuple[Finding, ...]:
    """Return the set of the data set in a file's name that has `count` keypoints.

    Else the first one with as many, but nothing where the name tells a data set of another set.
    """
    named = [_DATA_SETS[word] for word in _words(name) if word in _DATA_SETS]
    for known in named:
        if known is not None and len(KEYPOINT_SETS[known]) == count:
            return (Finding("keypoints", known, WHY),)
    return () if None in named else keypoints_by_count(count)


def _words(name: str) -> list[str]:
    return re.split(r"[-_.\s]+", _PRETRAINING.sub("", name.lower()))
