"""What is copied of a run directory to another folder, each file whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from posebench.errors import DataError
from posebench.files.json_file import read_json
from posebench.files.writing import put_when_written, write_json
from posebench.results.image_tables import TABLES, table_path
from posebench.results.replicates import replicates_path
from posebench.results.store import (
    PLACES_FILE,
    PREDICTIONS,
    TRAINED,
    TRAINED_RECORD,
    StoredCell,
    cell_path,
)


def cell_files(folder: Path, cell: StoredCell) -> tuple[Path, ...]:
    """Return the files of a cell that are there, the cell's own one last."""
    parts = list[Path]()
    if cell.table is not None:
        parts += [table_path(folder / TABLES, cell.table), replicates_path(folder, cell.table)]
    if cell.predictions is not None:
        parts.append(folder / PREDICTIONS / f"{cell.predictions}.npz")
    return tuple(path for path in (*parts, cell_path(folder, cell.id)) if path.is_file())


def copy_files(source: Path, out: Path, files: Sequence[Path]) -> None:
    """Copy files below a run directory, each whole or not at all; the last one comes last."""
    if source.resolve() == out.resolve():
        return
    for file in files:
        with put_when_written(out / file.relative_to(source)) as temporary:
            shutil.copyfile(file, temporary)


def copy_trained(folders: Sequence[Path], out: Path) -> None:
    """Copy the trained checkpoints of run directories to another one, which keeps its own."""
    found = (each for folder in folders for each in (folder / TRAINED).glob("[!.]*"))
    for name in sorted({each.name for each in found}):
        _copy_training(folders, out, name)


def _copy_training(folders: Sequence[Path], out: Path, name: str) -> None:
    """Copy a whole folder of a trained checkpoint, its record last."""
    target = out / TRAINED / name
    own = next(
        (each for each in folders if (each / TRAINED / name / TRAINED_RECORD).is_file()), None
    )
    if own is None or (target / TRAINED_RECORD).is_file():
        return
    files = [each for each in (own / TRAINED / name).iterdir() if each.suffix != ".state"]
    copy_files(own, out, sorted(files, key=lambda file: file.name == TRAINED_RECORD))


def join_places(folders: Sequence[Path], out: Path) -> None:
    """Write where the runs found what they trained on; a place that is here goes first."""
    joined: dict[str, Any] = {}
    for folder in folders:
        try:
            value, _ = read_json(folder / PLACES_FILE, "list of data folders")
        except DataError:
            continue  # there is none, or it is damaged
        for name, row in value.items() if isinstance(value, dict) else ():
            if name not in joined or (_is_here(row) and not _is_here(joined[name])):
                joined[name] = row
    if joined:
        write_json(out / PLACES_FILE, joined)


def _is_here(row: Any) -> bool:
    place = row.get("folder") if isinstance(row, dict) else None
    return isinstance(place, str) and Path(place).is_dir()
