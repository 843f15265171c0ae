"""Anatomy: no limb changes its length and no knee or elbow bends backwards."""

from __future__ import annotations

import numpy as np
import pytest

from posebench.datasets.synthetic.poses import draw_pose
from posebench.datasets.synthetic.skeleton import Body, draw_proportions, place_body
from posebench.datasets.synthetic.vectors import FACING_CAMERA


def bodies(level: str) -> list[Body]:
    rng = np.random.default_rng(8)
    return [
        place_body(draw_proportions(rng), draw_pose(rng, level), FACING_CAMERA, (0.0, 0.0, 4.0))
        for _ in range(150)
    ]


@pytest.mark.parametrize("level", ["standard", "crowd"])
def test_segments_keep_their_lengths(level: str) -> None:
    for body in bodies(level):
        sizes = body.sizes
        for limb, upper, lower in (
            (body.left_arm, sizes.upper_arm, sizes.forearm),
            (body.right_arm, sizes.upper_arm, sizes.forearm),
            (body.left_leg, sizes.thigh, sizes.shin),
            (body.right_leg, sizes.thigh, sizes.shin),
        ):
            assert np.linalg.norm(np.subtract(limb.middle, limb.top)) == pytest.approx(upper, 1e-4)
            assert np.linalg.norm(np.subtract(limb.end, limb.middle)) == pytest.approx(lower, 1e-4)


@pytest.mark.parametrize("level", ["standard", "crowd"])
def test_knees_bend_backwards_only(level: str) -> None:
    for body in bodies(level):
        left = np.array(body.pelvis.left)
        for leg in (body.left_leg, body.right_leg):
            thigh, shin = np.subtract(leg.middle, leg.top), np.subtract(leg.end, leg.middle)
            # Down, then backwards, is a positive turn about the pelvis' left axis.
            assert np.dot(np.cross(thigh, shin), left) > -1e-6
