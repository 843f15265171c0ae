"""A run on disk: `run.yaml`, one file per cell, per-image tables. Never loads torch.

Every file appears under its name only when complete; a cell is written when it is done, so that a
run that was stopped in any way goes on where it stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import DataError, SpecError
from posebench.files.environment import environment
from posebench.files.inputs import not_a_file
from posebench.files.json_file import read_json
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.files.writing import write_json, write_text
from posebench.files.yaml_records import YamlFile, record_from_yaml
from posebench.prediction.kept.predictions import load_predictions
from posebench.prediction.predictions import Predictions
from posebench.results.cell import CellResult, with_all_metrics
from posebench.results.checksums import CHECKSUM, fits_checksum, impossible_value, with_checksum
from posebench.results.image_tables import TABLES, is_sound, load_table, save_table
from posebench.results.probe_store import read_probe
from posebench.results.probes import StoredProbe
from posebench.results.replicates import Draws, keep_replicates
from posebench.scoring.statistics.image_table import ImageTable, Recipe
from posebench.suites.claims import Claim
from posebench.suites.suite import Suite

_log = logging.getLogger(__name__)
SCHEMA_VERSION = 2
READABLE_SCHEMAS = (1, SCHEMA_VERSION)
RUN_FILE = "run.yaml"
_CELLS = "cells"
PREDICTIONS = "predictions"
# Checkpoints that the run trained, a folder each, which its record makes whole.
TRAINED = "trained"
TRAINED_RECORD = "trained.json"
# Where this machine has the folders that the run trained on.
PLACES_FILE = ".places.json"


@dataclass(frozen=True)
class RunRecord:
    """What a run is: the suite as it was read, its claims, its cells' ids, versions, machine.

    `source` is the suite's file, the name of a shipped suite, or the folder that it was made in, to
    which its paths are relative; `limit` is the number of images asked for. Both lead back to the
    data. `bench` is how speed was measured, or None if it was not; `probes` are the ids of probes.
    """

    schema_version: int
    suite: Suite
    claims: tuple[Claim, ...]
    cells: tuple[str, ...]
    environment: Mapping[str, Any]
    threads: int
    source: str = ""
    limit: int | None = None
    bench: Mapping[str, Any] | None = None
    probes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredCell:
    """One cell's result with its labels, and the keys of its per-image table and predictions.

    `keypoints` maps a keypoint's name to its PCK@0.1; `posebench` is the version that made it;
    `load_report` says what became of the checkpoint's tensors; `environment` is what the cell was
    made with; `write_cell` fills it in (it is missing in files from before 0.2).
    """

    id: str
    result: CellResult
    labels: Mapping[str, str] = field(default_factory=dict)
    table: str | None = None
    keypoints: Mapping[str, float | None] = field(default_factory=dict)
    posebench: str = ""
    load_report: Mapping[str, Any] | None = None
    predictions: str | None = None
    environment: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Run:
    """A run as it lies on disk; `cells` and `probes` are those done, in the suite's order."""

    folder: Path
    record: RunRecord
    cells: tuple[StoredCell, ...]
    probes: tuple[StoredProbe, ...] = ()

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """The ids of cells and probes that have not been run yet."""
        done = {cell.id for cell in self.cells} | {probe.id for probe in self.probes}
        return tuple(name for name in (*self.record.cells, *self.record.probes) if name not in done)

    def environment(self, cell: StoredCell) -> Mapping[str, Any]:
        """Return what a cell was made with, or what the run was if the cell does not say."""
        return self.record.environment if cell.environment is None else cell.environment

    def table(self, cell: StoredCell) -> ImageTable | None:
        """Return a cell's per-image table, or None if it has none.

        Raises `DataError` if it cannot be read.
        """
        return None if cell.table is None else load_table(self.folder / TABLES, cell.table)

    def keeps_predictions(self, cell: StoredCell) -> bool:
        """Tell whether the file of a cell's predictions is there."""
        return self._predictions(cell.predictions or "").is_file()

    def predictions(self, cell: StoredCell) -> Predictions | None:
        """Return a cell's predictions before NMS, or None if it has none.

        Raises `DataError` if they cannot be read.
        """
        if cell.predictions is None:
            return None
        return load_predictions(self._predictions(cell.predictions))

    def _predictions(self, key: str) -> Path:
        return self.folder / PREDICTIONS / f"{key}.npz"


def start_run(folder: Path, record: RunRecord) -> None:
    """Write the record of a run that begins or goes on; cells that are there stay."""
    import yaml

    text = yaml.safe_dump(mapping_from_record(record), sort_keys=False, allow_unicode=True)
    with _naming(folder):
        write_text(folder / RUN_FILE, text)


def write_cell(
    folder: Path,
    cell: StoredCell,
    table: ImageTable | None = None,
    replicates: Mapping[Recipe, NDArray[np.float64]] | None = None,
) -> StoredCell:
    """Write a cell and its table, the table first; return the cell as it is stored.

    `replicates` (B,) are those that intervals were made of, kept for verdicts and comparisons.

    Raises `DataError` if they cannot be written, or if the cell's file is a pipe or a folder.
    """
    path = cell_path(folder, cell.id)
    if path.exists() and (what := not_a_file(path)) is not None:
        raise DataError(f"{path} is {what}, where a result belongs.", hint="Remove it.")
    with _naming(folder):
        key = None if table is None else save_table(folder / TABLES, table)
        made = cell.result.intervals
        if table is not None and key is not None and replicates and made is not None:
            draws = Draws(made.replicates, made.seed)
            keep_replicates(folder, key, table, replicates, draws)
        stored = replace(cell, table=key, environment=cell.environment or environment())
        document = {"schema_version": SCHEMA_VERSION, **mapping_from_record(stored)}
        write_json(path, with_checksum(document))
    return stored


def read_cell(folder: Path, name: str) -> StoredCell | None:
    """Return a cell, or None if it has not been run or is not as it was written.

    A warning reports a cell that is not as it was written. Raises `DataError` if a cell has another
    schema.
    """
    path = cell_path(folder, name)
    if not path.is_file():
        return None
    try:
        value = _sound_document(path)
        is_checked = value.pop(CHECKSUM, None) is not None
        _check_version(value.pop("schema_version", None), path)
        if isinstance(value.get("result"), dict):
            value["result"] = with_all_metrics(value["result"])
        cell = record_from_mapping(StoredCell, value, where=path.name)
        impossible = None if is_checked else impossible_value(cell.result, cell.keypoints)
        if impossible is not None:
            raise _MisfitError(impossible)
        if cell.id != name:
            raise _MisfitError(f"it says that it is {cell.id}")
    except (_MisfitError, SpecError) as error:
        _log.warning(
            "%s is damaged or was edited: %s. Its result is left out; the command that made the "
            "run makes it again. %s",
            path,
            error.message.rstrip("."),
            error.hint or "",
        )
        return None
    return cell


class NewerSchemaError(DataError):
    """A newer version wrote the file, which must not be written over."""


class _MisfitError(DataError):
    """A cell is not as it was written."""


def _sound_document(path: Path) -> dict[str, Any]:
    """Return the plain data of a cell, whose checksum fits if it has one (old cells have none)."""
    try:
        value, _ = read_json(path, "result of a cell")
    except DataError as error:
        raise _MisfitError(error.message) from None
    if not isinstance(value, dict):
        raise _MisfitError("it holds no mapping")
    if CHECKSUM in value and not fits_checksum(value):
        raise _MisfitError(
            "its content does not fit its checksum",
            hint=f'If you edited it on purpose, delete its line "{CHECKSUM}" to have it read.',
        )
    return value


def has_cell(folder: Path, name: str) -> bool:
    """Tell whether there is a result of a cell, whatever it is worth."""
    return cell_path(folder, name).is_file()


def has_table(folder: Path, cell: StoredCell) -> bool:
    """Tell whether the table that a cell names is there and sound; True if it names none."""
    return cell.table is None or is_sound(folder / TABLES, cell.table)


def runs_in(folder: Path) -> tuple[Path, ...]:
    """Return the run directories that a folder holds, by name; the folder itself if it is one."""
    if (folder / RUN_FILE).is_file() or not folder.is_dir():
        return (folder,)
    return tuple(sorted(path.parent for path in folder.glob(f"*/{RUN_FILE}"))) or (folder,)


def read_run(folder: Path) -> Run:
    """Read a run directory.

    Raises `DataError` or `SpecError` if it cannot be read.
    """
    record = read_run_record(folder)
    cells = [read_cell(folder, name) for name in record.cells]
    probes = [read_probe(folder, name) for name in record.probes]
    return Run(
        folder,
        record,
        tuple(cell for cell in cells if cell is not None),
        tuple(probe for probe in probes if probe is not None),
    )


def read_run_record(folder: Path) -> RunRecord:
    """Read what a run directory says of its run.

    Raises `DataError` or `SpecError` if it cannot be read.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise DataError(
            f"{folder} is not a run directory: it has no {RUN_FILE}.",
            hint="posebench run and eval make one with --out DIR.",
        )
    _check_version(YamlFile(path).value.get("schema_version"), path)
    record, _ = record_from_yaml(RunRecord, path)
    return record


def cell_path(folder: Path, name: str) -> Path:
    """Return the path of a cell's file."""
    return folder / _CELLS / f"{name}.json"


def _check_version(version: Any, path: Path) -> None:
    if version in READABLE_SCHEMAS:
        return
    known = " and ".join(map(str, READABLE_SCHEMAS))
    what = f"{path} has schema {version}, this version reads {known}."
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise NewerSchemaError(what, hint="A newer posebench wrote it: upgrade.")
    raise DataError(what, hint="Run the suite again.")


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Say which folder could not be written."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror or error}.") from None
