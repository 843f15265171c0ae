"""What a run scores without some images, such as those that training has seen. No torch.

An image that is left out weighs 0 in the per-image table: nothing is predicted or matched again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posebench.datasets.overlap.report import Exclusion
from posebench.errors import DataError
from posebench.results.explaining.exclusion import ExcludedScore, ExcludedScores
from posebench.results.numbers import main_metric, number_named
from posebench.results.store import Run, StoredCell
from posebench.scoring.statistics.estimates import Resampling, masked_metrics
from posebench.scoring.statistics.image_table import ImageTable, Recipe


def excluded_scores(run: Run, exclusion: Exclusion, cells: Sequence[str]) -> ExcludedScores:
    """Return the main number of cells with and without the images of an exclusion.

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
    kept = (~np.isin(ids, list(exclusion.images))).astype(np.int32)
    recipe, scoring, result = _recipe(cell, table), run.record.suite.scoring, cell.result
    resampling = Resampling(scoring.replicates, scoring.seed, scoring.interval)
    masks = np.ones(len(ids), dtype=np.int32), kept
    values, sampled = masked_metrics(table, recipe, masks, resampling)
    whole, without = (None if np.isnan(value) else value for value in values)
    lost = None if whole is None or without is None else without - whole
    return ExcludedScore(
        cell=cell.id,
        checkpoint=result.checkpoint.name,
        place=f"{result.protocol.dataset} {result.size} {result.policy}",
        metric=recipe.name,
        images=len(ids),
        left_out=int(np.count_nonzero(kept == 0)),
        whole=sampled.estimates(0, {recipe.name: whole})[recipe.name],
        without=sampled.estimates(1, {recipe.name: without})[recipe.name],
        difference=sampled.estimates(1, {recipe.name: lost}, base=0)[recipe.name],
    )


def _recipe(cell: StoredCell, table: ImageTable) -> Recipe:
    """Return how the main number of a cell follows from its table."""
    name = main_metric([cell.result])
    recipe = number_named(name).recipe
    if recipe is None or not table.tells(recipe):
        raise DataError(
            f"The per-image table of {cell.id} does not tell its {name}.",
            hint="The command that made the run scores it again.",
        )
    return recipe
