"""Effects of trainings as they are: p-values that go on where nothing is left to count."""

from __future__ import annotations

import numpy as np
import pytest

from posebench.scoring.statistics.images_alone import ImageSample
from posebench.scoring.statistics.intervals import holm, p_value, percentile_interval


def sample(shift: float, replicates: int = 1000, images: int = 150) -> ImageSample:
    draws = shift + np.random.default_rng(0).standard_normal(replicates)
    return ImageSample(shift, draws, images)


def test_where_replicates_can_be_counted_they_are() -> None:
    for shift in (0.0, 1.0, -2.0):
        found = sample(shift)
        assert found.p_value(0.0) == p_value(found.replicates)
        assert found.interval() == percentile_interval(found.replicates)


def test_beyond_counting_p_falls_like_the_tail_of_student_t() -> None:
    """5 standard errors of 150 images: p 1.6e-6 (t of 149 degrees of freedom), not 2 / 1001."""
    draws = np.random.default_rng(0).permutation(np.linspace(-1, 1, 1001))
    ends = np.quantile(draws, [0.025, 0.975])
    scaled = 1.976 * draws / ends[1]
    found = ImageSample(5.0, 5 + scaled, 150)
    assert found.p_value(0.0) == pytest.approx(1.62e-6, rel=0.03)
    assert ImageSample(50.0, 50 + scaled, 150).p_value(0.0) == 1e-6


def test_thirty_claims_with_thousand_replicates_can_all_be_told() -> None:
    found = sample(6.0)
    counted, told = p_value(found.replicates), found.p_value(0.0)
    assert counted is not None and told is not None
    assert all(p is not None and p > 0.05 for p in holm([counted] * 30))
    assert all(p is not None and p < 0.05 for p in holm([told] * 30))


def test_a_wider_side_has_the_larger_p() -> None:
    rng = np.random.default_rng(0)
    draws = 4 + np.where((z := rng.standard_normal(2000)) < 0, z, z / 3)
    to_the_wide, to_the_narrow = (ImageSample(4.0, draws, 150).p_value(m) for m in (0.0, 8.0))
    assert to_the_wide is not None and to_the_narrow is not None
    assert to_the_wide > to_the_narrow


def test_few_or_equal_replicates_are_counted_only() -> None:
    assert sample(9.0, replicates=50).p_value(0.0) == pytest.approx(2 / 51)
    same = ImageSample(1.0, np.ones(999), 150)
    assert (same.p_value(0.0), same.detectable()) == (pytest.approx(0.002), None)
    none = ImageSample(1.0, np.full(5, np.nan), 150)
    assert (none.p_value(0.0), none.interval(), none.detectable()) == (None, None, None)


def test_the_detectable_distance_is_that_of_the_images() -> None:
    found = sample(0.0)
    spread = np.std(found.replicates, ddof=1)
    assert found.detectable() == pytest.approx((1.9760 + 0.8442) * spread, rel=1e-3)
