"""Paired differences between a run's checkpoints, and their file in its directory. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posebench.errors import DataError
from posebench.files.json_file import read_json
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.files.writing import naming_what_cannot_be_written, write_json
from posebench.results.numbers import number_named

SCHEMA_VERSION = 1
DIFFERENCES_FILE = "differences.json"


@dataclass(frozen=True)
class Difference:
    """A checkpoint's number minus the baseline's at one place of the grid, in its own scale.

    `place` is what both share there, of what varies; `cell` and `baseline_cell` are the ids of
    what was subtracted. `low` to `high` is the 95 % interval over resampled images, `p` two-sided,
    `p_holm` adjusted over all differences of the table; `detectable` the smallest true difference
    that one test tells in four cases of five. They are None where nothing was resampled. Without a
    `difference`, `reason` says why there is none. `differing` says in what the two differ besides
    their weights, such as `decoder (dark / argmax)`.
    """

    metric: str
    checkpoint: str
    baseline: str
    place: Mapping[str, str] = field(default_factory=dict)
    cell: str | None = None
    baseline_cell: str | None = None
    value: float | None = None
    baseline_value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    told_apart: bool | None = None
    detectable: float | None = None
    images: int | None = None
    differing: tuple[str, ...] = ()
    reason: str | None = None

    @property
    def is_better(self) -> bool | None:
        """Whether the checkpoint's number is the better one, None without a difference."""
        if self.difference is None or self.difference == 0:
            return None
        return (self.difference > 0) == (number_named(self.metric).better != "lower")


@dataclass(frozen=True)
class Differences:
    """All paired differences of a run to one checkpoint.

    `alone` names what has a number and no partner: a checkpoint and the place of the grid.
    """

    baseline: str
    differences: tuple[Difference, ...]
    alone: tuple[str, ...] = ()


def write_differences(folder: Path, found: Differences) -> None:
    """Write the differences of a run into its directory.

    Raises `DataError` if that is not possible.
    """
    path = folder / DIFFERENCES_FILE
    with naming_what_cannot_be_written(path):
        write_json(path, {"schema_version": SCHEMA_VERSION, **mapping_from_record(found)})


def read_differences(folder: Path) -> Differences | None:
    """Return the differences in a run directory, None without any.

    Raises `DataError` or `SpecError` if the file cannot be read.
    """
    path = folder / DIFFERENCES_FILE
    if not path.is_file():
        return None
    value, _ = read_json(path, "file of differences")
    if not isinstance(value, dict) or value.pop("schema_version", None) != SCHEMA_VERSION:
        raise DataError(
            f"{path} is of another version than {SCHEMA_VERSION}.",
            hint="The command that made the run makes it again.",
        )
    return record_from_mapping(Differences, value, where=path.name)


def cells_in(found: Sequence[Difference]) -> set[str]:
    """Return the ids of all cells that were subtracted."""
    return {
        name
        for each in found
        if each.difference is not None
        for name in (each.cell, each.baseline_cell)
        if name is not None
    }


def by_cell(found: Sequence[Difference]) -> dict[str, Difference]:
    """Return differences by the cell whose number they are of."""
    return {each.cell: each for each in found if each.cell is not None}
