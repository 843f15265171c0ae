"""The share of AP that networks keep on corrupted images, by kind of corruption and by paradigm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.corruptions.names import NO_CORRUPTION, parse_corruption
from posebench.errors import UsageError
from posebench.judging.claim_cells import cells_of, replicates_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.chance import Replicates
from posebench.results.numbers import AP
from posebench.results.store import Run
from posebench.scoring.statistics.estimates import Estimate
from posebench.scoring.statistics.intervals import percentile_interval

ALL_KINDS = "all"
_CORRUPTION = "corruption"


@dataclass(frozen=True)
class KeptShare:
    """The mean of AP on corrupted images over AP on clean ones, with its interval over images.

    It is over the levels of a `kind` and the networks of a `paradigm`, `cells` together; the kind
    `all` is the mean over kinds.
    """

    kind: str
    paradigm: str
    share: Estimate
    cells: int


def kept_shares(run: Run) -> tuple[KeptShare, ...]:
    """Return the shares that each paradigm keeps, by kind in the run's order, then over all kinds.

    A network's clean cell is the one that differs in the corruption alone; cells without one, or
    whose clean AP is 0, do not count. Raises `UsageError` if there is none.
    """
    cells = cells_of(run)
    clean = {_place(cell): cell for cell in cells if _kind(cell) is None}
    pairs = [
        (cell, clean[_place(cell)])
        for cell in cells
        if _kind(cell) is not None and _place(cell) in clean
    ]
    pairs = [(one, other) for one, other in pairs if one.values.get(AP) is not None]
    pairs = [(one, other) for one, other in pairs if other.values.get(AP)]
    if not pairs:
        raise UsageError(
            f"{run.folder} has no network on both clean and corrupted images.",
            hint="A suite with corruptions: [none, blur-3], or eval --corruption none,blur-3.",
        )
    replicates = replicates_of(run, {cell.id for pair in pairs for cell in pair}, [AP])
    groups: dict[tuple[str, str], list[tuple[ClaimCell, ClaimCell]]] = {}
    for one, other in pairs:
        place = str(_kind(one)), one.fields.get("paradigm", "")
        groups.setdefault(place, []).append((one, other))
    return tuple(_shares(groups, replicates))


def _kind(cell: ClaimCell) -> str | None:
    found = parse_corruption(cell.fields.get(_CORRUPTION, NO_CORRUPTION))
    return None if found is None else found.kind


def _place(cell: ClaimCell) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, v) for k, v in cell.fields.items() if k != _CORRUPTION))


def _shares(
    groups: Mapping[tuple[str, str], Sequence[tuple[ClaimCell, ClaimCell]]],
    replicates: Replicates,
) -> list[KeptShare]:
    means: dict[str, list[tuple[float, NDArray[np.float64] | None, int]]] = {}
    found = []
    for (kind, paradigm), pairs in groups.items():
        value = float(np.mean([_ratio(one, other) for one, other in pairs]))
        draws = _draws(pairs, replicates)
        found.append(KeptShare(kind, paradigm, _estimate(value, draws), len(pairs)))
        means.setdefault(paradigm, []).append((value, draws, len(pairs)))
    for paradigm, kinds in means.items():
        known = [draws for _, draws, _ in kinds if draws is not None]
        draws = np.mean(known, axis=0) if len(known) == len(kinds) else None
        value = float(np.mean([each for each, _, _ in kinds]))
        count = sum(cells for _, _, cells in kinds)
        found.append(KeptShare(ALL_KINDS, paradigm, _estimate(value, draws), count))
    return found


def _ratio(one: ClaimCell, other: ClaimCell) -> float:
    corrupted, clean = one.values[AP], other.values[AP]
    return math.nan if corrupted is None or clean is None else corrupted / clean


def _draws(
    pairs: Sequence[tuple[ClaimCell, ClaimCell]], replicates: Replicates
) -> NDArray[np.float64] | None:
    """Return the mean ratio of each resample; None if a cell was not resampled."""
    if any((cell.id, AP) not in replicates for pair in pairs for cell in pair):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [replicates[one.id, AP] / replicates[other.id, AP] for one, other in pairs]
    found: NDArray[np.float64] = np.mean(ratios, axis=0)
    return found


def _estimate(value: float, draws: NDArray[np.float64] | None) -> Estimate:
    low, high = (None if draws is None else percentile_interval(draws)) or (None, None)
    return Estimate(value, low, high)
