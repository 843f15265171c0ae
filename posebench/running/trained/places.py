"""Where a run found the folders that its suite trains on: kept with the run, apart from its record.

The record of a run says what was run; it is committed, and read on other machines. Folders of this
machine lie in a file of their own beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.errors import DataError, UsageError, nearest
from posebench.files.json_file import read_json
from posebench.files.writing import write_json
from posebench.results.store import PLACES_FILE
from posebench.suites.suite import Suite
from posebench.suites.trained import TrainingDataEntry
from posebench.suites.training_data import KEYPOINTS_FILE


def without_places(suite: Suite) -> Suite:
    """Return a suite whose training data are named; where they lie is left out."""
    if suite.trained is None:
        return suite
    data = tuple(_named(entry) for entry in suite.trained.data_entries)
    return replace(suite, trained=replace(suite.trained, data=data))


def _named(entry: TrainingDataEntry) -> TrainingDataEntry:
    if entry.folder is None:
        return entry
    keypoints = entry.keypoints
    if keypoints is not None and keypoints not in KEYPOINT_SETS:
        beside = Path(keypoints) == Path(entry.folder) / KEYPOINTS_FILE
        keypoints = None if beside else Path(keypoints).name
    return replace(entry, folder=entry.label, keypoints=keypoints)


def keep_places(run: Path, suite: Suite) -> None:
    """Write where the training data of a suite lie beside the record of its run."""
    if suite.trained is None:
        return
    places = {
        entry.label: {"folder": entry.folder, "keypoints": entry.keypoints}
        for entry in suite.trained.data_entries
        if entry.folder is not None
    }
    if places:
        write_json(run / PLACES_FILE, places)


def placed_names(suite: Suite) -> tuple[str, ...]:
    """Return the names of a suite's training data that lie in folders."""
    entries = () if suite.trained is None else suite.trained.data_entries
    return tuple(entry.label for entry in entries if entry.folder is not None)


def check_roots(roots: Iterable[str], suites: Sequence[Suite]) -> None:
    """Raise `UsageError` for a name that none of the suites trains on."""
    names = dict.fromkeys(name for suite in suites for name in placed_names(suite))
    for root in roots:
        if root not in names:
            what = f"--data-root {root}=…: nothing was trained on a folder {root!r}."
            raise UsageError(what, hint=nearest(root, names))


def with_places(suite: Suite, run: Path, roots: Mapping[str, Path] | None = None) -> Suite:
    """Return the suite of a run's record with the folders of its training data.

    `roots` maps data sets to folders, which take the place of those that the run found. What
    neither names keeps its name.
    """
    if suite.trained is None or not placed_names(suite):
        return suite
    kept, found = _kept_places(run), roots or {}
    entries = suite.trained.data_entries
    data = tuple(_placed(e, kept.get(e.label), found.get(e.label)) for e in entries)
    return replace(suite, trained=replace(suite.trained, data=data))


def _placed(
    entry: TrainingDataEntry, kept: Mapping[str, Any] | None, root: Path | None
) -> TrainingDataEntry:
    if entry.folder is None:
        return entry
    if root is None:
        return entry if kept is None else replace(entry, **kept)
    own = root / KEYPOINTS_FILE
    keypoints = entry.keypoints
    if keypoints is None:
        keypoints = str(own) if own.is_file() else None
    elif keypoints not in KEYPOINT_SETS and kept is not None:
        keypoints = kept["keypoints"]  # a file beside the suite, not in the folder
    return replace(entry, folder=str(root.absolute()), keypoints=keypoints)


def _kept_places(run: Path) -> dict[str, dict[str, Any]]:
    """Return what `keep_places` wrote; nothing if it is not there, or not as it was written."""
    try:
        value, _ = read_json(run / PLACES_FILE, "list of data folders")
    except DataError:
        return {}
    rows = value.items() if isinstance(value, dict) else ()
    return {name: row for name, row in rows if _is_place(row)}


def _is_place(row: object) -> bool:
    if not isinstance(row, dict) or row.keys() != {"folder", "keypoints"}:
        return False
    return isinstance(row["folder"], str) and isinstance(row["keypoints"], str | None)
