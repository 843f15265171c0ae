"""Facts from a published file's name, used if nothing inside the file gives them.

Names are those of MMPose's model zoo and of the HRNet and SimCC repositories: sizes in them are
height x width, `dark` and `udp` are decoders, and `_pt-…` names the data of pre-training.
"""

from __future__ import annotations

import re

from posebench.checkpoints.findings import Finding, keypoints_by_count
from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.networks.sizes import MAX_SIDE, InputSize

WHY = "file name"
_SIZE = re.compile(r"(?<![0-9a-z])(\d{2,4})x(\d{2,4})(?![0-9a-z])", re.IGNORECASE)
_PRETRAINING = re.compile(r"_pt-[^_]*")
# The built-in set of each data set; None if its set is not built in.
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
    "jhmdb": "jhmdb",
    "exlpose": "exlpose",
    "ap10k": "ap10k",
    "ap-10k": "ap10k",
    "animalpose": "animalpose",
    "300w": "300w",
    "wflw": "wflw",
    "cofw": "cofw",
    "aflw": "aflw",
    "onehand10k": "hand21",
    "freihand": "hand21",
    "freihand2d": "hand21",
    "wholebody": "coco-wholebody",
    "ubody": "coco-wholebody",
    "ucoco": "coco-wholebody",
    "cocktail14": "coco-wholebody",
    **dict.fromkeys(
        # People with other keypoints, some as many as a built-in set has.
        ("posetrack18", "posetrack21", "h36m", "human36m", "lsp", "lspet",
         "lip", "mhp", "3dpw", "mpi-inf-3dhp", "deepfashion", "deepfashion2",
        # Animals.
         "apt36k", "apt-36k", "animalkingdom", "animal",
         "animals", "ak", "atrw", "macaque", "horse10", "zebra", "locust", "fly", "dog", "dogs",
         "cat", "cats", "cow", "horse", "mouse", "mice", "quadruped", "superanimal",
        # Faces and hands.
         "300wlp", "lapa", "face", "face6", "hand", "hand5",
         "rhd", "rhd2d", "panoptic", "interhand2d",
         "interhand3d"),
        None,
    ),
}  # fmt: skip


def find_size(name: str) -> tuple[Finding, ...]:
    """Return the input size in a file's name, if there is exactly one plausible size."""
    sizes = {(int(height), int(width)) for height, width in _SIZE.findall(name)}
    valid = [InputSize(*sides) for sides in sizes if 0 < min(sides) <= max(sides) <= MAX_SIDE]
    return tuple(Finding("input_size", str(size), WHY) for size in valid if len(sizes) == 1)


def find_decoder(name: str) -> tuple[Finding, ...]:
    """Return the decoder and crop of a heatmap network whose file name says its decoder."""
    words = _words(name)
    if "udp" not in words:
        return (Finding("codec.decoder", "dark", WHY),) if "dark" in words else ()
    decoder = "udp-regress" if "regress" in words else "udp"
    return (Finding("codec.decoder", decoder, WHY), Finding("crop.udp", True, WHY))


def find_keypoints(name: str, count: int) -> tuple[Finding, ...]:
    """Return the keypoint set, of `count` keypoints, of the data set in a file's name.

    Without a data set, return the only built-in set with that count. If the name's data set has
    other keypoints, or several sets have that count, the finding's value is None and its reason
    says why.
    """
    named = {word: _DATA_SETS[word] for word in _words(name) if word in _DATA_SETS}
    for known in named.values():
        if known is not None and len(KEYPOINT_SETS[known]) == count:
            return (Finding("keypoints", known, WHY),)
    other = [word for word, known in named.items() if known is None]
    if other:
        why = f"{WHY}: {other[0]}, whose keypoints are not a built-in set"
        return (Finding("keypoints", None, why),)
    return keypoints_by_count(count)


def _words(name: str) -> list[str]:
    text = _PRETRAINING.sub("", name.lower())
    # Names that contain a hyphen count as words too.
    return [*re.split(r"[-_.+\s]+", text), *re.split(r"[_.+\s]+", text)]
