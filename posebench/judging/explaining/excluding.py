"""What a run scores without some images, such as those that training has seen. No torch.

An image that is left out weighs 0 in the per-image table: nothing is predicted or matched again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posebench.datasets.overlap.exclusion import Exclusion, ListedImages, check_exclusion
from posebench.errors import DataError
from posebench.results.explaining.exclusion import ExcludedScore, ExcludedScores
from posebench.results.numbers import main_metric, number_named
from posebench.results.store import Run, StoredCell
from posebench.scoring.statistics.estimates import Resampling, masked_metrics
from posebench.scoring.statistics.image_table import ImageTable, Recipe


def excluded_scores(run: Run, exclusion: Exclusion, cells: Sequence[str]) -> ExcludedScores:
    """Return the main number of cells with and without the images of an exclusion.

    Cells without a table have no such numbers, nor those of data that the exclusion is not of.
    Raises the errors of `check_exclusion`, and `DataError` for damaged tables.
    """
    tables = [
        (cell, table)
        for cell in run.cells
        if cell.id in cells and cell.result.status == "ok"
        for table in [run.table(cell)]
        if table is not None
    ]
    listed = [(cell, table, _images_of(cell, table)) for cell, table in tables]
    check_exclusion(exclusion, [images for _, _, images in listed])
    found = (
        _score(run, cell, table, exclusion)
        for cell, table, images in listed
        if exclusion.is_of(images)
    )
    return ExcludedScores(exclusion.file, exclusion.sha256, tuple(found))


def _images_of(cell: StoredCell, table: ImageTable) -> ListedImages:
    protocol = cell.result.protocol
    ids = frozenset(table.matches.image_ids.tolist())
    return ListedImages(protocol.dataset, protocol.annotations_sha256, ids)


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
