"""Seeds and images in one interval: closed forms, and the reference implementation."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
from outside_files import NO_TEST_DATA, real_data_folder

from posebench.scoring.statistics.seeds_and_images import (
    ENDLESS_SEEDS,
    SampledEffect,
    Stratum,
    sampled_effect,
)
from posebench.scoring.statistics.student import t_quantile


def crossed(seeds: int, replicates: int = 300, rng_seed: int = 0) -> Stratum:
    """Return effects of seeds, and replicates of which the seeds share a part."""
    rng = np.random.default_rng(rng_seed)
    values = rng.standard_normal(seeds)
    noise = rng.standard_normal(replicates) + 0.7 * rng.standard_normal((seeds, replicates))
    return Stratum(values, values[:, None] + noise)


def test_without_image_noise_it_is_the_t_interval_of_seeds() -> None:
    values = np.array([1.0, 2.0, 4.0, 5.0])
    found = sampled_effect([Stratum(values, np.tile(values[:, None], 50))], 985)
    half = 3.1824 * np.std(values, ddof=1) / 2
    assert (found.value, found.seed_freedom, found.image_variance) == (3.0, 3, 0.0)
    assert found.interval() == pytest.approx((3 - half, 3 + half), abs=1e-4)


def test_without_seed_noise_it_is_the_interval_of_images() -> None:
    shared = np.random.default_rng(0).standard_normal(400)
    found = sampled_effect([Stratum(np.ones(5), np.tile(shared, (5, 1)))], 150)
    assert found.seed_variance == 0
    spread = np.std(shared, ddof=1)
    assert found.half_width() == pytest.approx(1.9760 * spread, rel=1e-4)
    # Fewer replicates than images tell less than the images do.
    assert sampled_effect([Stratum(np.ones(5), np.tile(shared, (5, 1)))], 985).image_freedom == 399


def test_what_seeds_have_to_themselves_counts_once() -> None:
    """Gaussian model: seeds 1, images 10 / 150 shared and as much again for each seed alone."""
    rng, images, seed_part, image_part = np.random.default_rng(0), 150, 0.0, 0.0
    for _ in range(200):
        seeds = rng.standard_normal(5)
        noise = rng.standard_normal(images) + rng.standard_normal((5, images))
        scores = seeds[:, None] + np.sqrt(150.0) * noise
        weights = rng.multinomial(images, [1 / images] * images, size=300) / images
        found = sampled_effect([Stratum(scores.mean(axis=1), scores @ weights.T)], images)
        seed_part += found.seed_variance / 200
        image_part += found.image_variance / 200
    assert seed_part == pytest.approx((1 + 1) / 5, abs=0.05)
    assert image_part == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("level", [0.4, 0.05, 1e-3, 1e-8])
def test_p_is_the_level_whose_interval_ends_at_the_margin(level: float) -> None:
    found = sampled_effect([crossed(5)], 150)
    for sign in (-1, 1):
        margin = found.value + sign * found.half_width(level)
        assert found.p_value(margin) == pytest.approx(level, rel=1e-6)


def test_p_has_no_floor_but_the_arithmetic() -> None:
    found = SampledEffect(5.0, 1e-6, 1e-6, 9, 984, 10)
    assert found.p_value(0.0) < 1e-14
    assert found.p_value(5.0) == 1.0
    without_chance = SampledEffect(5.0, 0.0, 0.0, 4, 149, 5)
    assert without_chance.p_value(0.0) < 1e-9
    assert without_chance.detectable() is without_chance.detectable(10) is None


def test_the_detectable_distance_is_two_half_widths_and_shrinks_with_seeds() -> None:
    found = sampled_effect([crossed(5)], 150)
    assert found.detectable() == pytest.approx(found.half_width(0.05) + found.half_width(0.4))
    assert found.detectable(5) == found.detectable()
    more = [found.detectable(seeds) for seeds in (5, 10, 1000, ENDLESS_SEEDS)]
    assert more == sorted(more, reverse=True)
    images = np.sqrt(found.image_variance)
    assert more[-1] == pytest.approx(images * (t_quantile(0.05, 149) + t_quantile(0.4, 149)))


def test_arms_without_common_seeds_have_the_freedom_of_satterthwaite() -> None:
    """Welch's test: variances 4 / 4 and 1 / 9, (1 + 1/9)^2 / (1 / 3 + 1 / 81 / 8) = 3.686."""
    one, other = (np.resize([-1.0, 1.0], count) for count in (4, 9))
    one = one * 2 / one.std(ddof=1)
    other = other / other.std(ddof=1)
    strata = [
        Stratum(one, np.tile(one[:, None], 20)),
        Stratum(other, np.tile(other[:, None], 20), -1.0),
    ]
    found = sampled_effect(strata, 150)
    assert found.seed_variance == pytest.approx(4 / 4 + 1 / 9)
    assert (found.seed_freedom, found.seeds, found.detectable(10)) == (3, None, None)


def test_one_seed_in_a_stratum_leaves_the_images_alone() -> None:
    found = sampled_effect([crossed(3), crossed(1)], 150)
    assert (found.seed_freedom, found.seed_variance) == (None, 0.0)
    assert found.half_width() == pytest.approx(1.976 * np.sqrt(found.image_variance), rel=1e-3)


def test_replicates_that_a_seed_lacks_count_for_none() -> None:
    plain, holed = crossed(3), crossed(3)
    holed.replicates[1, :7] = np.nan
    expected = sampled_effect([Stratum(plain.values, plain.replicates[:, 7:])], 150)
    assert sampled_effect([holed], 150) == expected


@pytest.fixture(scope="module")
def reference() -> Any:
    folder = real_data_folder()
    path = None if folder is None else folder / "oracles" / "seeds_and_images.py"
    if path is None or not path.is_file():
        pytest.skip(NO_TEST_DATA)
    spec = importlib.util.spec_from_file_location("reference_seeds_and_images", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("counts", [(3,), (5,), (10,), (5, 5), (3, 8), (1,), (4, 1)])
def test_all_numbers_are_those_of_the_reference(reference: Any, counts: tuple[int, ...]) -> None:
    drawn = [crossed(count, rng_seed=place) for place, count in enumerate(counts)]
    weights = [1.0, -0.5][: len(drawn)]
    strata = [
        Stratum(each.values, each.replicates, weight)
        for each, weight in zip(drawn, weights, strict=True)
    ]
    theirs = reference.effect(
        [each.values for each in drawn], [each.replicates for each in drawn], 150, weights
    )
    ours = sampled_effect(strata, 150)
    assert (ours.value, ours.seed_variance, ours.image_variance) == pytest.approx(
        (theirs.value, theirs.seed, theirs.image)
    )
    assert ours.seed_freedom == theirs.df
    for level in (0.001, 0.05, 0.4):
        assert ours.half_width(level) == pytest.approx(theirs.half_width(level), rel=2e-5)
    for margin in (0.0, 0.5, 2.0, 6.0):
        assert ours.p_value(margin) == pytest.approx(theirs.p_value(margin), rel=2e-3)
    assert ours.detectable() == pytest.approx(theirs.detectable(), rel=2e-5)
    if len(counts) == 1 and counts[0] > 1:
        for seeds in (10, ENDLESS_SEEDS):
            expected = theirs.detectable(seeds=seeds)
            assert ours.detectable(seeds) == pytest.approx(expected, rel=2e-5)
