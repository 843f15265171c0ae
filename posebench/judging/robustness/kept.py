"""The share of AP that networks keep on corrupted images, by kind of corruption and by paradigm.

Of data without AP it is that of their first number, if more is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.corruptions.names import NO_CORRUPTION, parse_corruption
from posebench.errors import UsageError
from posebench.judging.claim_cells import cells_of, replicates_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.chance import Replicates
from posebench.results.numbers import main_metric, number_named
from posebench.results.store import Run
from posebench.scoring.statistics.estimates import Estimate, estimate_of

ALL_KINDS = "all"
_CORRUPTION, _DATASET = "corruption", "dataset"
Pair = tuple[ClaimCell, ClaimCell]
"""A cell on corrupted images, and the same on clean ones."""
Ratios = NDArray[np.float64] | None


@dataclass(frozen=True)
class KeptShare:
    """The mean of a number on corrupted images over that on clean ones, with its interval.

    It is over the levels of a `kind` and the networks of a `paradigm`, `cells` together; the kind
    `all` is the mean over kinds.
    """

    kind: str
    paradigm: str
    share: Estimate
    cells: int


@dataclass(frozen=True)
class KeptGap:
    """The share that the `first` paradigm keeps minus that of the `second`, paired by image."""

    kind: str
    first: str
    second: str
    difference: Estimate


@dataclass(frozen=True)
class LeftOut:
    """A corruption that does not count on a data set, for these networks have no number there."""

    corruption: str
    dataset: str
    lacking: tuple[str, ...]


@dataclass(frozen=True)
class KeptShares:
    """What the paradigms of a run keep of a number, how they differ, and what does not count.

    `without_clean` are networks that have it on corrupted images and not on clean ones.
    """

    metric: str
    shares: tuple[KeptShare, ...]
    gaps: tuple[KeptGap, ...]
    left_out: tuple[LeftOut, ...] = ()
    without_clean: tuple[str, ...] = ()


def kept_shares(run: Run) -> KeptShares:
    """Return the shares that each paradigm keeps, by kind in the run's order, then over all kinds.

    They are shares of AP, or of the first number of data without AP. A network's clean cell is the
    one that differs in the corruption alone; networks whose clean number is missing or 0 do not
    count. A corruption counts on a data set if every other network has the number there, so that
    paradigms are compared over the same levels. Differences are taken within each resample of the
    images, which all networks share. Raises `UsageError` if nothing counts, or less is better.
    """
    metric = main_metric(cell.result for cell in run.cells)
    if number_named(metric).better == "lower":
        raise UsageError(
            f"{run.folder} is known by {metric}, of which less is better: nobody keeps a share.",
            hint=f"posebench table RUN --rows checkpoint --columns corruption shows {metric}.",
        )
    cells = [cell for cell in cells_of(run) if cell.values.get(metric) is not None]
    clean = {_place(cell): cell for cell in cells if _kind(cell) is None and cell.values[metric]}
    corrupted = [cell for cell in cells if _kind(cell) is not None]
    pairs = [(cell, clean[_place(cell)]) for cell in corrupted if _place(cell) in clean]
    if not pairs:
        raise UsageError(
            f"{run.folder} has no network on both clean and corrupted images.",
            hint="A suite with corruptions: [none, blur-3], or eval --corruption none,blur-3.",
        )
    left_out = _left_out(pairs)
    out = {(each.corruption, each.dataset) for each in left_out}
    pairs = [pair for pair in pairs if _condition(pair[0]) not in out]
    if not pairs:
        raise UsageError(
            f"{run.folder} has no corruption that all of its networks have {metric} on.",
            hint="`posebench run` again tries failed cells; a suite for each data set compares "
            "networks that are not on the same data sets.",
        )
    replicates = replicates_of(run, {cell.id for pair in pairs for cell in pair}, [metric])
    found = _means(pairs, metric, replicates)
    without = dict.fromkeys(cell.checkpoint for cell in corrupted if _place(cell) not in clean)
    return KeptShares(metric, tuple(_shares(found)), tuple(_gaps(found)), left_out, tuple(without))


def _kind(cell: ClaimCell) -> str | None:
    found = parse_corruption(cell.fields.get(_CORRUPTION, NO_CORRUPTION))
    return None if found is None else found.kind


def _place(cell: ClaimCell, *but: str) -> tuple[tuple[str, str], ...]:
    left = {_CORRUPTION, *but}
    return tuple(sorted((k, v) for k, v in cell.fields.items() if k not in left))


def _condition(cell: ClaimCell) -> tuple[str, str]:
    return cell.fields[_CORRUPTION], cell.fields.get(_DATASET, "")


def _left_out(pairs: Sequence[Pair]) -> tuple[LeftOut, ...]:
    """Return the corruptions that some network lacks, on each data set."""
    networks = {_place(one, _DATASET): one.checkpoint for one, _ in pairs}
    having: dict[tuple[str, str], set[tuple[tuple[str, str], ...]]] = {}
    for one, _ in pairs:
        having.setdefault(_condition(one), set()).add(_place(one, _DATASET))
    found = []
    for (corruption, dataset), those in having.items():
        lacking = dict.fromkeys(name for place, name in networks.items() if place not in those)
        if lacking:
            found.append(LeftOut(corruption, dataset, tuple(lacking)))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _Mean:
    """A mean ratio, the same in each resample, and the number of cells it is of."""

    value: float
    draws: Ratios
    cells: int


def _means(
    pairs: Sequence[Pair], metric: str, replicates: Replicates
) -> dict[tuple[str, str], _Mean]:
    """Return the means by kind and paradigm, those over all kinds last."""
    groups: dict[tuple[str, str], list[Pair]] = {}
    for one, other in pairs:
        place = str(_kind(one)), one.fields.get("paradigm", "")
        groups.setdefault(place, []).append((one, other))
    found = {
        place: _Mean(
            float(np.mean([_ratio(*pair, metric) for pair in those])),
            _draws(those, metric, replicates),
            len(those),
        )
        for place, those in groups.items()
    }
    for paradigm in dict.fromkeys(paradigm for _, paradigm in groups):
        kinds = [mean for (_, each), mean in found.items() if each == paradigm]
        known = [mean.draws for mean in kinds if mean.draws is not None]
        found[ALL_KINDS, paradigm] = _Mean(
            float(np.mean([mean.value for mean in kinds])),
            np.mean(known, axis=0) if len(known) == len(kinds) else None,
            sum(mean.cells for mean in kinds),
        )
    return found


def _shares(means: Mapping[tuple[str, str], _Mean]) -> Iterator[KeptShare]:
    for (kind, paradigm), mean in means.items():
        yield KeptShare(kind, paradigm, estimate_of(mean.value, mean.draws), mean.cells)


def _gaps(means: Mapping[tuple[str, str], _Mean]) -> Iterator[KeptGap]:
    kinds = dict.fromkeys(kind for kind, _ in means)
    paradigms = dict.fromkeys(paradigm for _, paradigm in means)
    for kind, (first, second) in product(kinds, combinations(paradigms, 2)):
        one, other = means[kind, first], means[kind, second]
        draws = None
        if one.draws is not None and other.draws is not None:
            draws = one.draws - other.draws
        yield KeptGap(kind, first, second, estimate_of(one.value - other.value, draws))


def _ratio(one: ClaimCell, other: ClaimCell, metric: str) -> float:
    corrupted, clean = one.values[metric], other.values[metric]
    return math.nan if corrupted is None or clean is None else corrupted / clean


def _draws(pairs: Sequence[Pair], metric: str, replicates: Replicates) -> Ratios:
    """Return the mean ratio of each resample; None if a cell was not resampled."""
    if any((cell.id, metric) not in replicates for pair in pairs for cell in pair):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [replicates[one.id, metric] / replicates[other.id, metric] for one, other in pairs]
    found: NDArray[np.float64] = np.mean(ratios, axis=0)
    return found
