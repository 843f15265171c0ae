"""Student's t against printed tables, closed forms and itself."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest

from posebench.scoring.statistics.student import falling_root, t_quantile, t_tail


@pytest.mark.parametrize(
    ("level", "freedom", "t"),
    [
        (0.05, 1, 12.7062),
        (0.05, 2, 4.3027),
        (0.05, 4, 2.7764),
        (0.01, 9, 3.2498),
        (0.05, 60, 2.0003),
        (0.05, 149, 1.9760),
        (0.001, 5, 6.8688),
        (0.2, 30, 1.3104),
        (1.0, 3, 0.0),
    ],
)
def test_quantiles_are_those_of_printed_tables(level: float, freedom: int, t: float) -> None:
    assert t_quantile(level, freedom) == pytest.approx(t, abs=6e-5)


@pytest.mark.parametrize("t", [1e-6, 0.3, 1.0, 2.5, 40.0, 1e6])
def test_tails_have_closed_forms_for_one_and_two_degrees_of_freedom(t: float) -> None:
    assert t_tail(t, 1) == pytest.approx(2 / math.pi * math.atan(1 / t), rel=1e-12)
    root = math.sqrt(2 + t * t)
    assert t_tail(t, 2) == pytest.approx(2 / (root * (root + t)), rel=1e-12)


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    for level in (1e-6, 0.05, 0.4):
        normal = NormalDist().inv_cdf(1 - level / 2)
        assert t_quantile(level, 10**6) == pytest.approx(normal, rel=2e-5)


@pytest.mark.parametrize("freedom", [1, 2, 3, 7, 59, 984, 5000])
def test_a_quantile_has_its_tail(freedom: int) -> None:
    for level in (1e-15, 1e-9, 1e-3, 0.05, 0.4, 0.999):
        assert t_tail(t_quantile(level, freedom), freedom) == pytest.approx(level, rel=1e-8)
    assert t_tail(0.0, freedom) == 1.0


def test_the_root_of_a_falling_function_is_found_or_the_nearer_end() -> None:
    assert falling_root(lambda x: 2 - x**3, -5, 50) == pytest.approx(2 ** (1 / 3), abs=1e-10)
    assert falling_root(lambda x: -math.inf if x > 1 else 1 - x / 2, 0, 0.5) == 0.5
    assert falling_root(lambda x: -x, 1, 2) == 1
    assert falling_root(lambda x: 1.0 - x, 0.0, 2.0) == 1.0
