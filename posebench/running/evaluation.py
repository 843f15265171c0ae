"""A suite made from options, run at once: what `posebench eval` and `posebench bench` do."""

from __future__ import annotations

import atexit
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posebench.errors import UsageError, nearest
from posebench.files.cache import predictions_directory
from posebench.files.records import record_from_mapping
from posebench.files.writing import check_writable, naming_what_cannot_be_written
from posebench.results.cell import CellResult, RunSettings, write_results
from posebench.results.probes import StoredProbe
from posebench.results.store import PREDICTIONS, RUN_FILE, Run, StoredCell, read_run
from posebench.running.network_plans import Storage
from posebench.running.plan import PlannedCell, SuitePlan
from posebench.running.request import Display, RunRequest
from posebench.running.resources import share_out
from posebench.running.run_suite import run_suite
from posebench.running.sharing.dispatch import EVALUATION, CellWork
from posebench.running.sources import checkpoint_entries
from posebench.suites.claims import find_claims
from posebench.suites.fields import EvaluationFields
from posebench.suites.suite import AXES, CheckpointEntry, Suite, check_suite
from posebench.zoo import embedded_names


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
    check: Callable[[SuitePlan], None] | None = None,
) -> RunResults:
    """Run a suite and return its results, written to `json` whenever a cell is done.

    On Ctrl-C what is done is kept and the rest is `skipped`. `check` may refuse the plan before
    anything runs. Raises `PosebenchError` if something cannot be used at all, and before the work
    if an output cannot be written.
    """
    check_outputs(request, json)
    _, settings = share_out(request.all_resources, request.devices[0])
    collected = _Collected(display, json, settings)
    try:
        run_suite(request, collected, work, check)
    except KeyboardInterrupt:
        if not collected.cells:
            raise  # nothing has begun
        collected.stopped = True
    finally:
        collected.write()
    return RunResults(tuple(collected.results()), settings, collected.stopped)


@dataclass(frozen=True)
class EvaluationRequest:
    """What a Python program asks to evaluate; `fields` are those of a suite by name.

    A field that is a list may also be given as its only value. `checkpoints` are files or names, or
    entries of a suite; none are all embedded ones. `spec` says what the files do not. Without `out`
    the run directory is a temporary one, which is removed when the program ends.
    """

    checkpoints: tuple[str | CheckpointEntry | Mapping[str, Any], ...]
    fields: Mapping[str, Any]
    spec: Path | None = None
    out: Path | None = None
    limit: int | None = None
    device: str = "cpu"


def evaluate_run(request: EvaluationRequest, display: Display) -> Run:
    """Evaluate and return the run; cells that cannot run or fail say why.

    Raises `PosebenchError` for checkpoints or data that are not there, and for a suite that cannot
    be run.
    """
    for name in request.fields:
        if name not in _FIELDS:
            raise UsageError(f"evaluate has no option {name!r}.", hint=nearest(name, _FIELDS))
    asked_for = request.checkpoints or embedded_names()
    named = [each for each in asked_for if isinstance(each, str)]
    found = checkpoint_entries(named, request.spec) if named else ()
    entries = (*found, *(each for each in asked_for if not isinstance(each, str)))
    several = {name: _listed(value) for name, value in request.fields.items() if name in _LISTS}
    plain = {"name": "eval", "description": "posebench.evaluate", **request.fields, **several}
    suite = record_from_mapping(Suite, {**plain, "checkpoints": entries}, where="evaluate")
    check_suite(suite)
    folder = request.out or _lasting_folder()
    shared = None if os.environ.get("POSEBENCH_PREDICTIONS") == "none" else predictions_directory()
    asked = RunRequest(
        suite=suite,
        claims=find_claims(suite.claims, Path.cwd()),
        folder=Path(),
        out=folder,
        limit=request.limit,
        devices=(request.device,),
        source=str(Path.cwd()),
        storage=Storage(predictions=folder / PREDICTIONS, shared=shared),
        only_adds=True,
    )
    run_results(asked, display)
    return read_run(folder)


_FIELDS = ("datasets", *EvaluationFields.__annotations__)
_LISTS = (*AXES, "claims")


def _listed(value: Any) -> list[Any]:
    """Return the values of a field as a suite has them."""
    values = value if isinstance(value, list | tuple) else [value]
    return [str(each) if isinstance(each, os.PathLike) else each for each in values]


def _lasting_folder() -> Path:
    """Return a folder that is there until the program ends."""
    folder = Path(tempfile.mkdtemp(prefix="posebench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


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
