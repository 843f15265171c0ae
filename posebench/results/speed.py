"""How fast a cell ran: records, and when a number may be called stable. Never loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDEST_SPREAD = 0.05
FEWEST_REPEATS = 4
STABLE_RULE = (
    f"stable: the middle half of at least {FEWEST_REPEATS} repeats lies within "
    f"{100 * WIDEST_SPREAD:.0f} % of their median"
)


@dataclass(frozen=True)
class Measured:
    """A number measured several times, and how far to trust it.

    `value` is the median, `spread` the distance between the quartiles of `repeats` over it;
    `stable` as `STABLE_RULE` says.
    """

    value: float
    spread: float
    stable: bool
    repeats: tuple[float, ...]

    @property
    def doubt(self) -> str | None:
        """Why the number is not stable, or None if it is."""
        if self.stable:
            return None
        if len(self.repeats) < FEWEST_REPEATS:
            return f"{len(self.repeats)} repeats"
        percent = 100 * self.spread
        return f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %"


@dataclass(frozen=True)
class Latency:
    """Milliseconds of single calls for one crop; a percentile is None after too few calls.

    `p50` is the median of all calls, its repeats those of consecutive calls.
    """

    p50: Measured
    p90: float | None
    p99: float | None
    calls: int


@dataclass(frozen=True)
class BatchSpeed:
    """Crops per second of the network alone at a batch size, or the reason it has none."""

    batch_size: int
    crops_per_second: Measured | None
    reason: str | None = None


@dataclass(frozen=True)
class Memory:
    """Peak bytes until every instance was predicted: of the process, and of its accelerator.

    The process loads the network, its data and torch, and nothing else. None if the system does not
    tell, or if there is no accelerator.
    """

    process: int | None
    device: int | None = None


@dataclass(frozen=True)
class Conditions:
    """What moves a speed besides the network.

    `batch_size`, `lanes` and `workers` are those of the end-to-end speed; the lanes share the CPU's
    `threads`, all of which serve a call whose latency is measured. `clock_mhz` are the lowest and
    highest under load, of all cores or of the accelerator; `load_average` is that of the minute
    before; `other_cores` is how many cores other processes kept busy meanwhile; `limits` the
    machine's GFLOP/s of matrix products (a multiply-add as two) by precision, on the same lanes.
    """

    processor: str
    cores: int | None
    device: str
    threads: int
    lanes: int
    workers: int
    batch_size: int
    clock_mhz: tuple[float, float] | None
    load_average: float | None
    other_cores: float | None
    limits: dict[str, float]


@dataclass(frozen=True)
class Parity:
    """Largest differences from eager fp32 on the same instances: pixels, scores, fraction of AP.

    `moved_share` is the share of keypoints that lie more than a tenth of a pixel apart.
    """

    keypoints: float
    keypoint_scores: float
    moved_share: float
    ap: float | None


@dataclass(frozen=True)
class Speed:
    """How fast one cell ran.

    `latency` is of the network alone, with the flip test if the protocol has one;
    `latency_with_pixels` from a decoded image to keypoints in it. `without_network` are
    instances per second of all but the network: reading, cropping, normalising, decoding.
    `share_of_limit` is the fraction of the machine's matrix products reached by the network
    alone at its best batch size.
    """

    latency: Latency
    latency_with_pixels: Latency
    batches: tuple[BatchSpeed, ...]
    without_network: Measured
    end_to_end: Measured
    memory: Memory
    conditions: Conditions
    share_of_limit: float | None = None
    parity: Parity | None = None

    @property
    def best(self) -> BatchSpeed | None:
        """The batch size with the most crops per second."""
        known = [(each.crops_per_second, each) for each in self.batches]
        rates = [(rate.value, each) for rate, each in known if rate is not None]
        return max(rates, key=lambda pair: pair[0])[1] if rates else None


def measured(repeats: Sequence[float], value: float | None = None) -> Measured:
    """Return the median of `repeats`, or `value` in its place, and how far to trust it."""
    low, median, high = (float(each) for each in np.percentile(repeats, (25, 50, 75)))
    value = median if value is None else value
    spread = (high - low) / value
    stable = len(repeats) >= FEWEST_REPEATS and spread <= WIDEST_SPREAD
    return Measured(value, spread, stable, tuple(float(each) for each in repeats))


def latency(milliseconds: Sequence[float], blocks: int) -> Latency:
    """Return percentiles of single calls in the order they were made, in `blocks` repeats."""
    calls = len(milliseconds)
    medians = [float(np.median(block)) for block in np.array_split(milliseconds, blocks)]

    def percentile(q: int) -> float | None:
        # With fewer calls it would be their maximum.
        return float(np.percentile(milliseconds, q)) if calls * (100 - q) >= 100 else None

    return Latency(
        measured(medians, float(np.median(milliseconds))),
        percentile(90),
        percentile(99),
        calls,
    )


def share_of_limit(
    gflops: float | None, passes: int, best: BatchSpeed | None, limit: float | None
) -> float | None:
    """Return the fraction of `limit` (GFLOP/s) reached, each crop taking `passes` of `gflops`."""
    if gflops is None or limit is None or best is None or best.crops_per_second is None:
        return None
    # A multiply-add is two operations.
    return 2 * gflops * passes * best.crops_per_second.value / limit


def compared_conditions(conditions: Conditions) -> dict[str, Any]:
    """Return what must be equal in two measurements before their speeds are compared."""
    names = ("processor", "cores", "device", "threads", "lanes", "workers", "batch_size")
    return {name: getattr(conditions, name) for name in names}


def differing_conditions(one: Conditions, other: Conditions) -> str | None:
    """Return the conditions that forbid comparing speeds, such as `cores (2 / 4)`, or None."""
    first, second = compared_conditions(one), compared_conditions(other)
    differing = [name for name in first if first[name] != second[name]]
    return ", ".join(f"{name} ({first[name]} / {second[name]})" for name in differing) or None


def is_told(one: Measured, other: Measured) -> bool:
    """Tell whether the repeats show that two numbers differ.

    Both must be stable, and all repeats of one must be larger than all of the other. Of two times
    five repeats that differ by chance alone, 1 pair in 126 does that.
    """
    apart = max(one.repeats) < min(other.repeats) or max(other.repeats) < min(one.repeats)
    return one.stable and other.stable and apart
