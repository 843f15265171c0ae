"""The records of what a probe reads off a checkpoint. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from posebench.results.cell import CheckpointFacts
from posebench.suites.probes import ProbeName, ProbeSettings

ProbeStatus = Literal["ok", "failed", "unsupported", "skipped"]
Arm = Literal["trained", "untrained", "target", "rounding", "pixels", "place"]
"""What a row is of: the checkpoint itself, or a control.

`untrained`: the same architecture with initial weights. `target`: the codec's training targets.
`rounding`: the most that float32 arithmetic may be off. `pixels`: patches of the crop. `place`: the
support's own place in the crop.
"""
SampledUnit = Literal["images", "keypoints"]


@dataclass(frozen=True, eq=False)
class Sums:
    """A number as the ratio of two sums over sampled units: images, or pairs of keypoints.

    `numerators` and `denominators` are (U,).
    """

    numerators: NDArray[np.float64]
    denominators: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[Any], unit: NDArray[np.int64], units: int) -> Sums:
        """Return the mean of values (M,) that come from units (M,); NaNs are left out."""
        known = np.isfinite(values)
        kept, own = np.asarray(values[known], dtype=np.float64), unit[known]
        counts = np.bincount(own, minlength=units).astype(np.float64)
        return cls(np.bincount(own, kept, units).astype(np.float64), counts)

    @property
    def value(self) -> float | None:
        """The number itself, or None if there is nothing to divide by."""
        total = float(self.denominators.sum())
        return float(self.numerators.sum()) / total if total else None

    def replicates(self, weights: NDArray[Any]) -> NDArray[np.float64]:
        """Return the number (B,) under how often each unit was drawn (B, U), or NaN."""
        totals = weights @ self.denominators
        found = np.full(len(weights), np.nan)
        np.divide(weights @ self.numerators, totals, out=found, where=totals > 0)
        return found


@dataclass(frozen=True, eq=False)
class ReadingRow:
    """One line of a reading: of which arm, where it was read, and its numbers.

    `sums` are numbers with sampled units, `numbers` are those without.
    """

    arm: Arm
    where: Mapping[str, str] = field(default_factory=dict)
    sums: Mapping[str, Sums] = field(default_factory=dict)
    numbers: Mapping[str, float | None] = field(default_factory=dict)

    def values(self) -> dict[str, float | None]:
        """Return all numbers of the row."""
        return {**{name: each.value for name, each in self.sums.items()}, **self.numbers}


@dataclass(frozen=True, eq=False)
class ProbeReading:
    """What a probe returns: rows of numbers, arrays for figures, and what is to be said of them.

    `sampled` says what the units of its sums are.
    """

    rows: tuple[ReadingRow, ...]
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sampled: SampledUnit | None = None


@dataclass(frozen=True)
class ProbeRow:
    """A row as it is stored: numbers with the ends of their 95 % intervals, where they have any."""

    arm: Arm
    where: Mapping[str, str]
    numbers: Mapping[str, float | None]
    low: Mapping[str, float | None] = field(default_factory=dict)
    high: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where the row was read, in words."""
        return ", ".join(f"{name} {value}" for name, value in self.where.items())


@dataclass(frozen=True)
class ProbeData:
    """The people that a probe read."""

    dataset: str
    annotations_sha256: str
    keypoints: str
    images: int
    people: int
    images_sha256: str | None = None


@dataclass(frozen=True)
class StoredProbe:
    """One probe of one checkpoint on one data set, as it is stored.

    `arrays` is the key of its file of arrays; `intervals` says how intervals were made;
    `posebench`, `environment` and `labels` are as those of a cell.
    """

    id: str
    probe: ProbeName
    checkpoint: CheckpointFacts
    data: ProbeData
    settings: ProbeSettings
    status: ProbeStatus
    reason: str | None = None
    rows: tuple[ProbeRow, ...] = ()
    notes: tuple[str, ...] = ()
    sampled: SampledUnit | None = None
    intervals: str | None = None
    arrays: str | None = None
    seconds: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    posebench: str = ""
    environment: Mapping[str, Any] | None = None


def sums_key(row: int, number: str) -> str:
    """Return the name under which a row's sums of a number are stored among the arrays."""
    return f"sums/{row}/{number}"


def stored_sums(arrays: Mapping[str, NDArray[Any]]) -> Iterator[tuple[int, str, Sums]]:
    """Yield row, number and sums of what is stored among a probe's arrays."""
    for key, values in arrays.items():
        kind, _, rest = key.partition("/")
        if kind == "sums":
            row, _, number = rest.partition("/")
            yield int(row), number, Sums(values[0], values[1])
