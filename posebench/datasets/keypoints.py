"""Keypoint sets: names, OKS sigmas, left/right pairs and skeleton.

COCO-17 sigmas are pycocotools' `Params.kpt_oks_sigmas`; CrowdPose-14 sigmas are those of the
CrowdPose API, as in MMPose 1.3.2's `configs/_base_/datasets/crowdpose.py`; the other sets lie in
`keypoint_sets/` and are those of the other files in MMPose's folder. Of 300w, aflw, cofw and wflw
no sigmas are published: each has 0.05, which only decides whose a face is where an image has
several.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from posebench.errors import SpecError, UsageError, nearest


@dataclass(frozen=True)
class KeypointSet:
    """The K keypoints a model predicts or a data set labels, in order.

    `sigmas` are per-keypoint OKS constants (relative to the square root of the area);
    `flip_pairs` are index pairs that trade places when an image is mirrored; `skeleton` is
    index pairs to draw.
    """

    name: str
    keypoints: tuple[str, ...]
    sigmas: tuple[float, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    skeleton: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        count = len(self.keypoints)
        where = f"Keypoint set {self.name!r}"
        if count == 0:
            raise SpecError(f"{where} has no keypoints.")
        if len(set(self.keypoints)) != count:
            raise SpecError(f"{where} names a keypoint twice.")
        if len(self.sigmas) != count:
            raise SpecError(f"{where} has {count} keypoints but {len(self.sigmas)} sigmas.")
        if not all(0 < sigma < 10 for sigma in self.sigmas):
            raise SpecError(f"{where} has a sigma that is not between 0 and 10.")
        for pairs, label in ((self.flip_pairs, "flip_pairs"), (self.skeleton, "skeleton")):
            for left, right in pairs:
                if not (0 <= left < count and 0 <= right < count) or left == right:
                    raise SpecError(f"{where}: {label} entry ({left}, {right}) is not a pair.")
        used = [index for pair in self.flip_pairs for index in pair]
        if len(set(used)) != len(used):
            raise SpecError(f"{where}: a keypoint stands in two flip_pairs.")

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def flip_indices(self) -> tuple[int, ...]:
        """For each keypoint the index of its mirror partner (its own index if it has none)."""
        order = list(range(len(self)))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return tuple(order)


COCO = KeypointSet(
    name="coco",
    keypoints=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072,
        0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089,
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    skeleton=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7),
        (6, 8), (7, 9), (8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
)  # fmt: skip

CROWDPOSE = KeypointSet(
    name="crowdpose",
    keypoints=(
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
        "left_wrist", "right_wrist", "left_hip", "right_hip",
        "left_knee", "right_knee", "left_ankle", "right_ankle", "top_head", "neck",
    ),
    sigmas=(
        0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107,
        0.087, 0.087, 0.089, 0.089, 0.079, 0.079,
    ),
    flip_pairs=((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)),
    skeleton=(
        (10, 8), (8, 6), (11, 9), (9, 7), (6, 7), (0, 6), (1, 7), (0, 1), (0, 2), (1, 3),
        (2, 4), (3, 5), (12, 13), (1, 13), (0, 13),
    ),
)  # fmt: skip


def _stored_set(name: str) -> KeypointSet:
    raw = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    pairs = {
        field: tuple((int(one), int(other)) for one, other in raw[field])
        for field in ("flip_pairs", "skeleton")
    }
    return KeypointSet(raw["name"], tuple(raw["keypoints"]), tuple(raw["sigmas"]), **pairs)


_FOLDER = Path(__file__).parent / "keypoint_sets"
# What data and checkpoints without names are taken for by their number of keypoints. Of two sets
# with the same number, the likelier one comes first.
SETS_BY_NUMBER: dict[str, KeypointSet] = {
    "coco": COCO,
    "crowdpose": CROWDPOSE,
    **{name: _stored_set(name) for name in ("aic", "mpii", "halpe26", "coco-wholebody")},
}
_NAMED_SETS = (
    "exlpose", "jhmdb", "ap10k", "animalpose", "300w", "wflw", "cofw", "aflw",
    "coco-wholebody-face", "hand21",
)  # fmt: skip
KEYPOINT_SETS: dict[str, KeypointSet] = {
    **SETS_BY_NUMBER,
    **{name: _stored_set(name) for name in _NAMED_SETS},
}


def keypoints_to_score(predicted: KeypointSet, labelled: KeypointSet) -> tuple[int, ...] | None:
    """Return the index of each labelled keypoint among the predicted ones.

    Returns None if the two sets are the same: at each place the names are equal, or are synonyms
    that the other set has nowhere. Raises `SpecError` if the labelled keypoints are not among the
    predicted ones.
    """
    names = predicted.keypoints
    if names == labelled.keypoints:
        return None
    if len(predicted) > len(labelled) and set(labelled.keypoints) <= set(names):
        return tuple(names.index(name) for name in labelled.keypoints)
    strangers = [name for name in labelled.keypoints if name not in names]
    if len(predicted) != len(labelled):
        raise SpecError(
            f"The checkpoint predicts {len(names)} keypoints ({predicted.name}), the data set "
            f"labels {len(labelled)} ({labelled.name}), of which {len(strangers)} are not "
            f"predicted, first: {', '.join(strangers[:3])}."
        )
    for index, (one, other) in enumerate(zip(names, labelled.keypoints, strict=True)):
        if one != other and (one in labelled.keypoints or other in names):
            raise SpecError(
                f"Keypoint {index} of the checkpoint is {one} ({predicted.name}), that of the "
                f"data set is {other} ({labelled.name})."
            )
    return None


def load_keypoint_set(name_or_path: str | Path) -> KeypointSet:
    """Return a built-in set by name, or read a set from a YAML file.

    The YAML file has the fields of `KeypointSet`; `flip_pairs` and `skeleton` may name keypoints by
    name or by index. Raises `UsageError` if the name is unknown, and `SpecError` if the file does
    not fit.
    """
    text = str(name_or_path)
    if text in KEYPOINT_SETS:
        return KEYPOINT_SETS[text]
    if not text.endswith((".yaml", ".yml")):
        raise UsageError(
            f"There is no keypoint set {text!r}.",
            hint=nearest(text, KEYPOINT_SETS) + " Or give a .yaml file of your own.",
        )
    from posebench.files.records import record_from_mapping
    from posebench.files.yaml_records import read_yaml

    raw = read_yaml(Path(text))
    names = raw.get("keypoints")
    for field in ("flip_pairs", "skeleton"):
        pairs = raw.get(field)
        if isinstance(pairs, list) and isinstance(names, list):
            raw[field] = [
                [_index_of(end, names, f"{text}: {field}") for end in pair]
                if isinstance(pair, list)
                else pair
                for pair in pairs
            ]
    return record_from_mapping(KeypointSet, raw, where=text)


def keypoint_set_text(keypoints: KeypointSet) -> str:
    """Return a set as the YAML that `load_keypoint_set` reads, with pairs by name."""
    import yaml

    def named(pairs: tuple[tuple[int, int], ...]) -> list[list[str]]:
        return [[keypoints.keypoints[end] for end in pair] for pair in pairs]

    plain = {
        "name": keypoints.name,
        "keypoints": list(keypoints.keypoints),
        "sigmas": list(keypoints.sigmas),
        "flip_pairs": named(keypoints.flip_pairs),
        "skeleton": named(keypoints.skeleton),
    }
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None)
    return text


def _index_of(end: object, names: list[object], where: str) -> object:
    """Return the index of a keypoint given by name; return anything else unchanged."""
    if end in names:
        return names.index(end)
    if isinstance(end, str):
        known = nearest(end, (str(name) for name in names))
        raise SpecError(f"{where}: there is no keypoint {end!r}.", hint=known)
    return end
