"""A suite made from options, run at once: what `posebench eval` and `posebench bench` do."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from posebench.errors import UsageError
from posebench.files.writing import check_writable, naming_what_cannot_be_written
from posebench.results.cell import CellResult, RunSettings, write_results
from posebench.results.probes import StoredProbe
from posebench.results.store import RUN_FILE, StoredCell
from posebench.running.plan import PlannedCell
from posebench.running.request import Display, RunRequest
from posebench.running.resources import share_out
from posebench.running.run_suite import EVALUATION, CellWork, run_suite
from posebench.suites.suite import AXES


@dataclass(frozen=True)
class RunResults:
    """The results of all cells in order; those that Ctrl-C left are `skipped`."""

    results: tuple[CellResult, ...]
    settings: RunSettings
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        """3 if a cell failed or was skipped, or on Ctrl-C, else 0."""
        return 3 if self.stopped else exit_code(self.results)


def exit_code(results: Sequence[CellResult | StoredProbe]) -> int:
    """Return 3 if a cell or probe failed or was skipped, else 0; `unsupported` is an answer."""
    return 3 if any(result.status in ("failed", "skipped") for result in results) else 0


@contextmanager
def run_directory(out: Path | None) -> Iterator[Path]:
    """Yield the run directory that was asked for, or else a temporary one."""
    if out is not None:
        check_writable(out / RUN_FILE)
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="posebench-") as folder:
        yield Path(folder)


def run_results(
    request: RunRequest,
    display: Display,
    json: Path | None = None,
    work: CellWork = EVALUATION,
) -> RunResults:
    """Run a suite and return its results, written to `json` whenever a cell is done.

    On Ctrl-C what is done is kept and the rest is `skipped`. Raises `PosebenchError` if something
    cannot be used at all, and before the work if an output cannot be written.
    """
    check_outputs(request, json)
    _, settings = share_out(request.all_resources, request.devices[0])
    collected = _Collected(display, json, settings)
    try:
        run_suite(request, collected, work)
    except KeyboardInterrupt:
        if not collected.cells:
            raise  # nothing has begun
        collected.stopped = True
    finally:
        collected.write()
    return RunResults(tuple(collected.results()), settings, collected.stopped)


def check_outputs(request: RunRequest, json: Path | None = None) -> None:
    """Check the outputs that would otherwise fail only when the work is done.

    Raises `UsageError` if one cannot hold what is asked for or cannot be written.
    """
    cells = math.prod(len(getattr(request.suite, axis)) for axis in AXES)
    if request.coco_results_in_one_file and (cells > 1 or request.suite.trained is not None):
        raise UsageError(
            f"--predictions {request.coco_results} is one file, but {_how_many(cells)} are asked "
            "for.",
            hint="Name a folder, which gets a file for each cell.",
        )
    for path in (json, request.coco_results_of("cell")):
        if path is not None:
            check_writable(path)
    if request.folders.raw is not None:
        check_writable(request.folders.raw / "raw.json")


def _how_many(cells: int) -> str:
    return f"up to {cells} cells" if cells > 1 else "cells of trained checkpoints"


class _Collected:
    """A display that collects results on their way to another display."""

    def __init__(self, display: Display, json: Path | None, settings: RunSettings) -> None:
        self.cells: Sequence[PlannedCell] = ()
        self.stopped = False
        self._display = display
        self._json = json
        self._settings = settings
        self._found: dict[str, CellResult] = {}

    def progress(self, label: str, done: int, total: int) -> None:
        """Show a step."""
        self._display.progress(label, done, total)

    def planned(
        self,
        cells: Sequence[PlannedCell],
        pending: Sequence[PlannedCell],
        done: Mapping[str, StoredCell],
    ) -> None:
        """Note all cells, and the results of those that are done."""
        self.cells = cells
        self._found = {name: stored.result for name, stored in done.items()}
        self._display.planned(cells, pending, done)

    def started(self, cells: Sequence[PlannedCell]) -> None:
        """Show cells that run."""
        self._display.started(cells)

    def finished(self, cell: StoredCell) -> None:
        """Note a result, and write it with those before."""
        self._found[cell.id] = cell.result
        self.write()
        self._display.finished(cell)

    def results(self) -> Iterator[CellResult]:
        """Yield a result of each cell, in order; cells that Ctrl-C left are `skipped`."""
        for cell in self.cells:
            if cell.id in self._found:
                yield self._found[cell.id]
            elif self.stopped:
                yield replace(cell.result, status="skipped", reason="stopped by Ctrl-C")

    def write(self) -> None:
        """Write the results so far as JSON, if asked for."""
        results = list(self.results())
        if self._json is not None and results:
            with naming_what_cannot_be_written(self._json):
                write_results(self._json, results, self._settings)
