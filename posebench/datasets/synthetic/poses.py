"""What people do: joint angles, in degrees, of standing, walking, running, sitting and more.

Flexion 0 is a limb hanging down and grows forwards (180 is straight up); abduction is outwards;
an elbow bends towards increasing flexion and a knee away from it, so neither can bend backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from posebench.datasets.synthetic.chance import bell, between, happens, pick


@dataclass(frozen=True)
class Limb:
    """Angles of an arm or a leg; `twist` turns the bend inwards about the upper segment."""

    flexion: float = 0.0
    abduction: float = 6.0
    twist: float = 0.0
    bend: float = 8.0


@dataclass(frozen=True)
class Pose:
    """All angles of one body; `bow` and `lean` tilt the pelvis, the rest is relative to it."""

    bow: float = 0.0
    lean: float = 0.0
    spine: float = 0.0
    side: float = 0.0
    twist: float = 0.0
    nod: float = 0.0
    turn: float = 0.0
    left_arm: Limb = Limb()
    right_arm: Limb = Limb()
    left_leg: Limb = Limb(abduction=3.0)
    right_leg: Limb = Limb(abduction=3.0)
    seated: bool = False


def _arm(rng: np.random.Generator) -> Limb:
    """Draw a free arm gesture."""
    kinds: tuple[Callable[[], Limb], ...] = (
        lambda: Limb(bell(rng, 0, 12), between(rng, 4, 18), between(rng, -10, 40),
                     between(rng, 4, 35)),
        lambda: Limb(between(rng, -35, 15), between(rng, 25, 45), between(rng, 60, 95),
                     between(rng, 75, 110)),
        lambda: Limb(between(rng, 120, 175), between(rng, 5, 35), between(rng, -30, 30),
                     between(rng, 0, 70)),
        lambda: Limb(between(rng, 60, 110), between(rng, -5, 35), between(rng, -20, 50),
                     between(rng, 0, 60)),
        lambda: Limb(between(rng, 0, 70), between(rng, 55, 95), between(rng, -60, 30),
                     between(rng, 0, 100)),
        lambda: Limb(between(rng, 15, 50), between(rng, 2, 22), between(rng, 0, 45),
                     between(rng, 60, 135)),
        lambda: Limb(between(rng, -45, -10), between(rng, 5, 25), between(rng, 0, 30),
                     between(rng, 5, 60)),
    )  # fmt: skip
    return pick(rng, kinds)()


def _stand(rng: np.random.Generator) -> Pose:
    shift = bell(rng, 0, 5)
    return Pose(
        lean=shift, side=-1.4 * shift, twist=bell(rng, 0, 8), spine=bell(rng, 4, 4),
        left_arm=_arm(rng), right_arm=_arm(rng),
        left_leg=Limb(bell(rng, 3, 6), between(rng, 0, 14) + shift * 0.8, 0, between(rng, 2, 18)),
        right_leg=Limb(bell(rng, 3, 6), between(rng, 0, 14) - shift * 0.8, 0, between(rng, 2, 18)),
    )  # fmt: skip


def _walk(rng: np.random.Generator) -> Pose:
    stride, sign = between(rng, 14, 30), pick(rng, (-1.0, 1.0))
    swing = stride * between(rng, 0.7, 1.6)
    bends = (between(rng, 3, 14), between(rng, 18, 55))
    front, back = Limb(stride, 2, 0, bends[0]), Limb(-stride * 0.6, 2, 0, bends[1])
    fore = Limb(swing, between(rng, 3, 12), 15, between(rng, 20, 60))
    aft = Limb(-swing, between(rng, 3, 12), 10, between(rng, 8, 35))
    left_first = sign > 0
    return Pose(
        bow=bell(rng, 2, 2), spine=bell(rng, 3, 3), twist=sign * between(rng, 0, 10),
        left_leg=front if left_first else back, right_leg=back if left_first else front,
        left_arm=aft if left_first else fore, right_arm=fore if left_first else aft,
    )  # fmt: skip


def _run(rng: np.random.Generator) -> Pose:
    left_first = happens(rng, 0.5)
    front = Limb(between(rng, 35, 85), between(rng, 0, 6), 0, between(rng, 40, 105))
    back = Limb(between(rng, -32, -5), between(rng, 0, 6), 0, between(rng, 15, 95))
    fore = Limb(between(rng, 20, 60), between(rng, 5, 18), between(rng, 10, 45),
                between(rng, 70, 115))  # fmt: skip
    aft = Limb(between(rng, -60, -25), between(rng, 8, 22), between(rng, 0, 30),
               between(rng, 65, 110))  # fmt: skip
    return Pose(
        bow=between(rng, 4, 16), spine=between(rng, 0, 10), nod=-8,
        twist=bell(rng, 0, 8),
        left_leg=front if left_first else back, right_leg=back if left_first else front,
        left_arm=aft if left_first else fore, right_arm=fore if left_first else aft,
    )  # fmt: skip


def _sit(rng: np.random.Generator) -> Pose:
    spread, flexion = between(rng, 2, 24), between(rng, 76, 96)
    rest = happens(rng, 0.6)

    def arm() -> Limb:
        if not rest:
            return _arm(rng)
        return Limb(between(rng, 15, 40), between(rng, 2, 14), between(rng, 5, 35),
                    between(rng, 40, 85))  # fmt: skip

    def leg() -> Limb:
        return Limb(flexion + bell(rng, 0, 4), spread + bell(rng, 0, 4), 0, between(rng, 60, 105))

    return Pose(
        bow=between(rng, -10, 6), spine=between(rng, 0, 22), side=bell(rng, 0, 4),
        left_arm=arm(), right_arm=arm(), left_leg=leg(), right_leg=leg(), seated=True,
    )  # fmt: skip


def _squat(rng: np.random.Generator) -> Pose:
    flexion, spread = between(rng, 60, 112), between(rng, 6, 30)
    knee = flexion + between(rng, 10, 28)
    left = Limb(flexion, spread, 0, knee)
    right = Limb(flexion + bell(rng, 0, 6), spread, 0, knee + bell(rng, 0, 6))
    return Pose(
        bow=between(rng, 5, 25), spine=between(rng, 5, 20), nod=-10,
        left_arm=_arm(rng), right_arm=_arm(rng), left_leg=left, right_leg=right,
    )  # fmt: skip


def _lunge(rng: np.random.Generator) -> Pose:
    deep = between(rng, 35, 80)
    front = Limb(deep, between(rng, 0, 15), 0, deep + between(rng, -5, 15))
    back = Limb(between(rng, -30, -8), between(rng, 0, 15), 0, between(rng, 5, 70))
    left_first = happens(rng, 0.5)
    return Pose(
        bow=between(rng, -4, 12), spine=bell(rng, 5, 5), twist=bell(rng, 0, 12),
        left_leg=front if left_first else back, right_leg=back if left_first else front,
        left_arm=_arm(rng), right_arm=_arm(rng),
    )  # fmt: skip


def _bend(rng: np.random.Generator) -> Pose:
    bow, spine = between(rng, 20, 55), between(rng, 15, 45)
    reach = between(rng, 40, 110)
    legs = Limb(bow * between(rng, 0.8, 1.3), between(rng, 2, 14), 0, between(rng, 5, 45))

    def arm() -> Limb:
        return Limb(reach + bell(rng, 0, 15), between(rng, 0, 20), 10, between(rng, 5, 45))

    return Pose(bow=bow, spine=spine, nod=-between(rng, 0, 25), twist=bell(rng, 0, 10),
                left_arm=arm(), right_arm=arm(), left_leg=legs, right_leg=legs)  # fmt: skip


def _leap(rng: np.random.Generator) -> Pose:
    def leg() -> Limb:
        return Limb(between(rng, -25, 75), between(rng, 8, 45), bell(rng, 0, 8),
                    between(rng, 0, 95))  # fmt: skip

    def arm() -> Limb:
        return Limb(between(rng, 30, 175), between(rng, 10, 70), 0, between(rng, 0, 60))

    return Pose(bow=bell(rng, 0, 8), lean=bell(rng, 0, 8), side=bell(rng, 0, 8),
                spine=bell(rng, 0, 8), twist=bell(rng, 0, 12),
                left_arm=arm(), right_arm=arm(), left_leg=leg(), right_leg=leg())  # fmt: skip


_ACTIONS: Mapping[str, Callable[[np.random.Generator], Pose]] = MappingProxyType(
    {
        "stand": _stand,
        "walk": _walk,
        "run": _run,
        "sit": _sit,
        "squat": _squat,
        "lunge": _lunge,
        "bend": _bend,
        "leap": _leap,
    }
)
_WEIGHTS: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {
        "standard": {"stand": 10, "walk": 5, "run": 4, "sit": 3, "squat": 1, "lunge": 3, "leap": 2},
        "crowd": {"stand": 9, "walk": 5, "run": 4, "sit": 3, "squat": 2, "lunge": 3, "bend": 2,
                  "leap": 2},
    }
)  # fmt: skip


def draw_pose(rng: np.random.Generator, level: str) -> Pose:
    """Draw an action for this level and the head's bearing."""
    weights = _WEIGHTS[level]
    names = [name for name, count in weights.items() for _ in range(count)]
    pose = _ACTIONS[pick(rng, names)](rng)
    return replace(pose, nod=pose.nod + bell(rng, 2, 10), turn=bell(rng, 0, 26))
