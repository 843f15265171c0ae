"""From joint angles to joints in camera space: proportions and forward kinematics."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from posebench.datasets.synthetic.chance import bell, between, happens
from posebench.datasets.synthetic.poses import Limb, Pose
from posebench.datasets.synthetic.vectors import Frame, Vec, add, along, cross, turned, unit


@dataclass(frozen=True)
class Proportions:
    """Segment lengths and half-widths in metres, and girth factors for limbs and trunk."""

    shin: float
    thigh: float
    trunk: float
    neck: float
    upper_arm: float
    forearm: float
    shoulder: float
    hip: float
    head: float
    girth: float
    belly: float


def draw_proportions(rng: np.random.Generator) -> Proportions:
    """Draw a stature between a child and a tall adult, a build and slight variation."""
    child = happens(rng, 0.14)
    size = between(rng, 0.62, 0.85) if child else bell(rng, 0.98, 0.045)
    build = bell(rng, 1.0, 0.09)
    broad = bell(rng, 1.0, 0.06)
    return Proportions(
        shin=size * bell(rng, 0.415, 0.012),
        thigh=size * bell(rng, 0.425, 0.012),
        trunk=size * bell(rng, 0.475, 0.014),
        neck=size * bell(rng, 0.095, 0.008),
        upper_arm=size * bell(rng, 0.285, 0.010),
        forearm=size * bell(rng, 0.255, 0.009),
        shoulder=size * 0.178 * broad,
        hip=size * 0.092 * bell(rng, 1.0, 0.06),
        head=0.118 * (0.94 if child else bell(rng, 0.99, 0.03)),
        girth=size * build,
        belly=bell(rng, 1.0, 0.1) if build < 1.06 else bell(rng, 1.2, 0.1),
    )


@dataclass(frozen=True)
class Arm:
    """Shoulder, elbow, wrist and the hand's direction."""

    top: Vec
    middle: Vec
    end: Vec
    tip: Vec


@dataclass(frozen=True)
class Body:
    """Joints and frames of one person in camera space; legs end at the ankle, tips at the toes."""

    sizes: Proportions
    pelvis: Frame
    chest: Frame
    head: Frame
    hips: Vec
    waist: Vec
    collar: Vec
    skull: Vec
    left_arm: Arm
    right_arm: Arm
    left_leg: Arm
    right_leg: Arm

    def lowest(self) -> float:
        """Return the largest y (downwards) of feet and hips, in metres."""
        feet = [p[1] for leg in (self.left_leg, self.right_leg) for p in (leg.end, leg.tip)]
        return max([*feet, self.hips[1]])


def _segments(frame: Frame, limb: Limb, side: float, knee: bool) -> tuple[Vec, Vec, Vec]:
    """Return the upper and lower segment's directions and the lower one's forward normal.

    `side` is +1 for the person's left and -1 for the right.
    """
    down: Vec = (-frame.up[0], -frame.up[1], -frame.up[2])
    sagittal = turned(down, frame.forward, limb.flexion)
    ahead = turned(frame.forward, frame.up, limb.flexion)
    out: Vec = (side * frame.left[0], side * frame.left[1], side * frame.left[2])
    upper = turned(sagittal, out, limb.abduction)
    inward = turned(out, sagittal, -limb.abduction)
    inward = (-inward[0], -inward[1], -inward[2])
    bend_towards = turned(ahead, inward, limb.twist)
    angle = -limb.bend if knee else limb.bend
    return upper, turned(upper, bend_towards, angle), turned(bend_towards, upper, -angle)


def _limb(top: Vec, frame: Frame, limb: Limb, side: float, lengths: tuple[float, float]) -> Arm:
    """Place an arm: shoulder, elbow, wrist, fingertips."""
    upper, lower, _ = _segments(frame, limb, side, knee=False)
    middle = along(top, upper, lengths[0])
    end = along(middle, lower, lengths[1])
    return Arm(top, middle, end, along(end, lower, 0.38 * lengths[1]))


def _leg(top: Vec, frame: Frame, limb: Limb, side: float, lengths: tuple[float, float]) -> Arm:
    """Place a leg: hip, knee, ankle, toes."""
    upper, lower, ahead = _segments(frame, limb, side, knee=True)
    middle = along(top, upper, lengths[0])
    end = along(middle, lower, lengths[1])
    out: Vec = (side * frame.left[0], side * frame.left[1], side * frame.left[2])
    # A sole lies flat on the floor as far as an ankle can turn.
    flat = math.degrees(math.atan2(-ahead[1], max(lower[1], 1e-6)))
    toes = turned(ahead, lower, min(45.0, max(-18.0, flat)))
    toes = unit(along(toes, out, 0.2))
    return Arm(top, middle, end, along(end, toes, 0.44 * lengths[1]))


def place_body(sizes: Proportions, pose: Pose, root: Frame, hips: Vec) -> Body:
    """Return the joints of `pose` with the pelvis centre at `hips` (metres, camera space)."""
    pelvis = root.pitched(pose.bow).rolled(pose.lean)
    lumbar = pelvis.pitched(0.5 * pose.spine).rolled(0.5 * pose.side).yawed(0.5 * pose.twist)
    chest = pelvis.pitched(pose.spine).rolled(pose.side).yawed(pose.twist)
    head = chest.pitched(pose.nod - 0.4 * (pose.spine + pose.bow)).yawed(pose.turn)
    waist = along(hips, lumbar.up, 0.40 * sizes.trunk)
    collar = along(waist, chest.up, 0.60 * sizes.trunk)
    throat = along(collar, unit(add(chest.up, head.up)), sizes.neck)
    skull = add(throat, head.offset(0.0, 0.62 * sizes.head, 0.22 * sizes.head))
    shoulder_drop = -0.03 * sizes.trunk

    def shoulder(side: float, lift: float) -> Vec:
        return add(collar, chest.offset(side * sizes.shoulder, shoulder_drop + lift, 0.0))

    def hip(side: float) -> Vec:
        return add(hips, pelvis.offset(side * sizes.hip, 0.0, 0.0))

    arm, leg = (sizes.upper_arm, sizes.forearm), (sizes.thigh, sizes.shin)
    # A raised arm lifts its shoulder.
    lifts = [0.05 * sizes.trunk * max(0.0, (limb.flexion - 90) / 90)
             for limb in (pose.left_arm, pose.right_arm)]  # fmt: skip
    return Body(
        sizes=sizes, pelvis=pelvis, chest=chest, head=head,
        hips=hips, waist=waist, collar=collar, skull=skull,
        left_arm=_limb(shoulder(1.0, lifts[0]), chest, pose.left_arm, 1.0, arm),
        right_arm=_limb(shoulder(-1.0, lifts[1]), chest, pose.right_arm, -1.0, arm),
        left_leg=_leg(hip(1.0), pelvis, pose.left_leg, 1.0, leg),
        right_leg=_leg(hip(-1.0), pelvis, pose.right_leg, -1.0, leg),
    )  # fmt: skip


def hand_frame(arm: Arm) -> Frame:
    """Return axes for a hand: up along the forearm, forward across it."""
    axis = unit((arm.end[0] - arm.tip[0], arm.end[1] - arm.tip[1], arm.end[2] - arm.tip[2]))
    helper: Vec = (0.0, 0.0, 1.0) if abs(axis[2]) < 0.9 else (1.0, 0.0, 0.0)
    left = unit(cross(axis, helper))
    return Frame(left=left, up=axis, forward=cross(left, axis))
