"""Whole scenes: who stands where, painted back to front, filtered by level.

A scene depends on (seed, index, level) alone. `area` is the number of a person's visible pixels,
as COCO's is that of the visible segmentation; the box is the tight box of the same pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

from posebench.datasets.synthetic.background import draw_background, draw_occluder, draw_seat
from posebench.datasets.synthetic.chance import bell, between, happens, noise_bytes, pick, whole
from posebench.datasets.synthetic.outfit import draw_outfit
from posebench.datasets.synthetic.person import Figure, draw_person, joints
from posebench.datasets.synthetic.poses import draw_pose
from posebench.datasets.synthetic.raster import Camera, Light
from posebench.datasets.synthetic.skeleton import Body, draw_proportions, place_body
from posebench.datasets.synthetic.vectors import FACING_CAMERA, unit
from posebench.errors import UsageError, nearest

RENDERER_VERSION = 1
LEVELS: tuple[str, ...] = ("standard", "crowd")
_ATTEMPTS = 200
_OCCLUDED = 255


@dataclass(frozen=True)
class SyntheticPerson:
    """One annotated person; coordinates in image pixels, integers at pixel centres.

    `keypoints` is (17, 3) and `head_neck` (2, 3): x, y and COCO's v (0 outside the image, 1
    occluded, 2 visible); `area` is in pixels.
    """

    keypoints: NDArray[np.float32]
    bbox_xywh: tuple[float, float, float, float]
    area: float
    head_neck: NDArray[np.float32]


@dataclass(frozen=True)
class SyntheticScene:
    """A (H, W, 3) BGR image with all its people and CrowdPose's crowd index."""

    image: NDArray[np.uint8]
    persons: tuple[SyntheticPerson, ...]
    crowd_index: float


@dataclass(frozen=True)
class LevelRules:
    """What a scene of a level must meet; counts are per person, area in pixels."""

    persons: tuple[int, int]
    crowd_index: tuple[float, float]
    labelled: int
    visible: int
    area: float
    height: tuple[float, float]
    occluder: float


RULES = MappingProxyType(
    {
        "standard": LevelRules((1, 3), (0.0, 0.5), 12, 8, 2000.0, (0.42, 1.02), 0.35),
        "crowd": LevelRules((2, 6), (0.2, 1.01), 6, 3, 600.0, (0.32, 1.1), 0.5),
    }
)


def renderer_name() -> str:
    """Return the versions of renderer and OpenCV, which decide pixels, for a folder's name."""
    return f"v{RENDERER_VERSION}-opencv{cv2.__version__}"


def crowd_index(persons: tuple[SyntheticPerson, ...]) -> float:
    """Return CrowdPose's index, in [0, 1].

    For each person, the labelled keypoints of others in the person's box are divided by the
    person's own; the index is the mean over persons.
    """
    total = 0.0
    for person in persons:
        x, y, w, h = person.bbox_xywh
        own = int((person.keypoints[:, 2] > 0).sum())
        others = 0
        for other in persons:
            if other is not person:
                xs, ys, v = other.keypoints.T
                held = (v > 0) & (xs >= x) & (xs <= x + w) & (ys >= y) & (ys <= y + h)
                others += int(held.sum())
        total += others / max(own, 1)
    return min(1.0, total / len(persons)) if persons else 0.0


def render_scene(seed: int, index: int, level: str) -> SyntheticScene:
    """Render scene `index` of a level.

    Raises `UsageError` if the level is unknown.
    """
    if level not in RULES:
        raise UsageError(f"There is no level {level!r}.", hint=nearest(level, LEVELS))
    rules = RULES[level]
    rng = np.random.default_rng([seed, index, LEVELS.index(level)])
    for _ in range(_ATTEMPTS):
        scene = _attempt(rng, rules, level)
        if scene is not None:
            return scene
    raise AssertionError(f"no {level} scene for seed {seed}, index {index}")


def _draw_camera(rng: np.random.Generator) -> Camera:
    """Draw an image size and a focal length; the horizon is set by the first person."""
    long_side, short = whole(rng, 320, 600), between(rng, 0.62, 1.0)
    short_side = int(long_side * short)
    landscape = happens(rng, 0.55)
    width, height = (long_side, short_side) if landscape else (short_side, long_side)
    return Camera(width, height, long_side * between(rng, 0.9, 1.6), 0.0)


def _draw_light(rng: np.random.Generator) -> Light:
    """Draw a light from above, never from behind the people."""
    towards = unit((bell(rng, 0, 0.5), -between(rng, 0.2, 1.0), -between(rng, 0.35, 1.0)))
    ambient = between(rng, 0.38, 0.7)
    return Light(towards, ambient, between(rng, 0.95, 1.2) - ambient)


@dataclass(frozen=True)
class _Place:
    """A person before rendering: the body, its floor y in pixels, and a rough pixel box."""

    body: Body
    seated: bool
    floor: float
    box: tuple[float, float, float, float]


def _place(
    rng: np.random.Generator, camera: Camera, level: str, where: tuple[float, float, float]
) -> _Place:
    """Put a random body at image x in pixels, distance and floor below the eye in metres."""
    x, z, floor = where
    sizes, pose = draw_proportions(rng), draw_pose(rng, level)
    facing = pick(rng, (bell(rng, 0, 30), between(rng, -180, 180), between(rng, -180, 180)))
    root = FACING_CAMERA.yawed(facing).pitched(bell(rng, 0, 2))
    hips_x = (x - 0.5 * camera.width) * z / camera.focal
    height = place_body(sizes, pose, root, (0.0, 0.0, 0.0)).lowest() + 0.06
    body = place_body(sizes, pose, root, (hips_x, floor - height, z))
    points = [camera.project(joint) for joint in joints(body)]
    pad = 0.07 * camera.focal / z
    box = (min(p[0] for p in points) - pad, min(p[1] for p in points) - 0.4 * pad,
           max(p[0] for p in points) + pad, max(p[1] for p in points) + pad)  # fmt: skip
    return _Place(body, pose.seated, camera.centre_y + floor * camera.focal / z, box)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Return the intersection over the smaller box."""
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return w * h / smaller if w > 0 and h > 0 else 0.0


def _arrange(rng: np.random.Generator, camera: Camera, level: str) -> tuple[Camera, list[_Place]]:
    """Draw who stands where, far ones first, and the horizon that fits."""
    rules = RULES[level]
    tall = between(rng, *rules.height) * camera.height
    z = camera.focal * 1.68 / tall
    feet = between(rng, 0.86, 1.0) * camera.height if tall < 0.9 * camera.height else (
        camera.height * between(rng, 0.97, 1.08))  # fmt: skip
    eye = between(rng, 0.6, 1.9)
    camera = Camera(camera.width, camera.height, camera.focal, feet - eye * camera.focal / z)
    wanted = whole(rng, *rules.persons)
    crowd = level == "crowd"
    middle, spread = camera.width * between(rng, 0.3, 0.7), between(rng, 0.12, 0.34) * tall
    places: list[_Place] = []
    for _ in range(wanted if crowd else wanted * 3):
        distance = z * (between(rng, 0.85, 1.3) if crowd else between(rng, 0.8, 1.5))
        x = bell(rng, middle, spread) if crowd else between(rng, 0.08, 0.92) * camera.width
        place = _place(rng, camera, level, (x, z if not places else distance, eye))
        if crowd or _fits(camera, place, places):
            places.append(place)
        if len(places) == wanted:
            break
    return camera, sorted(places, key=lambda place: -place.body.hips[2])


def _fits(camera: Camera, place: _Place, others: list[_Place]) -> bool:
    """Tell whether a person of the standard level is mostly in the image and mostly uncovered."""
    x0, y0, x1, y1 = place.box
    inside = (0.0, 0.0, float(camera.width), float(camera.height))
    shown = _overlap(place.box, inside) if x1 - x0 < camera.width else 1.0
    upright = place.body.collar[1] < place.body.hips[1] - 0.25
    free = all(_overlap(place.box, other.box) < 0.35 for other in others)
    return shown > 0.75 and upright and free and 0.7 * (y1 - y0) < camera.height


def _attempt(rng: np.random.Generator, rules: LevelRules, level: str) -> SyntheticScene | None:
    """Draw one scene, or None if it does not fit the level's rules."""
    camera, places = _arrange(rng, _draw_camera(rng), level)
    if len(places) < rules.persons[0]:
        return None
    light = _draw_light(rng)
    figures = []
    for place in places:
        figure = draw_person(camera, light, place.body, draw_outfit(rng))
        if figure is None:
            return None
        figures.append(figure)
    image = draw_background(rng, camera, light)
    owner = np.zeros(image.shape[:2], np.uint8)
    for number, (place, figure) in enumerate(zip(places, figures, strict=True), start=1):
        _ground(rng, camera, place, image)
        rows = slice(figure.top, figure.top + figure.mask.shape[0])
        columns = slice(figure.left, figure.left + figure.mask.shape[1])
        np.copyto(image[rows, columns], figure.colour, where=figure.mask[:, :, None])
        np.copyto(owner[rows, columns], np.uint8(number), where=figure.mask)
    if happens(rng, rules.occluder):
        owner[draw_occluder(rng, image, pick(rng, places).box)] = _OCCLUDED
    persons = [_annotate(figure, owner, number) for number, figure in enumerate(figures, start=1)]
    kept = tuple(person for person in persons if person is not None)
    index = crowd_index(kept)
    if len(kept) < len(persons) or not all(_allowed(person, rules) for person in kept):
        return None
    if not rules.crowd_index[0] <= index < rules.crowd_index[1]:
        return None
    return SyntheticScene(_photograph(rng, image), kept, index)


def _allowed(person: SyntheticPerson, rules: LevelRules) -> bool:
    """Tell whether a person shows enough for the level."""
    v = person.keypoints[:, 2]
    enough = int((v > 0).sum()) >= rules.labelled and int((v == 2).sum()) >= rules.visible
    return enough and person.area > rules.area


def _ground(
    rng: np.random.Generator, camera: Camera, place: _Place, image: NDArray[np.uint8]
) -> None:
    """Paint the shadow on the floor and, for a seated person, the seat."""
    x, y, scale = camera.project(place.body.hips)
    if place.seated:
        draw_seat(rng, image, (x, y + 0.08 * scale, place.floor, 0.2 * scale))
    half = max(2, int(0.32 * scale))
    flat = max(1, half // 4)
    left, top = max(0, int(x) - half), max(0, int(place.floor) - flat)
    floor = image[top : max(top, int(place.floor) + flat), left : max(left, int(x) + half)]
    if floor.size:
        stencil = np.zeros(floor.shape[:2], np.uint8)
        centre = (int(x) - left, int(place.floor) - top)
        cv2.ellipse(stencil, centre, (half, flat), 0, 0, 360, (1,), -1)
        np.copyto(floor, floor // 2 + floor // 8, where=stencil[:, :, None] > 0)


def _annotate(figure: Figure, owner: NDArray[np.uint8], number: int) -> SyntheticPerson | None:
    """Return the person's annotation after everything is painted, or None if they are hidden."""
    mask = owner == number
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    points = figure.points.copy()
    for point in points:
        if point[2] == 2 and not mask[int(np.floor(point[1] + 0.5)), int(np.floor(point[0] + 0.5))]:
            point[2] = 1
    box = (float(columns[0]), float(rows[0]),
           float(columns[-1] - columns[0] + 1), float(rows[-1] - rows[0] + 1))  # fmt: skip
    return SyntheticPerson(points[:17], box, float(np.count_nonzero(mask)), points[17:])


def _photograph(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blur edges as a lens does, then expose, tint and add grain."""
    size = pick(rng, (3, 3, 3, 5))
    soft = cv2.GaussianBlur(image, (size, size), 0)
    gain, lift = whole(rng, 190, 300), whole(rng, -18, 22)
    ramp = np.arange(256, dtype=np.int32)
    tables = [np.clip((ramp * (gain + whole(rng, -22, 22)) >> 8) + lift, 0, 255) for _ in range(3)]
    table = np.stack(tables, axis=1).astype(np.uint8)[None]
    exposed = cv2.LUT(soft, table).astype(np.int16)
    grain = noise_bytes(rng, image.shape[:2]) >> pick(rng, (5, 5, 6, 6, 7))
    exposed += grain.astype(np.int16)[:, :, None] - 2
    return np.clip(exposed, 0, 255).astype(np.uint8)
