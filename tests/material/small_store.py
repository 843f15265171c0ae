"""Runs on disk that nothing computed, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from small_run import PROTOCOL, made_up

from posebench.results.cell import CellResult, Status
from posebench.results.store import SCHEMA_VERSION, RunRecord, StoredCell, start_run, write_cell
from posebench.scoring.matching.matching import MatchRules, MatchTable
from posebench.scoring.statistics.image_table import ErrorTable, ImageTable
from posebench.suites.claims import Claim
from posebench.suites.suite import ScoringEntry, Suite

IMAGES = 40


def made_up_table(accuracy: float, seed: int = 0, images: int = IMAGES) -> ImageTable:
    """Return one person and one detection an image, right with a probability at any threshold.

    Of a person who is right the nose is 0.04 and the left wrist 0.12 longer box sides off and OKS
    is 0.96, of one who is not 0.5 and 0.
    """
    rng = np.random.default_rng(seed)
    rules = MatchRules()
    right = rng.random(images) < accuracy
    person = np.where(right, np.arange(images), -1).astype(np.int32)
    shape = (len(rules.thresholds), len(rules.area_ranges), images)
    matches = MatchTable(
        rules=rules,
        image_ids=np.arange(images, dtype=np.int64),
        crowd_index=None,
        detection=np.arange(images, dtype=np.int64),
        image=np.arange(images, dtype=np.int64),
        rank=np.zeros(images, dtype=np.int64),
        scores=np.linspace(1, 0.5, images),
        person=np.broadcast_to(person, shape).copy(),
        ignored=np.zeros(shape, dtype=bool),
        person_count=np.ones((len(rules.area_ranges), images), dtype=np.int64),
    )
    errors = np.where(right[:, None], [0.04, 0.12], 0.5).astype(np.float32)
    errors_of = ErrorTable(("nose", "left_wrist"), np.arange(images), errors)
    return ImageTable(matches, errors_of, np.where(right, 0.96, 0).astype(np.float32))


def run_folder(
    folder: Path,
    results: Mapping[str, CellResult],
    tables: Mapping[str, ImageTable] | None = None,
    claims: tuple[Claim, ...] = (),
    labels: Mapping[str, Mapping[str, str]] | None = None,
    **more: Any,
) -> Path:
    """Write a run directory with these cells by id."""
    suite = Suite(
        "made-up", "d", ("a",), scoring=ScoringEntry(replicates=more.pop("replicates", 200))
    )
    cells = (*results, *more.pop("absent", ()))
    start_run(folder, RunRecord(SCHEMA_VERSION, suite, claims, cells, {"posebench": "0"}, 1))
    for name, result in results.items():
        own = dict((labels or {}).get(name, {}))
        cell = StoredCell(name, result, own, keypoints=more.get("keypoints", {}))
        write_cell(folder, cell, (tables or {}).get(name))
    return folder


def result(name: str = "heatmap-s", ap: float | None = 0.5, **changes: Any) -> CellResult:
    """Return a result at the trained size; without AP it failed."""
    status: Status = "ok" if ap is not None else "failed"
    made = made_up(name, "64x48", "native", ap, status, None if ap is not None else "no reason")
    changes = {"intervals": None, **changes}
    own = {key: changes.pop(key) for key in list(changes) if key in vars(made)}
    return replace(made, protocol=replace(PROTOCOL, **changes), **own)
