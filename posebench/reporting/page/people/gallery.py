"""Which instances of a pair are worth a look: the worst, and those the two differ on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from posebench.reporting.page.people.instances import PairInstances

Kind = Literal["worst", "changed"]


@dataclass(frozen=True)
class Choice:
    """An instance of a pair: its position, why it is shown, and the keypoint to look at."""

    row: int
    kind: Kind
    keypoint: int


def chosen_instances(found: PairInstances, count: int) -> list[Choice]:
    """Return up to `count` instances of each kind, none twice.

    The worst have the lowest mean OKS of both poses; the most changed the largest difference.
    The keypoint is the labelled one that the two poses place farthest apart.
    """
    apart = np.abs(found.oks[1] - found.oks[0])
    changed = [int(row) for row in np.argsort(-apart, kind="stable")[:count]]
    by_mean = [int(row) for row in np.argsort(found.oks.mean(axis=0), kind="stable")]
    worst = [row for row in by_mean if row not in changed][:count]
    return [
        *(Choice(row, "changed", _farthest(found, row)) for row in changed),
        *(Choice(row, "worst", _farthest(found, row)) for row in worst),
    ]


def _farthest(found: PairInstances, row: int) -> int:
    one, other = (predictions.keypoints[row] for predictions in found.predictions)
    labelled = found.truth.visibility[found.persons[row]] > 0
    distance = np.linalg.norm(one.astype(np.float64) - other, axis=1)
    return int(np.where(labelled, distance, -1.0).argmax())
