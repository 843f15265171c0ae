"""How far a run is: what its directory holds, which shards run, and what waits on a cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from posebench.errors import PosebenchError
from posebench.results.shared.ledger import JOBS, JobNote, read_notes
from posebench.results.shared.locks import Shard, is_running, shards_in
from posebench.results.store import read_run


@dataclass(frozen=True)
class RunStatus:
    """How far a run is.

    `done` counts results by their status, `left` are the ids of cells and probes without one,
    `reasons` say why some failed, by id. `running` tells of the whole directory whether a process
    holds it, `shards` of each shard that was begun; both are None where nobody can tell, because
    the file system has no locks, or this user may not write there. `submitted` are the jobs that
    were given to a cluster.
    """

    folder: Path
    done: Mapping[str, int]
    left: tuple[str, ...]
    reasons: Mapping[str, str]
    running: bool | None
    shards: Mapping[Shard, bool | None]
    submitted: tuple[JobNote, ...]


def run_status(folder: Path) -> RunStatus:
    """Return how far a run is.

    Raises `DataError` or `SpecError` if the run directory cannot be read.
    """
    run = read_run(folder)
    results = {cell.id: (cell.result.status, cell.result.reason) for cell in run.cells}
    results |= {probe.id: (probe.status, probe.reason) for probe in run.probes}
    return RunStatus(
        folder,
        Counter(status for status, _ in results.values()),
        run.missing,
        {name: reason or "" for name, (status, reason) in results.items() if status == "failed"},
        _runs(folder, None),
        {shard: _runs(folder, shard) for shard in shards_in(folder)},
        read_notes(folder / JOBS),
    )


def _runs(folder: Path, shard: Shard | None) -> bool | None:
    try:
        return is_running(folder, shard)
    except PosebenchError:
        return None
