"""Cells of checkpoints on data that is loaded, run in this process and stored nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from posebench.prediction.execution import Parallelism
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Storage
from posebench.running.passes import passes_on
from posebench.running.plan import Place, PlannedCell, plan_cells
from posebench.running.run_pass import run_pass
from posebench.running.scored import FinishedCell
from posebench.running.sources import suite_checkpoints
from posebench.running.workload import Workload
from posebench.suites.suite import Suite


def planned(
    paths: Sequence[Path],
    workload: Workload,
    storage: Storage | None = None,
    loaded: LoadedCheckpoints | None = None,
    **axes: Any,
) -> tuple[PlannedCell, ...]:
    """Return the cells of checkpoints on one workload."""
    suite = Suite("cells", "d", tuple(map(str, paths)), **axes)
    place = Place(Path(), storage or Storage())
    loaded = loaded or LoadedCheckpoints()
    return plan_cells(
        suite, suite_checkpoints(suite, Path()), [workload], place, loaded, lambda *_: None
    ).cells


def run_cells(
    paths: Sequence[Path],
    workload: Workload,
    storage: Storage | None = None,
    *,
    parallelism: Parallelism | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    probed: bool = False,
    **axes: Any,
) -> list[FinishedCell]:
    """Return what comes of every cell, in the order of the plan."""
    loaded = LoadedCheckpoints()
    cells = planned(paths, workload, storage, loaded, **axes)
    found = {cell.id: FinishedCell(cell.result) for cell in cells}
    for group in passes_on([cell for cell in cells if cell.result.status == "ok"], 1):
        parallelism = parallelism or Parallelism()
        for cell, done in run_pass(group, workload, parallelism, loaded, progress, probed=probed):
            found[cell.id] = done
    return [found[cell.id] for cell in cells]
