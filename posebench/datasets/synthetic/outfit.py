"""What people look like: skin, hair, faces, garments with one texture each, shoes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.synthetic.chance import between, happens, noise_bytes, pick, whole
from posebench.datasets.synthetic.drawing import draw_line
from posebench.datasets.synthetic.raster import TEXEL_COUNT

Colour: TypeAlias = tuple[int, int, int]
Texture: TypeAlias = NDArray[np.uint8]

SKIN, FACE, HAIR, TOP, BOTTOM, SHOES, HAT, EXTRA = range(1, 9)
MATERIAL_COUNT = 9

_SKINS: tuple[Colour, ...] = (
    (170, 196, 232), (150, 180, 224), (134, 168, 214), (112, 148, 200), (92, 128, 186),
    (72, 106, 164), (56, 84, 136), (44, 66, 108), (36, 52, 84), (158, 184, 236),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (22, 24, 28), (30, 38, 52), (38, 56, 84), (56, 88, 128), (96, 150, 196), (130, 180, 214),
    (40, 66, 140), (140, 142, 146), (196, 198, 200), (24, 28, 40),
)  # fmt: skip


@dataclass(frozen=True)
class Outfit:
    """A person's looks; `textures` is (materials, 64 * 64, 3) BGR.

    `sleeve` and `leg` are the covered fraction of arm and leg (0 none, 1 down to wrist or ankle);
    `skirt` is its length as a fraction of the thigh (0: no skirt).
    """

    textures: Texture
    sleeve: float
    leg: float
    skirt: float
    loose: float
    hair_cap: tuple[float, float]
    long_hair: float
    hat: bool
    hem: float
    bag: bool


def random_colour(rng: np.random.Generator) -> Colour:
    """Draw a colour: greys and muted tones often, vivid ones sometimes."""
    value = whole(rng, 25, 235)
    if happens(rng, 0.3):
        return (value, min(255, value + whole(rng, 0, 8)), min(255, value + whole(rng, 0, 12)))
    strength = between(rng, 0.5, 1.0) if happens(rng, 0.25) else between(rng, 0.1, 0.55)
    channels = [int(value * (1.0 - strength * float(rng.random()))) for _ in range(3)]
    return (channels[0], channels[1], channels[2])


def jitter(rng: np.random.Generator, colour: Colour, amount: int) -> Colour:
    """Move each channel by at most `amount`."""
    moved = [min(255, max(0, channel + whole(rng, -amount, amount))) for channel in colour]
    return (moved[0], moved[1], moved[2])


def cloth(rng: np.random.Generator, colour: Colour) -> Texture:
    """Draw a 64 x 64 BGR texture: plain, stripes, checks, dots, camouflage or a print."""
    size = TEXEL_COUNT
    image = np.empty((size, size, 3), np.uint8)
    image[:] = colour
    other = random_colour(rng)
    kind = pick(rng, ("plain", "plain", "plain", "rows", "columns", "checks", "dots", "camouflage",
                      "print"))  # fmt: skip
    period = pick(rng, (8, 16, 32))
    band = max(2, int(period * between(rng, 0.2, 0.6)))
    ramp = np.arange(size) % period < band
    if kind in ("rows", "checks"):
        image[ramp, :] = other
    if kind in ("columns", "checks"):
        image[:, ramp] = image[:, ramp] // 2 + np.array(other, np.uint8) // 2
    if kind == "dots":
        for y in range(period // 2, size, period):
            for x in range(period // 2, size, period):
                cv2.circle(image, (x, y), max(1, period // 4), other, -1)
    if kind == "camouflage":
        for _ in range(22):
            centre = (whole(rng, 0, 63), whole(rng, 0, 63))
            axes = (whole(rng, 3, 9), whole(rng, 2, 6))
            cv2.ellipse(image, centre, axes, whole(rng, 0, 179), 0, 360, jitter(rng, other, 30), -1)
    if kind == "print":
        cv2.rectangle(image, (10, 18), (54, 46), other, -1)
        cv2.circle(image, (32, 32), 9, random_colour(rng), -1)
    return mottled(rng, image, 5)


def mottled(rng: np.random.Generator, image: Texture, shift: int) -> Texture:
    """Add soft creases: blurred noise, scaled down by 2^-shift of its range."""
    coarse = noise_bytes(rng, (8, 8))
    smooth = cv2.resize(coarse, (TEXEL_COUNT, TEXEL_COUNT), interpolation=cv2.INTER_LINEAR_EXACT)
    offset = (smooth.astype(np.int16) - 128) >> (shift - 2)
    return np.clip(image.astype(np.int16) + offset[:, :, None], 0, 255).astype(np.uint8)


def _scaled(colour: Colour, percent: int) -> Colour:
    return (
        min(255, colour[0] * percent // 100),
        min(255, colour[1] * percent // 100),
        min(255, colour[2] * percent // 100),
    )


def face(rng: np.random.Generator, skin: Colour, hair: Colour) -> Texture:
    """Draw a 64 x 64 face: x to the person's left, y down, eyes at the keypoints' places."""
    image = np.empty((TEXEL_COUNT, TEXEL_COUNT, 3), np.uint8)
    image[:] = skin
    cv2.ellipse(image, (32, 45), (15, 9), 0, 0, 360, _scaled(skin, 97), -1)
    if happens(rng, 0.22):
        cv2.ellipse(image, (32, 50), (20, 15), 0, 0, 360, hair, -1)
        cv2.ellipse(image, (32, 36), (12, 12), 0, 0, 360, skin, -1)
    iris = pick(rng, ((30, 35, 40), (50, 60, 80), (120, 100, 60), (60, 90, 70)))
    for x in EYE_COLUMNS:
        cv2.ellipse(image, (x, 29), (5, 3), 0, 0, 360, _scaled(skin, 72), -1)
        cv2.ellipse(image, (x, 29), (4, 2), 0, 0, 360, (225, 228, 230), -1)
        cv2.circle(image, (x, 29), 2, iris, -1)
        draw_line(image, (x - 5, 23), (x + 5, 23), _scaled(hair, 85), 2)
    cv2.ellipse(image, (32, 39), (4, 2), 0, 0, 180, _scaled(skin, 70), -1)
    lips = (skin[0] * 70 // 100, skin[1] * 66 // 100, min(255, skin[2] * 92 // 100))
    cv2.ellipse(image, (32, 47), (7, whole(rng, 2, 3)), 0, 0, 360, lips, -1)
    draw_line(image, (26, 47), (38, 47), _scaled(lips, 65), 1)
    if happens(rng, 0.12):
        for x in EYE_COLUMNS:
            cv2.rectangle(image, (x - 7, 25), (x + 7, 34), (30, 30, 34), 1)
        draw_line(image, (28, 28), (36, 28), (30, 30, 34), 1)
    return image


EYE_COLUMNS = (20, 44)


def draw_outfit(rng: np.random.Generator) -> Outfit:
    """Draw skin, hair and clothes."""
    size = TEXEL_COUNT
    skin = jitter(rng, pick(rng, _SKINS), 10)
    hair = jitter(rng, pick(rng, _HAIRS), 10)
    top, bottom = random_colour(rng), random_colour(rng)
    dress = happens(rng, 0.12)
    textures = np.zeros((MATERIAL_COUNT, size, size, 3), np.uint8)
    textures[SKIN] = skin
    textures[SKIN] = mottled(rng, textures[SKIN], 7)
    textures[FACE] = face(rng, skin, hair)
    textures[HAIR] = hair
    textures[HAIR] = mottled(rng, textures[HAIR], 5)
    textures[TOP] = cloth(rng, top)
    textures[BOTTOM] = textures[TOP] if dress else cloth(rng, bottom)
    textures[SHOES] = random_colour(rng)
    textures[HAT] = random_colour(rng)
    textures[EXTRA] = random_colour(rng)
    long_hair = between(rng, 0.3, 1.0) if happens(rng, 0.35) else 0.0
    bald = not long_hair and happens(rng, 0.1)
    skirt = between(rng, 0.55, 1.1) if dress or happens(rng, 0.1) else 0.0
    return Outfit(
        textures=textures.reshape(MATERIAL_COUNT, size * size, 3),
        sleeve=pick(rng, (0.0, 0.28, 0.32, 0.4, 0.96, 0.96, 0.96, 0.7)),
        leg=0.0 if skirt else pick(rng, (0.28, 0.42, 0.75, 0.97, 0.97, 0.97, 0.97)),
        skirt=skirt,
        loose=between(rng, 0.004, 0.022),
        hair_cap=(0.7, 1.5) if bald else (between(rng, 0.55, 0.95), between(rng, 0.0, 0.22)),
        long_hair=long_hair,
        hat=happens(rng, 0.12),
        hem=between(rng, -0.02, 0.1),
        bag=happens(rng, 0.1),
    )
