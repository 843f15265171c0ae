"""A small z-buffer for tapered capsules and ellipsoids under a perspective camera.

Only elementwise float32 +, -, *, / and sqrt touch a pixel; all are correctly rounded, so the
buffers are the same on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.synthetic.vectors import Frame, Vec, dot

Floats: TypeAlias = NDArray[np.float32]
TEXEL_COUNT = 64
_TEXELS_PER_METRE = 150.0
_FAR = 1e6


@dataclass(frozen=True)
class Camera:
    """Pinhole with square pixels; `focal` and the principal point are in pixels."""

    width: int
    height: int
    focal: float
    centre_y: float

    def project(self, point: Vec) -> tuple[float, float, float]:
        """Return x, y in pixels (integers are pixel centres) and pixels per metre there."""
        scale = self.focal / max(point[2], 0.25)
        return (0.5 * self.width + point[0] * scale, self.centre_y + point[1] * scale, scale)


@dataclass(frozen=True)
class Light:
    """Direction towards the light in camera space, ambient and diffuse strength (1.0 = as is)."""

    towards: Vec
    ambient: float
    diffuse: float


@dataclass(frozen=True)
class Capsule:
    """A tapered round stick from a to b; radii in metres; a `flat` one ends at b sharply."""

    a: Vec
    b: Vec
    radius_a: float
    radius_b: float
    group: int
    material: int
    flat: bool = False


@dataclass(frozen=True)
class Ellipsoid:
    """A ball stretched along a frame's axes; half sizes left, up, forward in metres.

    With `cap` (tilt, level), points where up - tilt * forward > level take `cap_material`: hair.
    A `wrapped` one shows its whole texture over its front half: a face.
    """

    centre: Vec
    frame: Frame
    half: Vec
    group: int
    material: int
    cap: tuple[float, float] | None = None
    cap_material: int = 0
    wrapped: bool = False


Part: TypeAlias = Capsule | Ellipsoid


class PartBuffer:
    """Depth, part, material, shade and texture coordinates of one person's pixels.

    The buffer covers the window `left, top, width, height` of the image; group 0 is empty.
    """

    def __init__(self, camera: Camera, light: Light, window: tuple[int, int, int, int]) -> None:
        self.camera, self.light = camera, light
        self.left, self.top, width, height = window
        shape = (height, width)
        self.depth: Floats = np.full(shape, _FAR, np.float32)
        self.group = np.zeros(shape, np.uint8)
        self.material = np.zeros(shape, np.uint8)
        self.shade = np.zeros(shape, np.uint8)
        self.texel = np.zeros(shape, np.uint16)
        self._xs: Floats = np.arange(self.left, self.left + width, dtype=np.float32)[None, :]
        self._ys: Floats = np.arange(self.top, self.top + height, dtype=np.float32)[:, None]

    def draw(self, part: Part) -> None:
        """Rasterise one part behind or in front of the parts drawn before."""
        if isinstance(part, Capsule):
            self._capsule(part)
        else:
            self._ellipsoid(part)

    def colours(self, textures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the (H, W, 3) shaded BGR image; `textures` is (materials, 64 * 64, 3)."""
        where = np.flatnonzero(self.group)
        texels = (self.material.ravel()[where].astype(np.int32) << 12) | self.texel.ravel()[where]
        lit = textures.reshape(-1, 3)[texels].astype(np.uint16)
        lit *= self.shade.ravel()[where][:, None]
        lit >>= 7
        image = np.zeros((self.group.size, 3), np.uint8)
        image[where] = np.minimum(lit, 255)
        return image.reshape(*self.group.shape, 3)

    def _clip(self, xs: tuple[float, float], ys: tuple[float, float]) -> tuple[slice, slice] | None:
        """Return row and column slices of an image-space range, or None if it is outside."""
        height, width = self.depth.shape
        x0, x1 = max(0, math.floor(xs[0]) - self.left), min(width, math.ceil(xs[1]) - self.left + 1)
        y0, y1 = max(0, math.floor(ys[0]) - self.top), min(height, math.ceil(ys[1]) - self.top + 1)
        return (slice(y0, y1), slice(x0, x1)) if x0 < x1 and y0 < y1 else None

    def _capsule(self, part: Capsule) -> None:
        ax, ay, a_scale = self.camera.project(part.a)
        bx, by, b_scale = self.camera.project(part.b)
        ra, rb = part.radius_a * a_scale, part.radius_b * b_scale
        where = self._clip((min(ax - ra, bx - rb), max(ax + ra, bx + rb)),
                           (min(ay - ra, by - rb), max(ay + ra, by + rb)))  # fmt: skip
        if where is None:
            return
        length = math.sqrt((bx - ax) * (bx - ax) + (by - ay) * (by - ay))
        ux, uy = ((bx - ax) / length, (by - ay) / length) if length > 1e-3 else (0.0, 1.0)
        length = max(length, 0.5)
        dx, dy = self._xs[:, where[1]] - ax, self._ys[where[0]] - ay
        s = dx * ux + dy * uy
        d = dy * ux - dx * uy
        t: Floats = np.clip(s * (1.0 / length), 0.0, 1.0, dtype=np.float32)
        inverse = 1.0 / (t * (rb - ra) + ra)
        across = d * inverse
        beyond = (s - t * length) * inverse
        height2 = 1.0 - across * across - beyond * beyond
        height: Floats = np.sqrt(np.maximum(height2, 0.0), dtype=np.float32)
        z = t * (part.b[2] - part.a[2]) + part.a[2]
        z -= (t * (part.radius_b - part.radius_a) + part.radius_a) * height
        inside = (height2 > 0) & (z < self.depth[where])
        if part.flat:
            inside &= s <= length
        lx, ly, lz = self.light.towards
        glow = beyond * (lx * ux + ly * uy) + across * (ly * ux - lx * uy) - height * lz
        texels = _TEXELS_PER_METRE / a_scale
        rows = (s * texels + 1024.0).astype(np.uint16)
        columns = (d * texels + 1024.0).astype(np.uint16)
        self._store(where, inside, z, glow)
        np.copyto(self.texel[where], ((rows & 63) << 6) | (columns & 63), where=inside)
        np.copyto(self.group[where], np.uint8(part.group), where=inside)
        np.copyto(self.material[where], np.uint8(part.material), where=inside)

    def _ellipsoid(self, part: Ellipsoid) -> None:
        cx, cy, scale = self.camera.project(part.centre)
        reach = max(part.half) * scale
        where = self._clip((cx - reach, cx + reach), (cy - reach, cy + reach))
        if where is None:
            return
        axes = (part.frame.left, part.frame.up, part.frame.forward)
        dx, dy = (self._xs[:, where[1]] - cx) / scale, (self._ys[where[0]] - cy) / scale
        k = [axis[2] / half for axis, half in zip(axes, part.half, strict=True)]
        flat = [dx * (axis[0] / half) + dy * (axis[1] / half)
                for axis, half in zip(axes, part.half, strict=True)]  # fmt: skip
        a = dot((k[0], k[1], k[2]), (k[0], k[1], k[2]))
        b = flat[0] * k[0] + flat[1] * k[1] + flat[2] * k[2]
        c = flat[0] * flat[0] + flat[1] * flat[1] + flat[2] * flat[2] - 1.0
        reach2 = b * b - c * a
        z = (np.sqrt(np.maximum(reach2, 0.0)) + b) * (-1.0 / a)
        left, up, forward = (flat[i] + z * k[i] for i in range(3))
        z += part.centre[2]
        inside = (reach2 > 0) & (z < self.depth[where])
        light = [dot(self.light.towards, axis) for axis in axes]
        self._store(where, inside, z, left * light[0] + up * light[1] + forward * light[2])
        if part.wrapped:
            rows, columns = (1.0 - up) * 31.5, (left + 1.0) * 31.5
        else:
            texels = _TEXELS_PER_METRE
            rows = up * (-texels * part.half[1]) + 1024.0
            columns = left * (texels * part.half[0]) + 1024.0
        texel = ((np.maximum(rows, 0).astype(np.uint16) & 63) << 6) | (
            np.maximum(columns, 0).astype(np.uint16) & 63
        )
        np.copyto(self.texel[where], texel, where=inside)
        np.copyto(self.group[where], np.uint8(part.group), where=inside)
        np.copyto(self.material[where], np.uint8(part.material), where=inside)
        if part.cap is not None:
            hair = up - forward * part.cap[0] > part.cap[1]
            np.copyto(self.material[where], np.uint8(part.cap_material), where=inside & hair)

    def _store(
        self, where: tuple[slice, slice], inside: NDArray[np.bool_], z: Floats, glow: Floats
    ) -> None:
        """Write depth and shade (128 = the unlit colour unchanged)."""
        light = self.light
        shade = np.maximum(glow, -0.25) * (128.0 * light.diffuse) + 128.0 * light.ambient
        np.copyto(self.depth[where], z, where=inside)
        np.copyto(self.shade[where], np.minimum(shade, 255.0).astype(np.uint8), where=inside)


def extent(camera: Camera, parts: list[Part]) -> tuple[float, float, float, float]:
    """Return x0, y0, x1, y1 in pixels of a box that holds all parts, before clipping."""
    boxes = []
    for part in parts:
        ends = (
            [(part.a, part.radius_a), (part.b, part.radius_b)]
            if isinstance(part, Capsule)
            else [(part.centre, max(part.half))]
        )
        for point, radius in ends:
            x, y, scale = camera.project(point)
            boxes.append((x - radius * scale, y - radius * scale,
                          x + radius * scale, y + radius * scale))  # fmt: skip
    x0s, y0s, x1s, y1s = zip(*boxes, strict=True)
    return (min(x0s), min(y0s), max(x1s), max(y1s))
