"""What was submitted to a cluster for a run, so that a later process finds it again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posebench.errors import PosebenchError
from posebench.files.json_file import read_json
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.files.writing import write_json

_log = logging.getLogger(__name__)
_FILE = "submitted.json"
# In a run directory: what executors note, and what workers print.
JOBS = "jobs"


@dataclass(frozen=True)
class JobNote:
    """A job that was submitted: its key, and its id in the cluster."""

    key: str
    cluster: str
    id: str


def read_notes(folder: Path) -> tuple[JobNote, ...]:
    """Return what was submitted, the oldest first; nothing if the notes cannot be read."""
    path = folder / _FILE
    if not path.is_file():
        return ()
    try:
        value, _ = read_json(path, "notes of submitted jobs")
        return tuple(record_from_mapping(JobNote, each, where=str(path)) for each in value)
    except (PosebenchError, TypeError) as error:
        _log.warning("%s is left out: %s", path, error)
        return ()


def add_notes(folder: Path, notes: Sequence[JobNote]) -> None:
    """Note jobs; each key has its last one.

    Raises `OSError` if the notes cannot be written.
    """
    joined = {each.key: each for each in (*read_notes(folder), *notes)}
    write_json(folder / _FILE, [mapping_from_record(each) for each in joined.values()])
