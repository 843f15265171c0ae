"""A run directory with a mirror: what that has is fetched first, and each result follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from posebench.files.mirror import Mirror
from posebench.results.shared.copied import cell_files
from posebench.results.shared.deals import deal_files, is_deal_file
from posebench.results.shared.ledger import JOBS
from posebench.results.store import RUN_FILE, TRAINED, StoredCell
from posebench.running.plan import PlannedCell
from posebench.running.request import Display


def run_mirror(url: str, out: Path) -> Mirror:
    """Return the mirror of a run directory: all but its locks, logs and unfinished files.

    Trainings keep their size when they are repeated, so they are compared by content.

    Raises `UsageError` or `MissingExtraError` if the URL cannot be used.
    """
    return Mirror(url, out, _belongs, lambda name: name.parts[0] == TRAINED)


def _belongs(name: Path) -> bool:
    hidden = any(part.startswith(".") for part in name.parts) and not is_deal_file(name.name)
    unfinished = name.suffix == ".state" or name.name.endswith(".part.npz")
    return not hidden and not unfinished and name.parts[0] != JOBS


class MirroredDisplay:
    """A display that copies each cell to the mirror before it shows that it is done."""

    def __init__(self, display: Display, mirror: Mirror, out: Path) -> None:
        self._display = display
        self._mirror = mirror
        self._out = out

    def progress(self, label: str, done: int, total: int) -> None:
        """Show a step."""
        self._display.progress(label, done, total)

    def planned(
        self,
        cells: Sequence[PlannedCell],
        pending: Sequence[PlannedCell],
        done: Mapping[str, StoredCell],
    ) -> None:
        """Copy the record of the run, and how its shards were dealt."""
        self._mirror.push([self._out / RUN_FILE, *deal_files(self._out)])
        self._display.planned(cells, pending, done)

    def started(self, cells: Sequence[PlannedCell]) -> None:
        """Show cells that run."""
        self._display.started(cells)

    def finished(self, cell: StoredCell) -> None:
        """Copy a cell, its own file last."""
        self._mirror.push(cell_files(self._out, cell))
        self._display.finished(cell)
