"""What probes read, as cells that claims can contrast, and their bootstrap replicates. No torch.

A cell is one row of a probe: its fields say which arm it is of and where it was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.chance import Replicates
from posebench.results.probe_store import read_arrays
from posebench.results.probes import ProbeRow, StoredProbe, stored_sums
from posebench.results.store import Run
from posebench.scoring.statistics.bootstrap import resampled_images
from posebench.suites.claims import LABEL, Claim


def probed_cells(run: Run) -> tuple[ClaimCell, ...]:
    """Return the rows of a run's probes as claims see them.

    Raises `DataError` for damaged arrays.
    """
    found = list[ClaimCell]()
    for probe in run.probes:
        units = _keypoint_pairs(run, probe)
        found += [
            _claim_cell(probe, place, row, units.get(place)) for place, row in enumerate(probe.rows)
        ]
    return tuple(found)


def probed_replicates(run: Run, claims: Sequence[Claim]) -> Replicates:
    """Return bootstrap replicates of the numbers that claims are about.

    All rows of a data set meet the same resamples of its images, and all rows of a keypoint set the
    same resamples of its left/right pairs. Raises `DataError` for damaged arrays.
    """
    wanted = {claim.metric for claim in claims}
    scoring = run.record.suite.scoring
    found: dict[tuple[str, str], NDArray[np.float64]] = {}
    weights: dict[Any, NDArray[Any]] = {}
    sets = list(dict.fromkeys(probe.data.annotations_sha256 for probe in run.probes))
    for probe in run.probes if scoring.replicates else ():
        if not any(name in wanted for row in probe.rows for name in row.numbers):
            continue
        for place, number, sums in stored_sums(read_arrays(run.folder, probe)):
            units = len(sums.numerators)
            if number not in wanted or units < 2:
                continue
            of_data = sets.index(probe.data.annotations_sha256)
            key = (probe.sampled, of_data if probe.sampled == "images" else 0, units)
            if key not in weights:
                rng = np.random.default_rng([scoring.seed, key[1]])
                blocks = resampled_images(rng, units, scoring.replicates)
                weights[key] = np.concatenate(list(blocks))
            found[_id(probe, place), number] = sums.replicates(weights[key])
    return found


def _keypoint_pairs(run: Run, probe: StoredProbe) -> dict[int, int]:
    """Return how many left/right pairs each row's numbers rest on, empty if images are resampled.

    Rows differ in it where nobody has some of the keypoints.
    """
    if probe.sampled != "keypoints":
        return {}
    found = stored_sums(read_arrays(run.folder, probe))
    return {place: len(sums.numerators) for place, _, sums in found}


def _claim_cell(probe: StoredProbe, place: int, row: ProbeRow, units: int | None) -> ClaimCell:
    facts, data = probe.checkpoint, probe.data
    texts = {
        "checkpoint": facts.name,
        "publisher": facts.publisher,
        "paradigm": facts.paradigm,
        "backbone": facts.backbone,
        "trained_size": facts.trained_size,
        "size": facts.trained_size,
        "dataset": data.dataset,
        "probe": probe.probe,
        "arm": row.arm,
        **row.where,
        **{f"{LABEL}{name}": text for name, text in probe.labels.items()},
    }
    size = facts.trained_size
    return ClaimCell(
        id=_id(probe, place),
        checkpoint=facts.name,
        fields={name: str(value) for name, value in texts.items() if value is not None},
        sizes={
            "parameters": facts.parameters,
            "pixels": None if size is None else size.height * size.width,
        },
        identity={
            "annotations_sha256": data.annotations_sha256,
            "images_sha256": data.images_sha256,
            "people": data.people,
            "seed": probe.settings.seed,
            "images": data.images if probe.sampled == "images" else None,
        },
        values=row.numbers,
        units=units,
    )


def _id(probe: StoredProbe, place: int) -> str:
    return f"{probe.id}#{place}"
