"""One person: body and outfit become parts; parts become pixels, keypoints and visibility."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.synthetic.outfit import (
    BOTTOM,
    EXTRA,
    FACE,
    HAIR,
    HAT,
    SHOES,
    SKIN,
    TOP,
    Outfit,
)
from posebench.datasets.synthetic.raster import (
    Camera,
    Capsule,
    Ellipsoid,
    Light,
    Part,
    PartBuffer,
    extent,
)
from posebench.datasets.synthetic.skeleton import Arm, Body, hand_frame
from posebench.datasets.synthetic.vectors import Vec, add, along, mix, unit

TORSO, HEAD, NECK, SKIRT, BAG = range(1, 6)
LEFT_UPPER, LEFT_FORE, LEFT_HAND, LEFT_THIGH, LEFT_SHIN, LEFT_FOOT = range(6, 12)
RIGHT_UPPER, RIGHT_FORE, RIGHT_HAND, RIGHT_THIGH, RIGHT_SHIN, RIGHT_FOOT = range(12, 18)

# For each COCO keypoint: the parts it may be seen on, and the distance, in metres, that the joint
# may lie behind the surface and still count as seen.
_SEEN_ON: tuple[tuple[tuple[int, ...], float], ...] = (
    ((HEAD,), 0.03), ((HEAD,), 0.025), ((HEAD,), 0.025), ((HEAD,), 0.035), ((HEAD,), 0.035),
    ((TORSO, LEFT_UPPER, NECK), 0.13), ((TORSO, RIGHT_UPPER, NECK), 0.13),
    ((LEFT_UPPER, LEFT_FORE), 0.10), ((RIGHT_UPPER, RIGHT_FORE), 0.10),
    ((LEFT_FORE, LEFT_HAND), 0.08), ((RIGHT_FORE, RIGHT_HAND), 0.08),
    ((TORSO, LEFT_THIGH, SKIRT), 0.19), ((TORSO, RIGHT_THIGH, SKIRT), 0.19),
    ((LEFT_THIGH, LEFT_SHIN, SKIRT), 0.14), ((RIGHT_THIGH, RIGHT_SHIN, SKIRT), 0.14),
    ((LEFT_SHIN, LEFT_FOOT), 0.10), ((RIGHT_SHIN, RIGHT_FOOT), 0.10),
    ((HEAD,), 0.20), ((TORSO, NECK, HEAD), 0.20),
)  # fmt: skip
SIDES: Mapping[float, tuple[int, int, int, int, int, int]] = MappingProxyType(
    {
        1.0: (LEFT_UPPER, LEFT_FORE, LEFT_HAND, LEFT_THIGH, LEFT_SHIN, LEFT_FOOT),
        -1.0: (RIGHT_UPPER, RIGHT_FORE, RIGHT_HAND, RIGHT_THIGH, RIGHT_SHIN, RIGHT_FOOT),
    }
)


@dataclass(frozen=True)
class Figure:
    """One person drawn alone; arrays cover the window at `left, top` of the image.

    `points` is (19, 3): COCO-17, top of the head, neck; x, y in image pixels, and v, which accounts
    only for the person's own parts and the image border.
    """

    left: int
    top: int
    colour: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    points: NDArray[np.float32]


def head_half(body: Body) -> Vec:
    """Return the head's half sizes: left, up, forward, in metres."""
    size = body.sizes.head
    return (0.68 * size, size, 0.82 * size)


def joints(body: Body) -> list[Vec]:
    """Return COCO-17, top of the head and neck in camera space."""
    half, frame = head_half(body), body.head

    def on_head(left: float, up: float, forward: float) -> Vec:
        shift = frame.offset(left * half[0], up * half[1], forward * half[2])
        return add(body.skull, shift)

    limbs = (body.left_arm, body.right_arm, body.left_leg, body.right_leg)
    pairs = [point for i in (0, 2) for get in ("top", "middle", "end")
             for point in (getattr(limbs[i], get), getattr(limbs[i + 1], get))]  # fmt: skip
    face = [on_head(0.0, -0.12, 1.16), on_head(0.38, 0.09, 0.92), on_head(-0.38, 0.09, 0.92),
            on_head(1.0, -0.03, -0.08), on_head(-1.0, -0.03, -0.08)]  # fmt: skip
    return [*face, *pairs, on_head(0.0, 1.0, 0.0), along(body.collar, body.chest.up, 0.02)]


def _sleeved(arm: Arm, groups: tuple[int, int], outfit: Outfit, g: float) -> list[Part]:
    """Return an arm's skin and, over it, the sleeve."""
    parts: list[Part] = [
        Capsule(arm.top, arm.middle, 0.050 * g, 0.039 * g, groups[0], SKIN),
        Capsule(arm.middle, mix(arm.middle, arm.end, 0.35), 0.039 * g, 0.041 * g, groups[1], SKIN),
        Capsule(mix(arm.middle, arm.end, 0.35), arm.end, 0.041 * g, 0.027 * g, groups[1], SKIN),
    ]
    if outfit.sleeve > 0:
        loose, upto = outfit.loose, min(1.0, outfit.sleeve * 2)
        cuff = mix(arm.top, arm.middle, upto)
        parts.append(Capsule(arm.top, cuff, 0.054 * g + loose, (0.056 - 0.013 * upto) * g + loose,
                             groups[0], TOP, flat=upto < 1))  # fmt: skip
        if outfit.sleeve > 0.5:
            below = 2 * outfit.sleeve - 1
            cuff = mix(arm.middle, arm.end, below)
            parts.append(Capsule(arm.middle, cuff, 0.043 * g + loose,
                                 (0.046 - 0.014 * below) * g + 0.8 * loose, groups[1], TOP,
                                 flat=True))  # fmt: skip
    return parts


def _arm_parts(body: Body, side: float, outfit: Outfit) -> list[Part]:
    arm = body.left_arm if side > 0 else body.right_arm
    upper, fore, hand, *_ = SIDES[side]
    g, frame = body.sizes.girth, hand_frame(arm)
    length = 0.36 * body.sizes.forearm
    palm = along(arm.end, frame.up, -0.45 * length)
    thumb = along(along(arm.end, frame.up, -0.5 * length), frame.left, -side * 0.035 * g)
    return [
        *_sleeved(arm, (upper, fore), outfit, g),
        Ellipsoid(palm, frame, (0.038 * g, 0.6 * length, 0.030 * g), hand, SKIN),
        Capsule(palm, arm.tip, 0.026 * g, 0.016 * g, hand, SKIN),
        Capsule(arm.end, thumb, 0.018 * g, 0.012 * g, hand, SKIN),
    ]


def _leg_parts(body: Body, side: float, outfit: Outfit) -> list[Part]:
    leg = body.left_leg if side > 0 else body.right_leg
    *_, thigh, shin, foot = SIDES[side]
    g, loose = body.sizes.girth, outfit.loose
    calf = mix(leg.middle, leg.end, 0.3)
    heel = along(along(leg.end, _direction(leg.tip, leg.end), 0.045 * g),
                 _direction(leg.middle, leg.end), 0.04 * g)  # fmt: skip
    parts: list[Part] = [
        Capsule(leg.top, leg.middle, 0.088 * g, 0.056 * g, thigh, SKIN),
        Capsule(leg.middle, calf, 0.055 * g, 0.057 * g, shin, SKIN),
        Capsule(calf, leg.end, 0.057 * g, 0.037 * g, shin, SKIN),
        Capsule(heel, leg.tip, 0.044 * g, 0.033 * g, foot, SHOES),
        Capsule(leg.end, mix(leg.end, leg.tip, 0.5), 0.042 * g, 0.040 * g, foot, SHOES),
    ]
    if outfit.leg > 0:
        upto = min(1.0, outfit.leg * 2)
        cuff = mix(leg.top, leg.middle, upto)
        parts.append(Capsule(leg.top, cuff, 0.093 * g + 0.5 * loose,
                             (0.096 - 0.035 * upto) * g + loose, thigh, BOTTOM,
                             flat=upto < 1))  # fmt: skip
        if outfit.leg > 0.5:
            below = 2 * outfit.leg - 1
            cuff = mix(leg.middle, leg.end, below)
            parts.append(Capsule(leg.middle, cuff, 0.061 * g + loose,
                                 (0.064 - 0.02 * below) * g + loose, shin, BOTTOM,
                                 flat=True))  # fmt: skip
    return parts


def _direction(start: Vec, end: Vec) -> Vec:
    """Return the unit vector from start to end."""
    return unit((end[0] - start[0], end[1] - start[1], end[2] - start[2]))


def _torso_parts(body: Body, outfit: Outfit) -> list[Part]:
    sizes, g = body.sizes, body.sizes.girth
    loose, chest, pelvis = outfit.loose, body.chest, body.pelvis
    parts: list[Part] = []
    for side, ribs, waist in ((1.0, 0.094, 0.086), (-1.0, 0.094, 0.086), (0.0, 0.108, 0.096)):
        high = add(body.collar, chest.offset(side * 0.50 * sizes.shoulder, -0.115 * g, 0.0))
        middle = add(body.waist, chest.offset(side * 0.52 * sizes.hip * sizes.belly, 0.02,
                                              0.01 * sizes.belly))  # fmt: skip
        low = add(body.hips, pelvis.offset(side * 0.80 * sizes.hip, outfit.hem + 0.03, 0.0))
        girth = g * (sizes.belly if side == 0 else 1.0)
        narrow = waist * girth + loose
        parts.append(Capsule(high, middle, ribs * g + 0.5 * loose, narrow, TORSO, TOP))
        parts.append(Capsule(middle, low, narrow, 0.094 * g + loose, TORSO, TOP, flat=True))
        seat = add(body.hips, pelvis.offset(side * 0.75 * sizes.hip, 0.0, -0.015))
        parts.append(Capsule(low, seat, 0.09 * g, 0.092 * g + 0.5 * loose, TORSO, BOTTOM))
    shoulders = [mix(body.left_arm.top, body.right_arm.top, t) for t in (0.04, 0.96)]
    collar = add(body.collar, chest.offset(0.0, -0.01, 0.0))
    for shoulder in shoulders:
        parts.append(Capsule(shoulder, collar, 0.055 * g + 0.5 * loose, 0.058 * g + 0.5 * loose,
                             TORSO, TOP))  # fmt: skip
    parts.append(Capsule(collar, add(body.skull, body.head.offset(0.0, -0.4 * sizes.head, 0.0)),
                         0.053 * g, 0.050 * g, NECK, SKIN))  # fmt: skip
    if outfit.skirt > 0:
        knees = mix(body.left_leg.middle, body.right_leg.middle, 0.5)
        hem = mix(body.hips, knees, outfit.skirt)
        top = along(body.hips, pelvis.up, 0.08 * g)
        parts.append(Capsule(top, hem, 0.15 * g, (0.17 + 0.06 * outfit.skirt) * g, SKIRT, BOTTOM,
                             flat=True))  # fmt: skip
    if outfit.bag:
        centre = add(mix(body.waist, body.collar, 0.55), chest.offset(0.0, 0.0, -0.16 * g))
        parts.append(Ellipsoid(centre, chest, (0.15 * g, 0.21 * g, 0.09 * g), BAG, EXTRA))
    return parts


def _head_parts(body: Body, outfit: Outfit) -> list[Part]:
    half, frame, size = head_half(body), body.head, body.sizes.head

    def at(left: float, up: float, forward: float) -> Vec:
        shift = frame.offset(left * half[0], up * half[1], forward * half[2])
        return add(body.skull, shift)

    parts: list[Part] = [
        Ellipsoid(body.skull, frame, half, HEAD, FACE, outfit.hair_cap, HAIR, wrapped=True),
        Capsule(at(0, 0.08, 0.92), at(0, -0.14, 1.05), 0.09 * size, 0.14 * size, HEAD, SKIN),
    ]
    for side in (1.0, -1.0):
        parts.append(Ellipsoid(at(side * 0.97, -0.03, -0.08), frame,
                               (0.08 * size, 0.22 * size, 0.15 * size), HEAD, SKIN))  # fmt: skip
    if outfit.hair_cap[1] < 1:
        centre = along(along(body.skull, frame.up, 0.22 * size), frame.forward, -0.12 * size)
        bulk = (half[0] * 1.05, half[1] * 0.85, half[2] * 0.95)
        parts.append(Ellipsoid(centre, frame, bulk, HEAD, HAIR))
        if outfit.long_hair > 0:
            end = along(at(0, -0.3, -0.85), body.chest.up, -0.30 * outfit.long_hair)
            end = along(end, body.chest.forward, -0.03)
            parts.append(Capsule(at(0, 0.2, -0.42), end, 0.72 * size, 0.55 * size, HEAD, HAIR))
    if outfit.hat:
        crown = (half[0] * 1.12, half[1] * 0.62, half[2] * 1.1)
        brim = (half[0] * 0.85, 0.05 * size, half[2] * 0.55)
        parts.append(Ellipsoid(at(0, 0.5, -0.05), frame, crown, HEAD, HAT))
        parts.append(Ellipsoid(at(0, 0.52, 0.95), frame, brim, HEAD, HAT))
    return parts


def body_parts(body: Body, outfit: Outfit) -> list[Part]:
    """Return all parts of a person."""
    return [
        *_torso_parts(body, outfit),
        *_head_parts(body, outfit),
        *(part for side in (1.0, -1.0) for part in _arm_parts(body, side, outfit)),
        *(part for side in (1.0, -1.0) for part in _leg_parts(body, side, outfit)),
    ]


def _seen(buffer: PartBuffer, body: Body) -> NDArray[np.float32]:
    """Return (19, 3) points: v is 0 outside the image, 1 behind a part of the body, else 2."""
    camera = buffer.camera
    points = np.zeros((19, 3), np.float32)
    for index, joint in enumerate(joints(body)):
        x, y, _ = camera.project(joint)
        column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
        if joint[2] < 0.3 or not (0 <= column < camera.width and 0 <= row < camera.height):
            continue
        row, column = row - buffer.top, column - buffer.left
        groups, tolerance = _SEEN_ON[index]
        height, width = buffer.group.shape
        inside = 0 <= row < height and 0 <= column < width
        seen = (
            inside
            and int(buffer.group[row, column]) in groups
            and joint[2] - float(buffer.depth[row, column]) < tolerance
        )
        points[index] = (x, y, 2.0 if seen else 1.0)
    return points


def draw_person(camera: Camera, light: Light, body: Body, outfit: Outfit) -> Figure | None:
    """Render one person, or return None if none of their pixels is inside the image."""
    parts = body_parts(body, outfit)
    x0, y0, x1, y1 = extent(camera, parts)
    left, top = max(0, int(x0) - 2), max(0, int(y0) - 2)
    right, bottom = min(camera.width, int(x1) + 3), min(camera.height, int(y1) + 3)
    if left >= right or top >= bottom:
        return None
    buffer = PartBuffer(camera, light, (left, top, right - left, bottom - top))
    for part in parts:
        buffer.draw(part)
    colour = buffer.colours(outfit.textures)
    return Figure(left, top, colour, buffer.group > 0, _seen(buffer, body))
