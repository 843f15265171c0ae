"""A pair's effect as weighted sums of cells, one for each seed of the training. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

SeedWeights = Mapping[str, Mapping[str, float]]
"""The weights of cells by their ids, for each seed."""


@dataclass(frozen=True)
class Pair:
    """One effect of a claim: what its cells share, and the weight of each.

    There is one of `strata` where treatment and control share seeds, and one for each side where
    they share none; a cell without a label has the seed `""`. `treatment` and `control` are the
    ids of either side. `place` is the data set, and what was trained on if a label says it.
    `undeclared` says in what the trainings differ, if the claim declares no factor.
    """

    shares: str
    strata: tuple[SeedWeights, ...]
    treatment: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    place: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each cell in the sum of the strata's means over seeds."""
        return mean_weights(self.strata)


def mean_weights(strata: Sequence[SeedWeights]) -> dict[str, float]:
    """Return the weight of each cell in the sum of the strata's means over seeds."""
    return summed([(weights, 1 / len(each)) for each in strata for weights in each.values()])


def summed(parts: Sequence[tuple[Mapping[str, float], float]]) -> dict[str, float]:
    """Return the weight of each cell in a weighted sum of sums."""
    total: dict[str, float] = {}
    for weights, factor in parts:
        for name, weight in weights.items():
            total[name] = total.get(name, 0.0) + weight * factor
    return total


def with_shared_seeds(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], tuple[str, ...]]:
    """Return pairs with the seeds that all of them have, and a line for each that lost some.

    Where the pairs have no seed in common, all keep theirs.
    """
    seeds = [set(pair.strata[0]) for pair in pairs if len(pair.strata) == 1]
    common = set[str].intersection(*seeds) if seeds else set[str]()
    if len(seeds) < len(pairs) or not common:
        return tuple(pairs), ()
    kept, dropped = [], []
    for pair in pairs:
        (stratum,) = pair.strata
        shared = {seed: weights for seed, weights in stratum.items() if seed in common}
        kept.append(replace(pair, strata=(shared,)))
        if lost := [seed for seed in stratum if seed not in common]:
            dropped.append(f"{pair.shares}: another pair has no seed {', '.join(lost)}")
    return tuple(kept), tuple(dropped)


def strata_of(pairs: Sequence[Pair]) -> list[SeedWeights]:
    """Return the weights of the mean over pairs, for each seed that the pairs share.

    Pairs that share no seeds are strata of their own. The effect is the sum of the means of all
    strata.
    """
    share = 1 / len(pairs)
    first = pairs[0].strata
    if all(len(p.strata) == 1 and p.strata[0].keys() == first[0].keys() for p in pairs):
        return [
            {seed: summed([(pair.strata[0][seed], share) for pair in pairs]) for seed in first[0]}
        ]
    return [
        {seed: summed([(weights, share)]) for seed, weights in stratum.items()}
        for pair in pairs
        for stratum in pair.strata
    ]
