"""Run a suite: each cell not done yet runs, and is written to the run directory when done.

The one orchestrator of `run`, `eval` and `bench`, which differ in what is done for a cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from posebench.errors import PosebenchError, UsageError
from posebench.files.environment import environment
from posebench.prediction.devices import check_device
from posebench.prediction.execution import Progress
from posebench.results.probe_store import has_probe
from posebench.results.shared.deals import keep_deal
from posebench.results.shared.locks import locked
from posebench.results.store import (
    RUN_FILE,
    SCHEMA_VERSION,
    NewerSchemaError,
    RunRecord,
    has_cell,
    read_run_record,
    start_run,
)
from posebench.running.executors import ELSEWHERE
from posebench.running.loading import LoadedCheckpoints
from posebench.running.plan import Place, SuitePlan, plan_suite
from posebench.running.probing import PlannedProbe, plan_probes, run_probes
from posebench.running.request import Display, RunRequest
from posebench.running.resources import set_up_process, share_out
from posebench.running.scored import FinishedCell
from posebench.running.sharing.asked import Asked, asked_of
from posebench.running.sharing.dispatch import EVALUATION, CellWork, Dispatch
from posebench.running.storing import pending_and_done, store_cell
from posebench.running.trained.places import keep_places, without_places


def run_suite(
    request: RunRequest,
    display: Display,
    work: CellWork = EVALUATION,
    check: Callable[[SuitePlan], None] | None = None,
) -> Asked:
    """Run what is left of a suite, or of a shard of it; return what was asked for.

    Results already in the run directory are kept if they were made from the same checkpoint, data,
    protocol and version. A cell that fails is a result. On Ctrl-C what is done is kept. `check`
    may refuse the plan before anything runs or is written. Raises `PosebenchError` if something
    cannot be used at all.
    """
    request = replace(request, resources=request.all_resources)
    elsewhere = request.executor in ELSEWHERE
    for device in () if elsewhere else request.devices:
        check_device(device)
    _, settings = share_out(request.resources, "cpu" if elsewhere else request.devices[0])
    set_up_process(settings)
    with locked(request.out, request.shard):
        _check_work(request, work)
        loaded = LoadedCheckpoints()
        plan = plan_of(request, loaded, display.progress)
        if check is not None:
            check(plan)
        probes = plan_probes(request.suite, plan.checkpoints, plan.workloads, loaded)
        asked = asked_of(request, plan, probes)
        if asked.deal is not None:
            keep_deal(request.out, asked.deal)
        start_run(request.out, _record(request, plan, probes, settings.torch_threads, work))
        keep_places(request.out, request.suite)
        pending, done = pending_and_done(request, asked.cells)
        display.planned(plan.cells if request.shard is None else asked.cells, pending, done)
        for cell in pending:
            if cell.result.status != "ok":
                display.finished(store_cell(request.out, cell, FinishedCell(cell.result)))
        to_run = [cell for cell in pending if cell.result.status == "ok"]
        Dispatch(request, plan, loaded, work).run(asked.cells, to_run, display)
        run_probes(request, asked.probes, loaded, display.progress)
    return asked


def _record(
    request: RunRequest,
    plan: SuitePlan,
    probes: Sequence[PlannedProbe],
    threads: int,
    work: CellWork,
) -> RunRecord:
    """Return what the run directory says of the run."""
    before = _before(request)
    return RunRecord(
        SCHEMA_VERSION,
        without_places(request.suite),
        request.claims,
        _joined(before.cells, [cell.id for cell in plan.cells], request, has_cell),
        environment(),
        threads,
        request.source,
        request.limit,
        work.record,
        _joined(before.probes, [probe.id for probe in probes], request, has_probe),
    )


def plan_of(request: RunRequest, loaded: LoadedCheckpoints, progress: Progress) -> SuitePlan:
    """Return all cells of the suite."""
    place = Place(
        request.folder,
        request.folders,
        request.limit,
        request.devices[0],
        request.trained,
        elsewhere=request.executor in ELSEWHERE,
        stage=None if request.executor in ELSEWHERE else request.stage,
    )
    return plan_suite(request.suite, place, loaded, progress)


@dataclass(frozen=True)
class _Before:
    """The ids that a run directory's record lists."""

    cells: tuple[str, ...] = ()
    probes: tuple[str, ...] = ()


def _before(request: RunRequest) -> _Before:
    """Return what the run directory has, if that stays beside what the plan asks for."""
    if not request.only_adds or not (request.out / RUN_FILE).is_file():
        return _Before()
    try:
        record = read_run_record(request.out)
    except PosebenchError:
        return _Before()  # damaged: it is made again
    return _Before(record.cells, record.probes)


def _joined(
    before: Sequence[str],
    asked: Sequence[str],
    request: RunRequest,
    has: Callable[[Path, str], bool],
) -> tuple[str, ...]:
    """Return the ids that stay, as far as their results are there, and then those asked for."""
    own = {*asked}
    stay = [name for name in before if name not in own and has(request.out, name)]
    return (*stay, *asked)


def _check_work(request: RunRequest, work: CellWork) -> None:
    """Check that the run directory holds no results of other work.

    Raises `UsageError` if it does.
    """
    if not (request.out / RUN_FILE).is_file():
        return
    try:
        before = read_run_record(request.out)
    except NewerSchemaError:
        raise
    except PosebenchError:
        return  # damaged, or of an older version: it is made again
    machine = environment()["machine"]
    other_machine = work.record is not None and before.environment.get("machine") != machine
    if before.bench != work.record or other_machine:
        raise UsageError(
            f"{request.out} holds a run of other settings or of another machine, and timings do "
            "not mix.",
            hint="Name a new folder with --out.",
        )
