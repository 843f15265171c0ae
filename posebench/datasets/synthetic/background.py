"""Cluttered places for people to stand in, and things that stand in front of them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.synthetic.chance import bell, between, happens, noise_bytes, pick, whole
from posebench.datasets.synthetic.drawing import draw_line, fill_convex
from posebench.datasets.synthetic.outfit import (
    MATERIAL_COUNT,
    cloth,
    draw_outfit,
    jitter,
    random_colour,
)
from posebench.datasets.synthetic.raster import Camera, Capsule, Light, PartBuffer

Image = NDArray[np.uint8]
_SUB = 4


def _soft_noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> NDArray[np.int16]:
    """Return smooth, nearly grey noise in [-110, 111], (H, W, 3), `cells` bumps per side."""
    tint = noise_bytes(rng, (cells, cells, 3)) >> 2
    coarse = tint + (noise_bytes(rng, (cells, cells, 1)) >> 1) + (tint[:, ::-1, :1] >> 1)
    smooth = cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR_EXACT)
    signed: NDArray[np.int16] = smooth.astype(np.int16) - 110
    return signed


def _tiled(rng: np.random.Generator, shape: tuple[int, int]) -> Image:
    """Return a cloth texture blown up and repeated over the whole image."""
    tile = cloth(rng, random_colour(rng))
    factor = whole(rng, 1, 3)
    side = tile.shape[0] * factor
    tile = cv2.resize(tile, (side, side), interpolation=cv2.INTER_LINEAR_EXACT).astype(np.uint8)
    repeats = (shape[0] // side + 1, shape[1] // side + 1, 1)
    whole_image: Image = np.tile(tile, repeats)[: shape[0], : shape[1]]
    return whole_image


def _base(rng: np.random.Generator, shape: tuple[int, int], horizon: int) -> Image:
    """Return wall or sky above the horizon and ground below it."""
    full, shape = shape, (shape[0] // 2, shape[1] // 2)
    image = np.empty((*shape, 3), np.uint8)
    image[:] = random_colour(rng)
    if happens(rng, 0.3):
        image = _tiled(rng, shape)
    row = min(max(horizon // 2, 0), shape[0])
    if row < shape[0]:
        tiled = happens(rng, 0.25)
        image[row:] = _tiled(rng, shape)[row:] if tiled else np.array(random_colour(rng), np.uint8)
    total = image.astype(np.int16)
    for cells, shift in ((3, 1), (9, 1), (40, 2)):
        total += _soft_noise(rng, shape, cells) >> (shift + whole(rng, 0, 2))
    small = np.clip(total, 0, 255).astype(np.uint8)
    large = cv2.resize(small, (full[1], full[0]), interpolation=cv2.INTER_LINEAR_EXACT)
    return large.astype(np.uint8)


def _windows(rng: np.random.Generator, image: Image) -> None:
    """Draw a grid of panes, bricks or shelves."""
    height, width = image.shape[:2]
    x0, y0 = whole(rng, -40, width - 30), whole(rng, -40, height // 2)
    pitch_x, pitch_y = whole(rng, 14, 60), whole(rng, 14, 70)
    wall, pane = random_colour(rng), random_colour(rng)
    columns, rows = whole(rng, 2, 5), whole(rng, 2, 6)
    cv2.rectangle(image, (x0, y0), (x0 + columns * pitch_x, y0 + rows * pitch_y), wall, -1)
    gap = between(rng, 0.1, 0.4)
    for i in range(columns):
        for j in range(rows):
            a = (x0 + int((i + gap / 2) * pitch_x), y0 + int((j + gap / 2) * pitch_y))
            b = (x0 + int((i + 1 - gap / 2) * pitch_x), y0 + int((j + 1 - gap / 2) * pitch_y))
            cv2.rectangle(image, a, b, jitter(rng, pane, 20), -1)


def _bush(rng: np.random.Generator, image: Image) -> None:
    """Draw a clump of leaves, perhaps on a trunk."""
    height, width = image.shape[:2]
    centre = (whole(rng, 0, width), whole(rng, 0, height))
    spread, colour = whole(rng, 18, 90), random_colour(rng)
    if happens(rng, 0.5):
        trunk = max(2, spread // 7)
        cv2.rectangle(image, (centre[0] - trunk, centre[1]), (centre[0] + trunk, height),
                      jitter(rng, (40, 60, 80), 30), -1)  # fmt: skip
    for _ in range(whole(rng, 12, 40)):
        at = (int(bell(rng, centre[0], spread / 2)), int(bell(rng, centre[1], spread / 2)))
        axes = (whole(rng, 3, 4 + spread // 4), whole(rng, 2, 3 + spread // 5))
        cv2.ellipse(image, at, axes, whole(rng, 0, 179), 0, 360, jitter(rng, colour, 35), -1)


def _furniture(rng: np.random.Generator, image: Image) -> None:
    """Draw a box with a lit top and legs."""
    height, width = image.shape[:2]
    x, y = whole(rng, -20, width - 10), whole(rng, height // 3, height)
    w, h = whole(rng, 20, 140), whole(rng, 10, 90)
    colour = random_colour(rng)
    dark = (colour[0] * 2 // 3, colour[1] * 2 // 3, colour[2] * 2 // 3)
    for leg in (x + 4, x + w - 8):
        foot = (leg + whole(rng, 2, 7), y + h + whole(rng, 10, 80))
        cv2.rectangle(image, (leg, y), foot, dark, -1)
    cv2.rectangle(image, (x, y), (x + w, y + h), dark, -1)
    top = [(x, y), (x + w, y), (x + w - 10, y - 12), (x + 10, y - 12)]
    fill_convex(image, top, colour)


def _shapes(rng: np.random.Generator, image: Image) -> None:
    """Draw an ellipse, a polygon or a bundle of lines."""
    height, width = image.shape[:2]

    def point() -> tuple[int, int]:
        return (whole(rng, -20, width + 20), whole(rng, -20, height + 20))

    kind = whole(rng, 0, 2)
    if kind == 0:
        axes = (whole(rng, 4, 60), whole(rng, 4, 60))
        cv2.ellipse(image, point(), axes, whole(rng, 0, 179), 0, 360, random_colour(rng), -1)
    elif kind == 1:
        x, y = point()
        count = whole(rng, 3, 6)
        corners = [(x + whole(rng, -70, 70), y + whole(rng, -70, 70)) for _ in range(count)]
        hull = cv2.convexHull(np.array(corners, np.int32))
        cv2.fillConvexPoly(image, hull, random_colour(rng))
    else:
        (x0, y0), (x1, y1) = point(), point()
        step, colour, thick = whole(rng, 6, 30), random_colour(rng), whole(rng, 1, 9)
        for i in range(whole(rng, 1, 5)):
            draw_line(image, (x0 + i * step, y0), (x1 + i * step, y1), colour, thick)


def _limb_clutter(rng: np.random.Generator, camera: Camera, light: Light, image: Image) -> None:
    """Draw shaded sticks in skin and cloth that belong to nobody."""
    textures = draw_outfit(rng).textures
    z = between(rng, 2.5, 7.0)
    scale = camera.focal / z
    x = between(rng, -0.5, 0.5) * camera.width / scale
    y = (between(rng, 0.0, 1.0) * camera.height - camera.centre_y) / scale
    parts = []
    for _ in range(whole(rng, 2, 5)):
        a = (x + bell(rng, 0, 0.25), y + bell(rng, 0, 0.25), z + bell(rng, 0, 0.1))
        b = (a[0] + bell(rng, 0, 0.3), a[1] + bell(rng, 0, 0.3), a[2] + bell(rng, 0, 0.1))
        thick = between(rng, 0.03, 0.09)
        parts.append(Capsule(a, b, thick, thick * between(rng, 0.5, 1.0), 1,
                             whole(rng, 1, MATERIAL_COUNT - 1)))  # fmt: skip
    px, py, reach = camera.project((x, y, z))
    left, top = max(0, int(px - reach)), max(0, int(py - reach))
    right, bottom = min(camera.width, int(px + reach)), min(camera.height, int(py + reach))
    if left >= right or top >= bottom:
        return
    buffer = PartBuffer(camera, light, (left, top, right - left, bottom - top))
    for part in parts:
        buffer.draw(part)
    mask = (buffer.group > 0)[:, :, None]
    np.copyto(image[top:bottom, left:right], buffer.colours(textures), where=mask)


def draw_background(rng: np.random.Generator, camera: Camera, light: Light) -> Image:
    """Return a (H, W, 3) BGR place without people."""
    image = _base(rng, (camera.height, camera.width), int(camera.centre_y))
    kinds: tuple[Callable[[np.random.Generator, Image], None], ...] = (
        _windows, _bush, _furniture, _shapes, _shapes,
    )  # fmt: skip
    for _ in range(whole(rng, 3, 12)):
        pick(rng, kinds)(rng, image)
    for _ in range(whole(rng, 0, 3)):
        _limb_clutter(rng, camera, light, image)
    size = pick(rng, (0, 3, 5, 9))
    if size:
        image = cv2.GaussianBlur(image, (size, size), 0).astype(np.uint8)
    return image


def _outline(
    rng: np.random.Generator, box: tuple[float, float, float, float], bottom: int
) -> NDArray[np.int32]:
    """Return the corners of an occluder in 1/16 pixel: pole, board or convex blob."""
    x0, y0, x1, y1 = box
    w, h = x1 - x0, y1 - y0
    kind = whole(rng, 0, 3)
    if kind == 0:
        x, thick = between(rng, x0, x1), between(rng, 0.04, 0.13) * h
        lean = bell(rng, 0, 0.06) * h
        corners = [(x, -5.0), (x + thick, -5.0), (x + thick + lean, bottom + 5.0),
                   (x + lean, bottom + 5.0)]  # fmt: skip
    elif kind == 1:
        x, y = between(rng, x0 - 0.2 * w, x0 + 0.7 * w), between(rng, y0 + 0.55 * h, y0 + 0.85 * h)
        right = x + between(rng, 0.4, 1.0) * w
        corners = [(x, y), (right, y + bell(rng, 0, 4)), (right + 4, y1 + 20), (x - 4, y1 + 20)]
    else:
        x, y = between(rng, x0, x1), between(rng, y0 + 0.1 * h, y1)
        r = between(rng, 0.05, 0.14) * h
        corners = [(x + bell(rng, 0, r), y + bell(rng, 0, r)) for _ in range(8)]
    points = np.array([[int(a * (1 << _SUB)), int(b * (1 << _SUB))] for a, b in corners], np.int32)
    if kind >= 2:
        points = cv2.convexHull(points)[:, 0].astype(np.int32)
    return points


def draw_occluder(
    rng: np.random.Generator, image: Image, box: tuple[float, float, float, float]
) -> NDArray[np.bool_]:
    """Paint a pole, board or blob over a person's box (x0, y0, x1, y1); return its mask.

    It hides a minor part of the box, more often the lower half.
    """
    stencil = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(stencil, _outline(rng, box, image.shape[0]), (255,), cv2.LINE_8, _SUB)
    x, y, w, h = cv2.boundingRect(stencil)
    window = (slice(y, y + h), slice(x, x + w))
    mask = stencil > 0
    texture = _tiled(rng, (h, w))
    ramp = (np.arange(w) * whole(rng, -40, 40) // max(w, 1)).astype(np.int16)
    lit = np.clip(texture.astype(np.int16) + ramp[None, :, None], 0, 255).astype(np.uint8)
    np.copyto(image[window], lit, where=mask[window][:, :, None])
    return mask


def draw_seat(
    rng: np.random.Generator, image: Image, at: tuple[float, float, float, float]
) -> None:
    """Paint a stool or box: centre x, seat y, floor y and half-width in pixels."""
    x, top, floor, half = (int(value) for value in at)
    colour = random_colour(rng)
    dark = (colour[0] * 3 // 5, colour[1] * 3 // 5, colour[2] * 3 // 5)
    if happens(rng, 0.5):
        for side in (-1, 1):
            cv2.rectangle(image, (x + side * half - 3, top), (x + side * half + 3, floor), dark, -1)
    else:
        cv2.rectangle(image, (x - half, top), (x + half, floor), dark, -1)
    cv2.rectangle(image, (x - half, top - half // 4), (x + half, top + 2), colour, -1)
