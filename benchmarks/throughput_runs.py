"""The runs of `throughput.py`, and what follows from them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REFERENCE = "MMPose"
DEFAULT = "default"


@dataclass(frozen=True)
class Run:
    """One measured run, or the reason there is none. Seconds, MB, fractions; `ap` 0-1.

    `loop` is from the first image read to the last keypoint decoded, `whole` the process;
    `network` are the loop's seconds in the network, `data_cpu` those that one core takes to read,
    crop and normalise all instances; `shares` are parts of the loop.
    """

    instances: int = 0
    loop: float = 0.0
    whole: float = 0.0
    memory: float | None = None
    ap: float | None = None
    data_cpu: float = 0.0
    network: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    reported: float | None = None
    gmacs: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None

    @property
    def speed(self) -> float:
        """Instances per second of the loop."""
        return self.instances / self.loop


Runs = Mapping[tuple[str, str, int], Run]


@dataclass(frozen=True)
class NetRuns:
    """The runs of one net: those that worked by contender and round, and why others did not."""

    name: str
    runs: Mapping[str, Mapping[int, Run]]
    failures: Mapping[str, str]

    @property
    def best_reference(self) -> str | None:
        """The fastest setting of MMPose, which is the one that every round has."""
        found = [name for name in self.runs if name.startswith(REFERENCE)]
        return max(found, key=lambda name: (len(self.runs[name]), self.speed(name)), default=None)

    def speed(self, contender: str) -> float:
        """Return the median instances per second."""
        return statistics.median(run.speed for run in self.runs[contender].values())

    def ratios(self, contender: str) -> list[float]:
        """Return how many times as fast as MMPose a contender was, round by round."""
        if self.best_reference is None:
            return []
        theirs = self.runs[self.best_reference]
        ours = self.runs[contender]
        return [run.speed / theirs[turn].speed for turn, run in ours.items() if turn in theirs]

    def first(self, contender: str) -> Run:
        """Return the first run, for what does not change from run to run."""
        return next(iter(self.runs[contender].values()))

    def ap_moved(self, contender: str) -> float | None:
        """Return by how many points AP differs from MMPose's, or else from the default's."""
        base = self.best_reference or DEFAULT
        one, other = self.first(contender).ap, self.first(base).ap if base in self.runs else None
        return None if one is None or other is None else 100 * (one - other)

    def equal_ap(self, contender: str) -> bool:
        """Whether AP is MMPose's to four decimals."""
        assert self.best_reference is not None
        one, other = self.first(contender).ap, self.first(self.best_reference).ap
        return one is not None and other is not None and f"{one:.4f}" == f"{other:.4f}"


def net_runs(runs: Runs, name: str) -> NetRuns:
    """Return what was measured of one net."""
    found: dict[str, dict[int, Run]] = {}
    failures: dict[str, str] = {}
    for (net, contender, turn), run in runs.items():
        if net == name and run.failure is not None:
            failures[contender] = run.failure
        elif net == name:
            found.setdefault(contender, {})[turn] = run
    return NetRuns(name, found, failures)
