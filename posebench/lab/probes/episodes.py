"""Episodes of matching: a point of one person, and the people whose tokens it is sought by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from posebench.lab.probes.people import People

PointsWord = Literal["labelled", "between"]
SHOTS = (1, 5)


@dataclass(frozen=True, eq=False)
class Points:
    """M points of N people: `places` (N, M, 2) in input pixels, and which are `known` (N, M)."""

    places: NDArray[np.float64]
    known: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Episodes:
    """E points to find: `person` and `point` (E,), and the support people (E, shots).

    Support people are on other images than the person.
    """

    person: NDArray[np.int64]
    point: NDArray[np.int64]
    support: NDArray[np.int64]


def points_of(people: People) -> dict[PointsWord, Points]:
    """Return the labelled keypoints, and the middles of the skeleton's bones.

    No network has learned the middles, whatever keypoints it was trained on.
    """
    found: dict[PointsWord, Points] = {"labelled": Points(people.keypoints, people.labelled)}
    bones = np.array(people.keypoint_set.skeleton, dtype=np.int64).reshape(-1, 2)
    if len(bones):
        ends, known = people.keypoints[:, bones], people.labelled[:, bones]
        found["between"] = Points(ends.mean(axis=2), np.asarray(known.all(axis=2)))
    return found


def draw_episodes(people: People, points: Points, shots: int, rng: np.random.Generator) -> Episodes:
    """Return an episode for each known point that enough people on other images have."""
    persons, of_points, supports = [], [], []
    for point in range(points.known.shape[1]):
        having = np.flatnonzero(points.known[:, point])
        for person in having:
            others = having[people.image[having] != people.image[person]]
            if len(others) >= shots:
                persons.append(person)
                of_points.append(point)
                supports.append(rng.choice(others, shots, replace=False))
    support = np.array(supports, dtype=np.int64).reshape(-1, shots)
    return Episodes(np.array(persons, np.int64), np.array(of_points, np.int64), support)
