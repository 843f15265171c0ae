"""Which files a cell's result consists of, for those who copy it to other folders."""

from __future__ import annotations

from pathlib import Path

from posebench.results.image_tables import TABLES, table_path
from posebench.results.replicates import replicates_path
from posebench.results.store import PREDICTIONS, StoredCell, cell_path


def cell_files(folder: Path, cell: StoredCell) -> tuple[Path, ...]:
    """Return the files of a cell that are there, the cell's own one last."""
    parts = list[Path]()
    if cell.table is not None:
        parts += [table_path(folder / TABLES, cell.table), replicates_path(folder, cell.table)]
    if cell.predictions is not None:
        parts.append(folder / PREDICTIONS / f"{cell.predictions}.npz")
    return tuple(path for path in (*parts, cell_path(folder, cell.id)) if path.is_file())
