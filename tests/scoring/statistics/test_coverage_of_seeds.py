"""How often intervals over seeds and images hold the truth, with AP by posebench's own matcher.

Two arms are trained with new seeds and judged on new images again and again. The truth is the mean
of many seeds on many images.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from trained_arms import Arm, tables_of_arms

from posebench.scoring.matching.metrics import MatchMetric
from posebench.scoring.statistics.bootstrap import weighted_metrics
from posebench.scoring.statistics.estimates import image_replicates
from posebench.scoring.statistics.images_alone import ImageSample
from posebench.scoring.statistics.seeds_and_images import Stratum, sampled_effect

AP = (MatchMetric("AP", "precision"),)
IMAGES, REPLICATES, EXPERIMENTS = 150, 200, 120
Differences = NDArray[np.float64]


def arms(by_seed: float) -> list[Arm]:
    return [Arm(0.07, by_seed), Arm(0.08, by_seed)]


def true_effect(by_seed: float, rng: np.random.Generator) -> float:
    effects = []
    for _ in range(15):
        tables = tables_of_arms(arms(by_seed), 20, 1500, rng)
        everything = np.ones((1, 1500), dtype=np.int32)
        one, other = (
            weighted_metrics([table.matches for table in each], AP, iter([everything]))
            for each in tables
        )
        effects.append(float((one - other).mean()))
    return float(np.mean(effects))


def experiment(seeds: int, by_seed: float, rng: np.random.Generator) -> Stratum:
    one, other = tables_of_arms(arms(by_seed), seeds, IMAGES, rng)
    everything = np.ones((1, IMAGES), dtype=np.int32)
    matches = [table.matches for table in (*one, *other)]
    values = weighted_metrics(matches, AP, iter([everything]))[:, 0, 0]
    draws = image_replicates([*one, *other], AP, REPLICATES, rng)[:, :, 0]
    return Stratum(values[:seeds] - values[seeds:], draws[:seeds] - draws[seeds:])


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "by_seed"), [(3, 0.05), (5, 0.0), (5, 0.2), (10, 0.05)])
def test_intervals_hold_for_new_seeds_and_new_images(seeds: int, by_seed: float) -> None:
    rng = np.random.default_rng([seeds, round(1000 * by_seed)])
    truth, held, held_by_images, wrong = true_effect(by_seed, rng), 0, 0, 0
    for _ in range(EXPERIMENTS):
        stratum = experiment(seeds, by_seed, rng)
        found = sampled_effect([stratum], IMAGES)
        low, high = found.interval()
        held += low <= truth <= high
        wrong += found.p_value(truth) < 0.05
        alone = ImageSample(found.value, stratum.replicates.mean(axis=0), IMAGES)
        ends = alone.interval()
        assert ends is not None
        held_by_images += ends[0] <= truth <= ends[1]
    print(f"{held / EXPERIMENTS:.1%}, by images alone {held_by_images / EXPERIMENTS:.1%}")
    # Three standard deviations of a share of 95 % below it.
    assert held / EXPERIMENTS > 0.95 - 3 * np.sqrt(0.95 * 0.05 / EXPERIMENTS)
    assert wrong == EXPERIMENTS - held
    if by_seed >= 0.2:
        assert held_by_images < 0.8 * EXPERIMENTS
