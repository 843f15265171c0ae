"""The renderer: the same everywhere, and its annotations agree with its pixels."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from posebench.datasets.keypoints import COCO
from posebench.datasets.synthetic import LEVELS, SyntheticScene, render_scene
from posebench.datasets.synthetic.outfit import draw_outfit
from posebench.datasets.synthetic.person import Figure, draw_person
from posebench.datasets.synthetic.poses import Pose
from posebench.datasets.synthetic.raster import Camera, Light
from posebench.datasets.synthetic.scene import RULES, crowd_index
from posebench.datasets.synthetic.skeleton import draw_proportions, place_body
from posebench.datasets.synthetic.vectors import FACING_CAMERA, unit
from posebench.errors import UsageError

# Moves only together with RENDERER_VERSION.
FINGERPRINTS = {
    "standard": "84f4e36d3ec5154e855aed2b8a43530ef4c0d2ec88f526c0143af57ae9f51bca",
    "crowd": "bbe564dab8cde0769c0d550127c7fd71b17e441170bff8671ec65291ddaeeaa7",
}
COUNT = 12
NAMES = COCO.keypoints


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[SyntheticScene]]:
    return {level: [render_scene(3, index, level) for index in range(COUNT)] for level in LEVELS}


def figure(yaw: float, pose: Pose | None = None) -> Figure:
    """Draw one person alone, turned to their left by `yaw` degrees."""
    rng = np.random.default_rng(4)
    body = place_body(
        draw_proportions(rng), pose or Pose(), FACING_CAMERA.yawed(yaw), (0.0, 0.1, 4.0)
    )
    light = Light(unit((0.2, -0.5, -0.8)), 0.5, 0.6)
    drawn = draw_person(Camera(300, 400, 700.0, 200.0), light, body, draw_outfit(rng))
    assert drawn is not None
    return drawn


def digest(scenes: list[SyntheticScene]) -> str:
    total = hashlib.sha256()
    for scene in scenes:
        total.update(str(scene.image.shape).encode())
        total.update(scene.image.tobytes())
        total.update(f"{scene.crowd_index:.4f}".encode())
        for person in scene.persons:
            numbers = [*person.keypoints.ravel(), *person.head_neck.ravel(), *person.bbox_xywh,
                       person.area]  # fmt: skip
            total.update(" ".join(f"{float(number):.2f}" for number in numbers).encode())
    return total.hexdigest()


@pytest.mark.parametrize("level", LEVELS)
def test_fingerprint(scenes: dict[str, list[SyntheticScene]], level: str) -> None:
    assert digest(scenes[level]) == FINGERPRINTS[level]


def test_a_scene_depends_on_seed_index_and_level_only(
    scenes: dict[str, list[SyntheticScene]],
) -> None:
    for index in (5, 2):
        again = render_scene(3, index, "standard")
        assert np.array_equal(again.image, scenes["standard"][index].image)
        for one, other in zip(again.persons, scenes["standard"][index].persons, strict=True):
            assert np.array_equal(one.keypoints, other.keypoints)
    assert digest([render_scene(4, 2, "standard")]) != digest([scenes["standard"][2]])


def test_images_are_bgr_bytes_of_a_sensible_size(
    scenes: dict[str, list[SyntheticScene]],
) -> None:
    for scene in scenes["standard"] + scenes["crowd"]:
        assert scene.image.dtype == np.uint8
        assert scene.image.shape[2] == 3
        assert 320 <= max(scene.image.shape[:2]) <= 640
        assert scene.image.std() > 5


def test_from_the_front_the_left_side_is_on_the_right_of_the_image() -> None:
    points = figure(0.0).points
    back = figure(180.0).points
    for left, right in COCO.flip_pairs:
        assert points[left, 0] > points[right, 0], NAMES[left]
        assert back[left, 0] < back[right, 0], NAMES[left]


def test_a_person_is_upright_and_joints_are_in_order() -> None:
    y = dict(zip(NAMES, figure(0.0).points[:17, 1], strict=True))
    chain = ["left_eye", "nose", "left_shoulder", "left_elbow", "left_wrist"]
    legs = ["left_shoulder", "left_hip", "left_knee", "left_ankle"]
    for names in (chain, legs):
        heights = [y[name] for name in names]
        assert heights == sorted(heights)
    top_of_head, neck = figure(0.0).points[17:, 1]
    assert top_of_head < y["left_eye"] < neck < y["left_shoulder"] + 10


@pytest.mark.parametrize(
    ("yaw", "hidden", "seen"),
    [
        (0.0, [], ["nose", "left_eye", "right_eye", "left_shoulder", "right_hip", "left_ankle"]),
        (180.0, ["nose", "left_eye", "right_eye"], ["left_shoulder", "right_shoulder"]),
        (90.0, ["left_eye", "left_ear", "left_shoulder", "left_hip", "left_elbow"],
         ["nose", "right_shoulder", "right_knee", "right_ankle"]),
        (-90.0, ["right_eye", "right_ear", "right_shoulder", "right_hip", "right_elbow"],
         ["nose", "left_shoulder", "left_knee", "left_ankle"]),
    ],
)  # fmt: skip
def test_the_body_hides_its_far_side(yaw: float, hidden: list[str], seen: list[str]) -> None:
    v = dict(zip(NAMES, figure(yaw).points[:17, 2], strict=True))
    assert {name: v[name] for name in hidden} == dict.fromkeys(hidden, 1.0)
    assert {name: v[name] for name in seen} == dict.fromkeys(seen, 2.0)


@pytest.mark.parametrize("level", LEVELS)
def test_visible_keypoints_lie_in_the_box_and_outside_ones_are_zero(
    scenes: dict[str, list[SyntheticScene]], level: str
) -> None:
    values = set()
    for scene in scenes[level]:
        height, width = scene.image.shape[:2]
        for person in scene.persons:
            x, y, w, h = person.bbox_xywh
            assert x >= 0 and y >= 0 and x + w <= width and y + h <= height
            assert 0 < person.area <= w * h
            for px, py, v in np.concatenate([person.keypoints, person.head_neck]):
                values.add(int(v))
                if v == 0:
                    assert (px, py) == (0, 0)
                else:
                    assert -0.5 <= px < width - 0.5 and -0.5 <= py < height - 0.5
                if v == 2:
                    assert x - 0.5 <= px <= x + w - 0.5 and y - 0.5 <= py <= y + h - 0.5
    assert {1, 2} <= values


def test_visible_keypoints_lie_on_the_persons_pixels() -> None:
    for yaw in range(0, 360, 40):
        drawn = figure(float(yaw))
        for x, y, v in drawn.points:
            if v == 2:
                assert drawn.mask[round(float(y)) - drawn.top, round(float(x)) - drawn.left]


@pytest.mark.parametrize("level", LEVELS)
def test_levels_keep_their_rules(scenes: dict[str, list[SyntheticScene]], level: str) -> None:
    rules = RULES[level]
    for scene in scenes[level]:
        assert rules.persons[0] <= len(scene.persons) <= rules.persons[1]
        assert rules.crowd_index[0] <= scene.crowd_index < rules.crowd_index[1]
        assert scene.crowd_index == crowd_index(scene.persons)
        for person in scene.persons:
            assert (person.keypoints[:, 2] > 0).sum() >= rules.labelled
            assert (person.keypoints[:, 2] == 2).sum() >= rules.visible
            assert person.area > rules.area


def test_crowd_is_more_crowded(scenes: dict[str, list[SyntheticScene]]) -> None:
    means = {level: np.mean([s.crowd_index for s in scenes[level]]) for level in LEVELS}
    assert means["crowd"] > means["standard"] + 0.2


def test_unknown_level_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'crowd'"):
        render_scene(1, 1, "crowded")
