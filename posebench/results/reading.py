"""Read the results that `posebench eval` and `posebench run` leave, to draw and list them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from posebench.errors import DataError
from posebench.files.json_file import is_strict, read_json
from posebench.files.records import record_from_mapping
from posebench.results.cell import READABLE_SCHEMAS, CellResult, with_all_metrics
from posebench.results.checksums import impossible_value
from posebench.results.probe_store import read_arrays
from posebench.results.probes import StoredProbe
from posebench.results.store import RUN_FILE, Run, read_run

_RESULTS = "results.json"


@dataclass(frozen=True)
class ReadCell:
    """A result; its keypoints' PCK@0.1 by name, its labels and its id, if a run has them."""

    result: CellResult
    keypoints: Mapping[str, float | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, eq=False)
class ReadProbe:
    """What a probe read, with its arrays by name."""

    probe: StoredProbe
    arrays: Mapping[str, NDArray[Any]]


def read_probes(source: Path) -> list[ReadProbe]:
    """Return what the probes of a run directory read, none of a file or folder of another kind.

    Raises `DataError` if arrays are damaged.
    """
    if not (source / RUN_FILE).is_file():
        return []
    return probes_of(read_run(source))


def probes_of(run: Run) -> list[ReadProbe]:
    """Return what the probes of a run read, with their arrays.

    Raises `DataError` if arrays are damaged.
    """
    return [ReadProbe(probe, read_arrays(run.folder, probe)) for probe in run.probes]


def read_cells(source: Path) -> list[ReadCell]:
    """Return the results of a run directory, of an evaluation's folder, or of a results file.

    Raises `DataError` if `source` is anything else, and `SpecError` if its records do not fit.
    """
    if (source / RUN_FILE).is_file():
        return cells_of_run(read_run(source))
    file = source / _RESULTS if source.is_dir() else source
    value, _ = read_json(file, "results file")
    if not isinstance(value, dict) or not isinstance(value.get("results"), list):
        raise DataError(
            f"{file} is no results file.",
            hint="--out of run, eval and bench makes run directories, --json results files.",
        )
    if not is_strict(value):
        raise DataError(f"{file} is damaged: it holds numbers that are NaN or infinite.")
    if value.get("schema_version") not in READABLE_SCHEMAS:
        known = ", ".join(map(str, READABLE_SCHEMAS))
        raise DataError(
            f"{file} has schema {value.get('schema_version')}, this version reads {known}."
        )
    return [
        ReadCell(_result(entry, f"{file}: result {number}"))
        for number, entry in enumerate(value["results"])
    ]


def cells_of_run(run: Run) -> list[ReadCell]:
    """Return the cells of a run that was read."""
    return [ReadCell(cell.result, cell.keypoints, cell.labels, cell.id) for cell in run.cells]


def _result(entry: Any, where: str) -> CellResult:
    result = record_from_mapping(CellResult, with_all_metrics(entry), where=where)
    impossible = impossible_value(result)
    if impossible is not None:
        raise DataError(
            f"{where} is impossible: {impossible}.",
            hint="Make the file again, or take the result out.",
        )
    return result
