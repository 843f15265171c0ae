"""What chance does to a claim's effect: intervals and p-values by seeds and images. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.pair import Pair, SeedWeights, mean_weights, strata_of
from posebench.scoring.statistics.images_alone import ImageSample
from posebench.scoring.statistics.seeds_and_images import (
    ENDLESS_SEEDS,
    LEAST_SEEDS,
    SampledEffect,
    Stratum,
    sampled_effect,
)
from posebench.suites.claims import Claim, Scope

Replicates = Mapping[tuple[str, str], NDArray[np.float64]]
"""Replicates (B,) by cell id and metric, of the same draws for all cells of a data set."""
Cells = Mapping[str, ClaimCell]
PLANNED_SEEDS = 10
# One tells nothing of how replicates vary.
_FEWEST_REPLICATES = 2


@dataclass(frozen=True)
class Detectable:
    """The smallest distances from the margin that are told at 5 % in four cases of five.

    `now` is that of the data at hand; `with_10_seeds` and `with_endless_seeds` those of as many
    paired seeds with the same spread, None where the spread is not known.
    """

    now: float
    with_10_seeds: float | None = None
    with_endless_seeds: float | None = None


@dataclass(frozen=True)
class Estimate:
    """An effect in the metric's own scale with what chance leaves open, None where not known.

    `p` is two-sided, of an effect at the margin. `seeds` counts those of each stratum (one stratum
    where they are paired), `by_seed` are the effects of paired seeds.
    """

    effect: float
    seeds: tuple[int, ...]
    by_seed: tuple[tuple[str, float], ...] = ()
    low: float | None = None
    high: float | None = None
    p: float | None = None
    detectable: Detectable | None = None


def scope_of(claim: Claim, pairs: Sequence[Pair]) -> Scope:
    """Return what a verdict is about: what the claim asks for, or else what the seeds allow."""
    if claim.scope is not None:
        return claim.scope
    return "paradigm" if has_seeds_enough(pairs) else "these weights"


def has_seeds_enough(pairs: Sequence[Pair]) -> bool:
    """Tell whether new seeds can be judged from those of these pairs."""
    return _are_enough(strata_of(pairs))


def _are_enough(strata: Sequence[SeedWeights]) -> bool:
    return all(len(stratum) >= LEAST_SEEDS for stratum in strata)


def estimate_of(
    claim: Claim, pairs: Sequence[Pair], cells: Cells, replicates: Replicates
) -> Estimate:
    """Return the mean effect of pairs with its interval, for the scope of the claim."""
    strata = strata_of(pairs)
    values = [_values(claim, stratum, cells) for stratum in strata]
    effect = float(sum(each.mean() for each in values))
    seeds = tuple(len(each) for each in values)
    by_seed = tuple(zip(strata[0], map(float, values[0]), strict=True)) if len(strata) == 1 else ()
    plain = Estimate(effect, seeds, by_seed if len(by_seed) > 1 else ())
    sample = _sample(claim, strata, values, _smallest_set(strata, cells), replicates)
    ends = None if sample is None else sample.interval()
    if sample is None or ends is None:
        return plain
    p = _p_value(claim, effect, sample)
    return Estimate(effect, seeds, plain.by_seed, *ends, p, _detectable(sample))


def _sample(
    claim: Claim,
    strata: Sequence[SeedWeights],
    values: Sequence[NDArray[np.float64]],
    images: int | None,
    replicates: Replicates,
) -> ImageSample | SampledEffect | None:
    """Return what was resampled, None where seeds are too few or cells share no replicates.

    A replicate counts if all cells have a value in it.
    """
    total = mean_weights(strata)
    if any((name, claim.metric) not in replicates for name in total):
        return None
    draws = [
        np.stack([_weighted(claim, weights, replicates) for weights in stratum.values()])
        for stratum in strata
    ]
    if np.count_nonzero(~np.isnan(np.concatenate(draws)).any(axis=0)) < _FEWEST_REPLICATES:
        return None
    images = images or draws[0].shape[1]
    if _are_enough(strata) and claim.scope != "these weights":
        parts = [Stratum(*each) for each in zip(values, draws, strict=True)]
        return sampled_effect(parts, images)
    if claim.scope == "paradigm":
        return None
    effect = float(sum(each.mean() for each in values))
    return ImageSample(effect, _weighted(claim, total, replicates), images)


def _values(claim: Claim, stratum: SeedWeights, cells: Cells) -> NDArray[np.float64]:
    """Return the effect (n,) of each seed."""
    effects = list[float]()
    for weights in stratum.values():
        total = 0.0
        for name, weight in weights.items():
            value = cells[name].values.get(claim.metric)
            assert value is not None, "a contrast leaves out pairs without value"
            total += weight * value
        effects.append(total)
    return np.array(effects)


def _weighted(
    claim: Claim, weights: Mapping[str, float], replicates: Replicates
) -> NDArray[np.float64]:
    """Return the replicates (B,) of a weighted sum of cells."""
    terms = [weight * replicates[name, claim.metric] for name, weight in weights.items()]
    total: NDArray[np.float64] = np.sum(terms, axis=0)
    return total


def _p_value(claim: Claim, effect: float, sample: ImageSample | SampledEffect) -> float | None:
    """Return the p-value of an effect that lies at the margin, where support ends."""
    if claim.direction != "within":
        return sample.p_value(claim.margin if claim.direction == "greater" else -claim.margin)
    if abs(effect) >= claim.margin:
        return sample.p_value(claim.margin if effect > 0 else -claim.margin)
    # Equivalence: the effect must be told from both margins.
    sides = [sample.p_value(claim.margin), sample.p_value(-claim.margin)]
    known = [p for p in sides if p is not None]
    return max(known) if len(known) == len(sides) else None


def _detectable(sample: ImageSample | SampledEffect) -> Detectable | None:
    now = sample.detectable()
    if now is None or isinstance(sample, ImageSample):
        return None if now is None else Detectable(now)
    return Detectable(now, sample.detectable(PLANNED_SEEDS), sample.detectable(ENDLESS_SEEDS))


def _smallest_set(strata: Sequence[SeedWeights], cells: Cells) -> int | None:
    """Return the number of images of the smallest data set, or of what else was resampled."""
    used = [cells[name] for name in mean_weights(strata)]
    counts = [cell.units or cell.identity.get("images") for cell in used]
    return min((count for count in counts if isinstance(count, int)), default=None)
