"""A run's cells as claims see them, and their bootstrap replicates. No torch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.files.records import mapping_from_record
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.chance import Replicates
from posebench.judging.pairs.trainings import flat_training
from posebench.results.cell import CellResult
from posebench.results.numbers import number_named, numbers_of
from posebench.results.replicates import Draws, sampled_table
from posebench.results.speed import compared_conditions
from posebench.results.store import Run, StoredCell
from posebench.scoring.matching.metrics import MatchMetric
from posebench.scoring.statistics.image_table import Recipe
from posebench.suites.claims import LABEL
from posebench.suites.transforms import parse_transform

_log = logging.getLogger(__name__)
# Parts of the protocol that belong to a checkpoint, in which two may differ, and those that add
# nothing but their rounding: an exported file runs in its own engine.
OWN_FIELDS = frozenset({"decoder", "crop", "crop_padding", "device", "engine"})
CellOfRun = tuple[int, str]
"""Which of several runs, and the id of a cell."""


def cells_of(run: Run) -> tuple[ClaimCell, ...]:
    """Return a run's cells as claims see them."""
    return tuple(claim_cell(stored) for stored in run.cells)


def comparable_identity(result: CellResult) -> dict[str, Any]:
    """Return what must be equal in two results before one is subtracted from the other."""
    protocol = mapping_from_record(result.protocol)
    return {name: value for name, value in protocol.items() if name not in OWN_FIELDS}


def replicates_of(run: Run, names: Iterable[str], metrics: Iterable[str]) -> Replicates:
    """Return bootstrap replicates of the cells and metrics of these names.

    Cells of one data set meet the same resamples, by the suite's seed, and those of another its
    own; metrics that a cell's table does not tell and cells without one are left out. A warning
    names the metrics that tables of older versions lack. Raises `DataError` for damaged tables.
    """
    wanted = {(0, name) for name in names}
    found = replicates_over([run], wanted, metrics)
    return {(name, metric): values for ((_, name), metric), values in found.items()}


def replicates_over(
    runs: Sequence[Run], wanted: Set[CellOfRun], metrics: Iterable[str]
) -> dict[tuple[CellOfRun, str], NDArray[np.float64]]:
    """Return bootstrap replicates of cells of several runs, as `replicates_of` does of one.

    The seed and the number of resamples are those of the first run. Raises `DataError` for damaged
    tables.
    """
    scoring = runs[0].record.suite.scoring
    listed = [number_named(name).recipe for name in dict.fromkeys(metrics)]
    known = [recipe for recipe in listed if recipe is not None]
    if not known or not scoring.replicates:
        return {}
    found: dict[tuple[CellOfRun, str], NDArray[np.float64]] = {}
    cells = [(index, stored) for index, run in enumerate(runs) for stored in run.cells]
    sets = list(dict.fromkeys(stored.result.protocol.annotations_sha256 for _, stored in cells))
    old = 0
    for index, stored in cells:
        if (index, stored.id) not in wanted or stored.table is None:
            continue
        # Two data sets are two samples: one seed for both would tie their draws together.
        place = sets.index(stored.result.protocol.annotations_sha256)
        draws = Draws(scoring.replicates, scoring.seed, place)
        sampled = sampled_table(runs[index].folder, stored.table, known, draws)
        old += not sampled.is_whole
        for recipe, values in sampled.replicates.items():
            found[(index, stored.id), recipe.name] = values
    _warn_of_old_tables(runs[0], known, old)
    return found


def _warn_of_old_tables(run: Run, known: Sequence[Recipe], old: int) -> None:
    """Say which metrics so many tables of older versions do not tell."""
    wanted = [recipe for recipe in known if not isinstance(recipe, MatchMetric)]
    if wanted and old:
        _log.warning(
            "%s: %d cells were scored by version 0.2 or before, which kept too little for an "
            "interval of %s. The command that made the run scores them again.",
            run.folder,
            old,
            ", ".join(recipe.name for recipe in wanted),
        )


def claim_cell(stored: StoredCell) -> ClaimCell:
    """Return a cell as claims see it."""
    result = stored.result
    facts, protocol, size = result.checkpoint, result.protocol, result.size
    transform = parse_transform(protocol.transform)
    texts = {
        "checkpoint": facts.name,
        "publisher": facts.publisher,
        "paradigm": facts.paradigm,
        "backbone": facts.backbone,
        "trained_size": facts.trained_size,
        "dataset": protocol.dataset,
        "boxes": protocol.boxes,
        "size": size,
        "relative_size": _relative(result),
        "policy": result.policy,
        "flip": _yes_no(protocol.flip_test),
        "decoder": protocol.decoder,
        "own_decoder": _yes_no(result.has_own_decoder),
        "engine": protocol.engine,
        "precision": protocol.precision,
        "transform": protocol.transform,
        "corruption": protocol.corruption,
        **{f"{LABEL}{name}": text for name, text in stored.labels.items()},
    }
    return ClaimCell(
        id=stored.id,
        checkpoint=facts.name,
        fields={name: str(value) for name, value in texts.items() if value is not None},
        sizes={
            "parameters": facts.parameters,
            "gflops": result.gflops,
            "pixels": None if size is None else size.height * size.width,
            "bits": transform.bits,
            "weights": transform.kept,
        },
        identity=comparable_identity(result),
        values=numbers_of(result, stored.keypoints),
        conditions=_conditions(result),
        training=flat_training(facts.training),
        lost=result.status if result.status in ("failed", "skipped") else None,
    )


def _conditions(result: CellResult) -> dict[str, Any]:
    """Return what must be equal before speeds are compared."""
    engine, speed = {"engine": result.protocol.engine}, result.speed
    return engine if speed is None else {**engine, **compared_conditions(speed.conditions)}


def _yes_no(value: bool | None) -> str | None:
    return None if value is None else ("yes" if value else "no")


def _relative(result: CellResult) -> str | None:
    """Return a size as a factor of the trained one, where both sides share it."""
    size, trained = result.size, result.checkpoint.trained_size
    if size is None or trained is None:
        return None
    factor = size.height / trained.height
    return f"{factor:g}x" if trained.scaled(factor) == size else None
