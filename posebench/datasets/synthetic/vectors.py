"""3-vectors as tuples, written out so that no BLAS or SIMD reduction can round differently.

Camera axes: x to the right, y down, z away from the camera; metres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from posebench.datasets.synthetic.chance import cos_deg, sin_deg

Vec = tuple[float, float, float]


def add(a: Vec, b: Vec) -> Vec:
    """Return a + b."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def along(start: Vec, direction: Vec, length: float) -> Vec:
    """Return start + length * direction."""
    return (
        start[0] + length * direction[0],
        start[1] + length * direction[1],
        start[2] + length * direction[2],
    )


def mix(a: Vec, b: Vec, t: float) -> Vec:
    """Return the point at fraction t of the way from a to b."""
    return (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), a[2] + t * (b[2] - a[2]))


def dot(a: Vec, b: Vec) -> float:
    """Return the inner product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vec, b: Vec) -> Vec:
    """Return the cross product."""
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def unit(a: Vec) -> Vec:
    """Return a scaled to length one."""
    length = math.sqrt(dot(a, a))
    return (a[0] / length, a[1] / length, a[2] / length)


def turned(a: Vec, b: Vec, angle: float) -> Vec:
    """Return unit vector a turned towards the perpendicular unit vector b by degrees."""
    c, s = cos_deg(angle), sin_deg(angle)
    return (c * a[0] + s * b[0], c * a[1] + s * b[1], c * a[2] + s * b[2])


@dataclass(frozen=True)
class Frame:
    """Orthonormal body axes in camera coordinates: the person's left, up and forward."""

    left: Vec
    up: Vec
    forward: Vec

    def yawed(self, angle: float) -> Frame:
        """Turn to the person's left by degrees."""
        return Frame(
            turned(self.left, self.forward, -angle),
            self.up,
            turned(self.forward, self.left, angle),
        )

    def pitched(self, angle: float) -> Frame:
        """Bow forward by degrees."""
        return Frame(
            self.left,
            turned(self.up, self.forward, angle),
            turned(self.forward, self.up, -angle),
        )

    def rolled(self, angle: float) -> Frame:
        """Lean to the person's left by degrees."""
        return Frame(
            turned(self.left, self.up, -angle),
            turned(self.up, self.left, angle),
            self.forward,
        )

    def offset(self, left: float, up: float, forward: float) -> Vec:
        """Return the camera-space vector of a displacement in this frame, in metres."""
        return along(
            along(along((0.0, 0.0, 0.0), self.left, left), self.up, up), self.forward, forward
        )


FACING_CAMERA = Frame(left=(1.0, 0.0, 0.0), up=(0.0, -1.0, 0.0), forward=(0.0, 0.0, -1.0))
