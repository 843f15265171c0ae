"""In what else the published networks of a claim's pairs differ. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from posebench.judging.pairs.pair import Pair
from posebench.zoo.confounds import confounds
from posebench.zoo.published import PublishedCheckpoint, published_checkpoints


def confounds_of(pairs: Sequence[Pair], checkpoints: Mapping[str, str]) -> tuple[str, ...]:
    """Return the factors besides the contrasted one, each with its values on either side.

    `checkpoints` are those of the cells, by id; what the zoo does not list is passed over.
    """
    published = {entry.id: entry for entry in published_checkpoints()}
    found: dict[str, dict[str, None]] = {}
    for pair in pairs:
        sides = [
            [published[name] for cell in side if (name := checkpoints[cell]) in published]
            for side in (pair.treatment, pair.control)
        ]
        for factor, values in _between(*sides).items():
            found.setdefault(factor, {})[values] = None
    return tuple(f"{factor} ({'; '.join(values)})" for factor, values in found.items())


def _between(
    treated: Sequence[PublishedCheckpoint], controls: Sequence[PublishedCheckpoint]
) -> dict[str, str]:
    """Return the factors that not every network shares with one of the other side."""
    differing: dict[tuple[str, str], dict[str, tuple[str, str]]] = {
        (one.id, other.id): {each.factor: (each.one, each.other) for each in confounds(one, other)}
        for one in treated
        for other in controls
    }
    names = dict.fromkeys(name for factors in differing.values() for name in factors)
    found = {}
    for name in names:
        shared = [pair for pair, factors in differing.items() if name not in factors]
        alone = {one.id for one in treated} - {one for one, _ in shared}
        alone |= {other.id for other in controls} - {other for _, other in shared}
        told = [f[name] for pair, f in differing.items() if name in f and alone & {*pair}]
        if told:
            one, other = (", ".join(dict.fromkeys(side)) for side in zip(*told, strict=True))
            found[name] = f"{one} against {other}"
    return found
