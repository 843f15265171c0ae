"""Intervals and p-values against closed forms and SciPy's definitions written out."""

from __future__ import annotations

import numpy as np
import pytest

from posebench.evaluation.intervals import bca_interval, holm, p_value, percentile_interval


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
    """Efron's formula, evaluated by hand for bias 0.2533 (60 % below) and acceleration 0.1."""
    replicates = np.arange(100_001) / 100_000
    # Values u, v with sum(d^3) / (6 * sum(d^2)^1.5) = 0.1, d = mean - value.
    left_out = jackknife_with_acceleration(0.1)
    low, high = bca_interval(replicates, 0.6, left_out) or (0, 0)
    # z0 = 0.25335, z0 - 1.95996 = -1.70662 -> /(1 + 0.170662) = -1.45782; + z0 = -1.20447
    # z0 + 1.95996 = 2.21331 -> /(1 - 0.221331) = 2.84243; + z0 = 3.09578
    assert low == pytest.approx(0.1142, abs=2e-4)
    assert high == pytest.approx(0.99902, abs=2e-5)


def jackknife_with_acceleration(wanted: float) -> np.ndarray:
    """Return one outlier among n equals: acceleration (n - 2) / (6 sqrt(n (n - 1)))."""
    best = min(
        (np.r_[np.zeros(n - 1), -1.0] for n in range(3, 12)),
        key=lambda values: abs(acceleration(values) - wanted),
    )
    tilt = np.linspace(-3, 3, 60_001)
    shapes = np.array([acceleration(np.r_[best, t, -t]) for t in tilt[::100]])
    found = tilt[::100][np.argmin(abs(shapes - wanted))]
    return np.r_[best, found, -found]


def acceleration(values: np.ndarray) -> float:
    influence = values.mean() - values
    return float((influence**3).sum() / (6 * (influence**2).sum() ** 1.5))


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
