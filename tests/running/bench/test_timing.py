"""Timing by a clock that only the work under test moves."""

from __future__ import annotations

import pytest

from posebench.running.bench.timing import ENOUGH_CALLS, Budget, time_calls, time_rate


class Clock:
    """A clock, and work that takes the seconds it is told to."""

    def __init__(self, *seconds: float) -> None:
        self.now = 0.0
        self.calls = 0
        self._seconds = seconds

    def __call__(self) -> float:
        return self.now

    def work(self) -> None:
        self.now += self._seconds[min(self.calls, len(self._seconds) - 1)]
        self.calls += 1

    def run(self, calls: int) -> None:
        for _ in range(calls):
            self.work()


def test_calls_are_timed_one_by_one_after_the_warm_up() -> None:
    clock = Clock(8.0, 0.5, 0.25)
    found = time_calls(clock.work, Budget(repeats=5, seconds=25.0, warmup=8.5), clock)
    # 8 s and 0.5 s are warm-up, then 25 s of 0.25 s each.
    assert (found.calls, clock.calls) == (100, 102)
    assert (found.p50.value, found.p90, found.p99) == (250, 250, 250)
    assert found.p50.stable


def test_calls_go_on_until_percentiles_can_be_told() -> None:
    clock = Clock(0.25)
    assert time_calls(clock.work, Budget(5, 4.0, 0.0), clock).calls == ENOUGH_CALLS


def test_a_slow_call_is_not_waited_for_forever() -> None:
    clock = Clock(4.0)
    found = time_calls(clock.work, Budget(5, 4.0, 0.0), clock)
    assert (found.calls, found.p90, found.p99) == (10, 4000, None)
    clock = Clock(100.0)
    assert time_calls(clock.work, Budget(5, 4.0, 0.0), clock).calls == 5


def test_a_rate_counts_units_of_as_many_calls_as_fit() -> None:
    clock = Clock(8.0, 0.25)
    found = time_rate(clock.run, 16, Budget(repeats=4, seconds=8.0, warmup=8.25), clock)
    # 2 s a repeat, 8 calls of the fastest seen.
    assert clock.calls == 2 + 4 * 8
    assert found.repeats == (64, 64, 64, 64)
    assert (found.value, found.stable) == (64, True)


def test_a_rate_of_slow_calls_makes_one_a_repeat() -> None:
    clock = Clock(4.0, 4.0, 4.0, 8.0)
    found = time_rate(clock.run, 8, Budget(repeats=4, seconds=2.0, warmup=0.0), clock)
    assert clock.calls == 5
    assert found.repeats == (2, 2, 1, 1)
    assert (found.value, found.stable) == (pytest.approx(1.5), False)
