"""What a run scores without some images, such as those that training has seen. No torch.

An image that is left out weighs 0 in the per-image table: nothing is predicted or matched again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.overlap.report import Exclusion
from posebench.errors import DataError
from posebench.results.explaining.exclusion import ExcludedScore, ExcludedScores
from posebench.results.numbers import AP, number_named
from posebench.results.store import Run, StoredCell
from posebench.scoring.matching.metrics import MatchMetric
from posebench.scoring.statistics.bootstrap import match_values, resampled_images
from posebench.scoring.statistics.estimates import Estimate
from posebench.scoring.statistics.image_table import ImageTable
from posebench.scoring.statistics.intervals import p_value, percentile_interval


def excluded_scores(run: Run, exclusion: Exclusion, cells: Sequence[str]) -> ExcludedScores:
    """Return the AP of cells with and without the images of an exclusion.

    Cells without a table have no such numbers. Raises `DataError` if the exclusion is of other
    annotations, lists none of the images, or all of them, and for damaged tables.
    """
    found = []
    for cell in run.cells:
        table = run.table(cell) if cell.id in cells else None
        if table is not None and cell.result.status == "ok":
            _check(exclusion, cell, table)
            found.append(_score(run, cell, table, exclusion))
    return ExcludedScores(exclusion.file, exclusion.sha256, tuple(found))


def _check(exclusion: Exclusion, cell: StoredCell, table: ImageTable) -> None:
    own = cell.result.protocol.annotations_sha256
    if exclusion.annotations_sha256 not in (None, own):
        raise DataError(
            f"{exclusion.file} is of other annotations than {cell.result.protocol.dataset}.",
            hint="`posebench data overlap TRAIN VAL --out FILE` with the annotations evaluated on.",
        )
    known = np.isin(table.matches.image_ids, list(exclusion.images))
    if exclusion.images and not known.any():
        what = f"None of the {len(exclusion.images)} images of {exclusion.file} is in "
        raise DataError(f"{what}{cell.result.protocol.dataset}.", hint="Is it of another split?")
    if known.all():
        what = f"{exclusion.file} leaves out all images of {cell.result.protocol.dataset}."
        raise DataError(what)


def _score(run: Run, cell: StoredCell, table: ImageTable, exclusion: Exclusion) -> ExcludedScore:
    ids = table.matches.image_ids
    kept = ~np.isin(ids, list(exclusion.images))
    recipe = number_named(AP).recipe
    assert isinstance(recipe, MatchMetric)
    values = match_values([table.matches], [recipe])
    ones = np.ones((1, len(ids)), dtype=np.int32)
    whole, without = (float(values(ones * mask)[0, 0, 0]) for mask in (1, kept))
    scoring = run.record.suite.scoring
    draws: list[NDArray[np.float64]] = []
    rng = np.random.default_rng(scoring.seed)
    for block in resampled_images(rng, len(ids), scoring.replicates):
        masked = block * kept.astype(np.int32)
        draws.append(np.stack([values(block)[0, :, 0], values(masked)[0, :, 0]]))
    both = np.concatenate(draws, axis=1) if draws else None
    result = cell.result
    return ExcludedScore(
        cell=cell.id,
        checkpoint=result.checkpoint.name,
        place=f"{result.protocol.dataset} {result.size} {result.policy}",
        images=len(ids),
        left_out=int(np.count_nonzero(~kept)),
        whole=_estimate(whole, None if both is None else both[0]),
        without=_estimate(without, None if both is None else both[1]),
        difference=_difference(without - whole, both),
    )


def _estimate(value: float, draws: NDArray[np.float64] | None) -> Estimate:
    low, high = (None if draws is None else percentile_interval(draws)) or (None, None)
    return Estimate(None if np.isnan(value) else value, low, high)


def _difference(value: float, both: NDArray[np.float64] | None) -> Estimate:
    if both is None or np.isnan(value):
        return Estimate(None if np.isnan(value) else value)
    draws = both[1] - both[0]
    low, high = percentile_interval(draws) or (None, None)
    return Estimate(value, low, high, p_value(draws))
