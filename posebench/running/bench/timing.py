"""Time calls and rates: warm up, repeat, and keep what tells how far to trust it. No torch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from posebench.results.speed import Latency, Measured, latency, measured

Clock = Callable[[], float]
# With fewer calls p99 would be their maximum.
ENOUGH_CALLS = 100
# A slow network may take this many times as long to make them.
_PATIENCE = 10


@dataclass(frozen=True)
class Budget:
    """How long one number is measured: `repeats` that take `seconds` together, after `warmup`."""

    repeats: int = 5
    seconds: float = 2.0
    warmup: float = 0.5


def time_calls(
    call: Callable[[], object], budget: Budget, clock: Clock = time.perf_counter
) -> Latency:
    """Time single calls, which return when their work is done.

    They go on for `seconds`, and until there are 100 of them unless that takes ten times as long.
    """
    _warm_up(call, budget, clock)
    milliseconds: list[float] = []
    start = end = clock()
    while not _is_enough(len(milliseconds), end - start, budget):
        before = clock()
        call()
        end = clock()
        milliseconds.append(1000 * (end - before))
    return latency(milliseconds, budget.repeats)


def _is_enough(calls: int, seconds: float, budget: Budget) -> bool:
    if calls < budget.repeats or seconds < budget.seconds:
        return False
    return calls >= ENOUGH_CALLS or seconds >= _PATIENCE * budget.seconds


def time_rate(
    run: Callable[[int], object],
    units: int,
    budget: Budget,
    clock: Clock = time.perf_counter,
) -> Measured:
    """Return units per second of `run(calls)`, each call of which does `units` of work.

    A repeat makes as many calls as fit in its share of `seconds`, and at least one.
    """
    fastest = _warm_up(lambda: run(1), budget, clock)
    share = budget.seconds / budget.repeats
    calls = max(1, math.ceil(share / fastest)) if fastest > 0 else 1
    rates = []
    for _ in range(budget.repeats):
        before = clock()
        run(calls)
        rates.append(units * calls / (clock() - before))
    return measured(rates)


def _warm_up(call: Callable[[], object], budget: Budget, clock: Clock) -> float:
    """Call at least once, and until `warmup` has passed; return the seconds of the fastest call."""
    fastest, start = math.inf, clock()
    while True:
        before = clock()
        call()
        now = clock()
        fastest = min(fastest, now - before)
        if now - start >= budget.warmup:
            return fastest
