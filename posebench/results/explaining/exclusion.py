"""Numbers of a run with and without some images, and their file in its directory. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from posebench.files.records import mapping_from_record
from posebench.files.writing import naming_what_cannot_be_written, write_json
from posebench.scoring.statistics.estimates import Estimate

SCHEMA_VERSION = 1
EXCLUDED_FILE = "excluded.json"


@dataclass(frozen=True)
class ExcludedScore:
    """A cell's main number on all images and without the `left_out` ones, with intervals.

    `metric` names it: AP, or the first number of data without AP.
    `difference` is the number without them minus that on all, from the same resamples.
    """

    cell: str
    checkpoint: str
    place: str
    metric: str
    images: int
    left_out: int
    whole: Estimate
    without: Estimate
    difference: Estimate


@dataclass(frozen=True)
class ExcludedScores:
    """What a run scores with and without the images that a file lists."""

    file: str
    sha256: str
    scores: tuple[ExcludedScore, ...]


def write_excluded(folder: Path, found: ExcludedScores) -> None:
    """Write both numbers into a run directory.

    Raises `DataError` if they cannot be written.
    """
    path = folder / EXCLUDED_FILE
    with naming_what_cannot_be_written(path):
        write_json(path, {"schema_version": SCHEMA_VERSION, **mapping_from_record(found)})
