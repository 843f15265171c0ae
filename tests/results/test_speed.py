"""Statistics of timings: exact on made-up samples, and the rule of what is stable."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from small_speed import CONDITIONS, SPEED

from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.results.speed import (
    BatchSpeed,
    Speed,
    differing_conditions,
    is_told,
    latency,
    measured,
    share_of_limit,
)


def test_median_and_quartiles_of_repeats() -> None:
    found = measured([100, 104, 96, 102, 98])
    # Sorted 96 98 100 102 104: the quartiles are the second and the fourth.
    assert (found.value, found.spread, found.stable) == (100, pytest.approx(0.04), True)
    assert found.repeats == (100, 104, 96, 102, 98)


def test_why_a_number_is_doubted() -> None:
    assert measured([100, 100, 100]).doubt == "3 repeats"
    assert measured([95, 95, 100, 102, 102]).doubt == "7.0 %"
    assert measured([80, 80, 100, 102, 102]).doubt == "22 %"
    assert measured([100, 100, 100, 100]).doubt is None


@pytest.mark.parametrize(
    ("repeats", "stable"),
    [
        ([100, 100, 100, 100], True),
        ([97.5, 97.5, 100, 102.5, 102.5], True),
        ([97.4, 97.4, 100, 102.5, 102.5], False),
        # One outlier of five is no doubt, two are.
        ([100, 100, 100, 100, 50], True),
        ([100, 100, 100, 50, 50], False),
        ([100, 100, 100], False),
        ([100], False),
    ],
)
def test_what_is_called_stable(repeats: list[float], stable: bool) -> None:
    assert measured(repeats).stable is stable


def test_percentiles_of_calls_need_enough_of_them() -> None:
    found = latency([float(each) for each in range(1, 102)], blocks=5)
    # 1..101: percentile q lies exactly on 1 + q.
    assert (found.p50.value, found.p90, found.p99, found.calls) == (51, 91, 100, 101)
    assert found.p50.repeats == (11, 31.5, 51.5, 71.5, 91.5)
    assert not found.p50.stable
    few = latency([1.0] * 99, blocks=5)
    assert (few.p90, few.p99) == (1, None)
    assert latency([1.0] * 9, blocks=3).p90 is None


def test_the_share_of_the_limit_counts_a_multiply_add_as_two() -> None:
    # 10 crops/s of 2 G multiply-adds, each crop twice: 80 GFLOP/s of 160.
    ten = BatchSpeed(8, measured([10.0] * 5))
    assert share_of_limit(2.0, 2, ten, 160.0) == pytest.approx(0.5)
    assert share_of_limit(None, 1, ten, 160.0) is None
    assert share_of_limit(2.0, 1, ten, None) is None
    assert share_of_limit(2.0, 1, None, 160.0) is None


def test_a_difference_is_told_only_where_repeats_lie_apart() -> None:
    slow, fast = measured([100, 101, 102, 103, 104]), measured([105, 106, 107, 108, 109])
    assert is_told(slow, fast) and is_told(fast, slow)
    assert not is_told(slow, measured([104, 106, 107, 108, 109]))
    assert not is_told(slow, measured([200, 300, 400, 500, 600]))
    # Of ten repeats that differ by chance alone, the five first are all lower or all higher in:
    orders = list(itertools.combinations(range(10), 5))
    apart = [o for o in orders if set(o) in ({*range(5)}, {*range(5, 10)})]
    assert (len(apart), len(orders)) == (2, 2 * 126)


def test_the_best_batch_size_is_the_fastest_that_runs() -> None:
    assert SPEED.best is not None and SPEED.best.batch_size == 8
    none = replace(SPEED, batches=(BatchSpeed(4, None, "no memory"),))
    assert none.best is None


def test_speeds_compare_on_one_machine_only() -> None:
    warm = replace(CONDITIONS, clock_mhz=None, load_average=3.0, limits={"fp32": 1.0})
    assert differing_conditions(CONDITIONS, warm) is None
    other = replace(CONDITIONS, cores=4, lanes=4)
    assert differing_conditions(CONDITIONS, other) == "cores (2 / 4), lanes (2 / 4)"


def test_records_read_back_the_same() -> None:
    assert record_from_mapping(Speed, mapping_from_record(SPEED), where="speed") == SPEED
