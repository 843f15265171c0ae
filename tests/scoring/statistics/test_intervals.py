"""Intervals and p-values against closed forms and textbook examples."""

from __future__ import annotations

import numpy as np
import pytest

from posebench.scoring.statistics.intervals import (
    bca_interval,
    detectable_drop,
    holm,
    p_value,
    percentile_interval,
)


def test_percentile_interval_is_the_central_95_percent() -> None:
    replicates = np.arange(1001.0)
    assert percentile_interval(replicates) == pytest.approx((25.0, 975.0))
    assert percentile_interval(np.r_[replicates, np.nan], 0.5) == pytest.approx((250.0, 750.0))
    assert percentile_interval(np.array([np.nan])) is None


def test_bca_of_a_symmetric_unbiased_sample_is_the_percentile_interval() -> None:
    replicates = np.linspace(-1, 1, 2001)
    left_out = np.array([-1.0, 1.0, -2.0, 2.0])
    expected = percentile_interval(replicates)
    assert bca_interval(replicates, 0.0, left_out) == pytest.approx(expected)


def test_bca_levels_are_efrons() -> None:
    """Efron's formula by hand: bias 0.25335 (60 % below), acceleration 1/(6 sqrt 6) = 0.06804.

    -1.70661 / (1 + 0.11612) + 0.25335 = -1.27571, and 2.21331 / (1 - 0.15059) + 0.25335 = 2.85906.
    """
    replicates = np.arange(100_001) / 100_000
    bounds = bca_interval(replicates, 0.6, np.array([0.0, 0.0, -1.0]))
    assert bounds == pytest.approx((0.10103, 0.99788), abs=2e-5)


def test_bca_survives_replicates_all_on_one_side() -> None:
    bounds = bca_interval(np.linspace(1, 2, 100), 0.0, np.zeros(5))
    assert bounds is not None and 1 <= bounds[0] <= bounds[1] <= 2
    assert bca_interval(np.full(3, np.nan), 0.5, np.zeros(2)) is None


def test_p_values_count_replicates_beyond_zero() -> None:
    assert p_value(np.r_[np.full(990, 1.0), np.full(9, -1.0)]) == pytest.approx(0.02)
    assert p_value(-np.r_[np.full(990, 1.0), np.full(9, -1.0)]) == pytest.approx(0.02)
    assert p_value(np.ones(999)) == pytest.approx(0.002)
    assert p_value(np.zeros(999)) == 1.0
    assert p_value(np.array([np.nan])) is None


def test_holm_is_the_textbook_example() -> None:
    """Wikipedia, Holm-Bonferroni method: 0.01, 0.04, 0.03, 0.005 by 4, 3, 2, 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.6]) == [1.0, None, 1.0]
    assert holm([]) == []


def test_a_detectable_drop_is_found_in_four_cases_of_five() -> None:
    rng = np.random.default_rng(0)
    spread = 0.01
    drop = detectable_drop(rng.normal(0, spread, 100_000))
    assert drop == pytest.approx((1.96 + 0.84) * spread, rel=0.01)
    assert drop is not None
    found = np.abs(rng.normal(drop, spread, 100_000)) > 1.96 * spread
    assert found.mean() == pytest.approx(0.8, abs=0.01)


def test_where_nothing_varies_no_drop_is_told() -> None:
    assert detectable_drop(np.zeros(100)) is None
    assert detectable_drop(np.array([np.nan, 0.1])) is None
