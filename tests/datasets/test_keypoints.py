"""Keypoint sets, built-in and from YAML."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from outside_files import NO_PEER, peer_python

from posebench.datasets.keypoints import (
    COCO,
    CROWDPOSE,
    KEYPOINT_SETS,
    KeypointSet,
    keypoints_to_score,
    load_keypoint_set,
)
from posebench.errors import SpecError, UsageError


@pytest.fixture(scope="module")
def peer_datasets() -> Path:
    """Return the folder in which MMPose 1.3.2 describes its data sets, or skip the test."""
    python = peer_python()
    if python is None:
        pytest.skip(NO_PEER)
    (folder,) = python.parents[1].glob("lib/*/site-packages/mmpose/.mim/configs/_base_/datasets")
    return folder


OWN = {
    "name": "hand",
    "keypoints": ["wrist", "left_tip", "right_tip"],
    "sigmas": [0.05, 0.1, 0.1],
    "flip_pairs": [["left_tip", "right_tip"]],
    "skeleton": [["wrist", "left_tip"], [0, 2]],
}


def write(path: Path, **changes: Any) -> Path:
    path.write_text(yaml.safe_dump({**OWN, **changes}))
    return path


def test_coco_sigmas_are_those_of_pycocotools() -> None:
    from pycocotools.cocoeval import Params

    np.testing.assert_allclose(COCO.sigmas, Params("keypoints").kpt_oks_sigmas, rtol=1e-15)


def test_crowdpose_sigmas_are_those_of_coco_where_they_share_a_keypoint() -> None:
    coco = dict(zip(COCO.keypoints, COCO.sigmas, strict=True))
    crowd = dict(zip(CROWDPOSE.keypoints, CROWDPOSE.sigmas, strict=True))
    assert crowd.keys() - coco.keys() == {"top_head", "neck"}
    for name in crowd.keys() & coco.keys():
        assert crowd[name] == coco[name]


@pytest.mark.parametrize("keypoints", KEYPOINT_SETS.values(), ids=KEYPOINT_SETS)
def test_mirroring_swaps_left_and_right_and_nothing_else(keypoints: KeypointSet) -> None:
    swap = {"left": "right", "right": "left", "L": "R", "R": "L"}
    for name, mirror in zip(keypoints.keypoints, keypoints.flip_indices, strict=True):
        if name.startswith(("face-", "kpt-")):  # numbered round the face, without sides
            continue
        side, _, part = name.partition("_")
        expected = f"{swap[side]}_{part}" if side in swap else name
        assert keypoints.keypoints[mirror] == expected


def test_own_set_by_names_or_indices(tmp_path: Path) -> None:
    own = load_keypoint_set(write(tmp_path / "hand.yaml"))
    assert own == KeypointSet(
        "hand", ("wrist", "left_tip", "right_tip"), (0.05, 0.1, 0.1), ((1, 2),), ((0, 1), (0, 2))
    )
    assert own.flip_indices == (0, 2, 1)
    assert load_keypoint_set("coco") is COCO


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"flip_pairs": [["left_tp", "right_tip"]]}, "'left_tp'.*Did you mean 'left_tip'"),
        ({"flip_pairs": [[1, 5]]}, "not a pair"),
        ({"flip_pairs": [[1, 1]]}, "not a pair"),
        ({"flip_pairs": [[1, 2], [0, 1]]}, "two flip_pairs"),
        ({"sigmas": [0.1]}, "3 keypoints but 1 sigmas"),
        ({"sigmas": [0.1, 0.1, float("nan")]}, ".nan is not"),
        ({"sigmas": [0.1, 0.1, 0]}, "sigma"),
        ({"keypoints": ["wrist", "wrist", "left_tip", "right_tip"]}, "twice"),
        ({"keypoints": [], "flip_pairs": [], "skeleton": []}, "no keypoints"),
        ({"keypoints": 17}, "keypoints"),
        ({"keypoints": "wrist"}, "keypoints"),
        ({"flip_pairs": 3}, "flip_pairs"),
        ({"flip_pairs": [3]}, "flip_pairs"),
        ({"sigma": [1]}, "unknown key 'sigma'.*'sigmas'"),
    ],
)
def test_a_set_that_makes_no_sense(tmp_path: Path, changes: Any, said: str) -> None:
    path = write(tmp_path / "hand.yaml", **changes)
    with pytest.raises(SpecError, match=f"(?s)hand.yaml.*{said}"):
        load_keypoint_set(path)


def test_unknown_names_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'crowdpose'"):
        load_keypoint_set("crowdpse")
    with pytest.raises(SpecError, match="no file"):
        load_keypoint_set(tmp_path / "none.yaml")


# MMPose 1.3.2's file of each built-in set.
MMPOSE_NAMES = {
    "coco-wholebody": "coco_wholebody",
    "coco-wholebody-face": "coco_wholebody_face",
    "hand21": "coco_wholebody_hand",
}


@pytest.mark.parametrize("name", KEYPOINT_SETS)
def test_built_in_sets_are_those_of_mmpose(name: str, peer_datasets: Path) -> None:
    own = KEYPOINT_SETS[name]
    path = peer_datasets / f"{MMPOSE_NAMES.get(name, name)}.py"
    info = runpy.run_path(str(path))["dataset_info"]
    rows = [info["keypoint_info"][index] for index in range(len(own))]
    place = {row["name"]: index for index, row in enumerate(rows)}
    assert tuple(place) == own.keypoints
    assert (tuple(info["sigmas"]) or (0.05,) * len(own)) == own.sigmas
    assert own.flip_indices == tuple(place[row["swap"] or row["name"]] for row in rows)
    links = [row["link"] for row in info["skeleton_info"].values()]
    assert own.skeleton == tuple((place[one], place[other]) for one, other in links)


def test_feet_hands_and_faces_come_after_the_body() -> None:
    body = tuple(range(17))
    assert keypoints_to_score(COCO, COCO) is None
    assert keypoints_to_score(KEYPOINT_SETS["halpe26"], COCO) == body
    assert keypoints_to_score(KEYPOINT_SETS["coco-wholebody"], COCO) == body
    limbs = KeypointSet("limbs", ("left_knee", "left_wrist"), (0.1, 0.1), ())
    assert keypoints_to_score(COCO, limbs) == (13, 9)


def test_what_is_not_predicted_cannot_be_scored() -> None:
    with pytest.raises(SpecError, match=r"labels 14 \(crowdpose\), of which 2 are not predicted"):
        keypoints_to_score(COCO, CROWDPOSE)
    with pytest.raises(SpecError, match=r"predicts 17 .* labels 133 .* 116 .* left_big_toe"):
        keypoints_to_score(COCO, KEYPOINT_SETS["coco-wholebody"])
    with pytest.raises(SpecError, match=r"Keypoint 0 .* right_shoulder .* left_shoulder"):
        keypoints_to_score(KEYPOINT_SETS["aic"], CROWDPOSE)
