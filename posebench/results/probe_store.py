"""Probes in a run directory: a JSON file each, and its arrays beside it. Never loads torch."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import DataError, SpecError
from posebench.files.json_file import read_json
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.files.writing import put_when_written, write_json
from posebench.results.checksums import CHECKSUM, fits_checksum, with_checksum
from posebench.results.probes import ProbeReading, StoredProbe, sums_key

_log = logging.getLogger(__name__)
_PROBES = "probes"
_SCHEMA_VERSION = 1
_KEY_CHARACTERS = 20
Arrays = Mapping[str, NDArray[Any]]


def write_probe(folder: Path, probe: StoredProbe) -> None:
    """Write a probe to a run directory; its arrays are there already."""
    document = {"schema_version": _SCHEMA_VERSION, **mapping_from_record(probe)}
    write_json(_path(folder, probe.id), with_checksum(document))


def write_arrays(folder: Path, name: str, reading: ProbeReading) -> str:
    """Write the arrays and the sums of a reading beside the probe `name`, and return their key."""
    arrays = {key: np.asarray(values) for key, values in reading.arrays.items()}
    for place, row in enumerate(reading.rows):
        for number, sums in row.sums.items():
            both = np.stack([sums.numerators, sums.denominators])
            arrays[sums_key(place, number)] = both
    with put_when_written(_arrays_path(folder, name)) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
    return _key(arrays)


def read_probe(folder: Path, name: str) -> StoredProbe | None:
    """Return a probe, or None if it has not been run or is not as it was written.

    A warning reports one that is not as it was written.
    """
    path = _path(folder, name)
    if not path.is_file():
        return None
    try:
        value, _ = read_json(path, "result of a probe")
        if not isinstance(value, dict) or CHECKSUM not in value or not fits_checksum(value):
            raise DataError("its content does not fit its checksum")
        version = value.pop("schema_version", None)
        if version != _SCHEMA_VERSION:
            raise DataError(f"it has schema {version}, and this version reads {_SCHEMA_VERSION}")
        del value[CHECKSUM]
        return record_from_mapping(StoredProbe, value, where=path.name)
    except (DataError, SpecError) as error:
        _log.warning(
            "%s cannot be read: %s. It is left out; the command that made the run makes it again.",
            path,
            error.message.rstrip("."),
        )
        return None


def read_arrays(folder: Path, probe: StoredProbe) -> Arrays:
    """Return the arrays of a probe, none if it stored none.

    Raises `DataError` if they are missing or not those that it stored.
    """
    if probe.arrays is None:
        return {}
    path = _arrays_path(folder, probe.id)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        if _key(arrays) != probe.arrays:
            raise ValueError("its content does not fit its probe")
    except FileNotFoundError:
        raise DataError(f"The arrays {path} are missing.") from None
    except Exception as error:  # numpy and zipfile raise many kinds of error
        raise DataError(
            f"The arrays {path} are damaged ({error}).",
            hint="Delete the .json file beside it and run the probe again.",
        ) from None
    return arrays


def has_arrays(folder: Path, probe: StoredProbe) -> bool:
    """Tell whether the file of a probe's arrays is there; True if it has none."""
    return probe.arrays is None or _arrays_path(folder, probe.id).is_file()


def probe_files(folder: Path, probe: StoredProbe) -> tuple[Path, ...]:
    """Return the files of a probe that are there, the probe's own one last."""
    both = _arrays_path(folder, probe.id), _path(folder, probe.id)
    return tuple(path for path in both if path.is_file())


def has_probe(folder: Path, name: str) -> bool:
    """Tell whether there is a result of a probe, whatever it is worth."""
    return _path(folder, name).is_file()


def _key(arrays: Arrays) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode() + values.tobytes())
    return digest.hexdigest()[:_KEY_CHARACTERS]


def _path(folder: Path, name: str) -> Path:
    return folder / _PROBES / f"{name}.json"


def _arrays_path(folder: Path, name: str) -> Path:
    return folder / _PROBES / f"{name}.npz"
