"""Run a benchmark: plan its cells, measure each in a process of its own, keep what is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from posebench.errors import PosebenchError, UsageError
from posebench.files.environment import environment
from posebench.prediction.execution import Progress, Resources
from posebench.results.cell import CellResult
from posebench.results.store import RUN_FILE, SCHEMA_VERSION, RunRecord, locked, start_run
from posebench.running.bench.cell import BenchSettings, steps_of
from posebench.running.bench.process import BenchJob, measure_apart
from posebench.running.cells import Storage, one_line
from posebench.running.one_pass import store_cell
from posebench.running.plan import (
    Place,
    SuiteCell,
    SuitePlan,
    plan_suite,
    resampling,
    scoring_options,
)
from posebench.running.resources import share_out
from posebench.running.scored import FinishedCell
from posebench.running.workload import data_requests
from posebench.scoring.evaluate import ScoreChecks
from posebench.suites.suite import Suite

Measure = Callable[[BenchJob, Callable[[str], None]], CellResult]
_LABEL = "measuring"


@dataclass(frozen=True)
class BenchRequest:
    """What to measure, as a suite, and how; `out` is a new run directory, None for no files."""

    suite: Suite
    folder: Path
    out: Path | None = None
    limit: int | None = None
    device: str = "cpu"
    resources: Resources = field(default_factory=Resources)
    settings: BenchSettings = field(default_factory=BenchSettings)


def run_bench(
    request: BenchRequest, report: Progress, measure: Measure = measure_apart
) -> Iterator[CellResult]:
    """Yield a result for each cell, in the order of the plan, when it is measured and kept.

    A cell that cannot run, or breaks off, is a result with its reason. Raises `PosebenchError`
    for what cannot be used at all, and `UsageError` where `out` holds a run: timings of two runs
    do not mix.
    """
    out = request.out
    if out is not None and (out / RUN_FILE).is_file():
        raise UsageError(
            f"{out} holds a run already, and timings of two runs do not mix.",
            hint="Name a new folder with --out.",
        )
    with nullcontext() if out is None else locked(out):
        place = Place(request.folder, Storage(), request.limit, request.device)
        plan = plan_suite(request.suite, place, report)
        if out is not None:
            start_run(out, _record(request, plan))
        steps, done = steps_of(request.settings), 0
        total = steps * sum(cell.result.status == "ok" for cell in plan.cells)
        for cell in plan.cells:
            if cell.result.status != "ok":
                yield _unmeasured(request, cell, cell.result)
                continue
            yield _measured(request, cell, measure, _Counter(report, done, total))
            done += steps
            report(_LABEL, done, total)


class _Counter:
    """Counts the steps of one cell on top of those before."""

    def __init__(self, report: Progress, before: int, total: int) -> None:
        self._report = report
        self._steps = before
        self._total = total

    def __call__(self, _step: str) -> None:
        self._report(_LABEL, self._steps, self._total)
        self._steps += 1


def _measured(
    request: BenchRequest, cell: SuiteCell, measure: Measure, step: Callable[[str], None]
) -> CellResult:
    try:
        return measure(_job(request, cell), step)
    except PosebenchError as error:
        failed = replace(cell.result, status="failed", reason=one_line(error))
        return _unmeasured(request, cell, failed)


def _unmeasured(request: BenchRequest, cell: SuiteCell, result: CellResult) -> CellResult:
    """Write a result without numbers to the run directory, if there is one, and return it."""
    if request.out is not None:
        store_cell(request.out, cell, FinishedCell(result))
    return result


def _job(request: BenchRequest, cell: SuiteCell) -> BenchJob:
    assert cell.key is not None and cell.axes is not None
    suite = request.suite
    return BenchJob(
        id=cell.id,
        labels=dict(cell.checkpoint.entry.labels),
        out=request.out,
        source=cell.checkpoint.source,
        key=cell.key,
        axes=cell.axes,
        decoder=cell.decoder,
        resources=resources_of(request),
        data=data_requests(suite, request.folder, request.limit)[cell.workload],
        scoring=scoring_options(suite),
        checks=ScoreChecks(resampling(suite)),
        settings=request.settings,
    )


def resources_of(request: BenchRequest) -> Resources:
    """Return the resources of every cell."""
    return request.resources.or_batch_size(request.suite.batch_size)


def _record(request: BenchRequest, plan: SuitePlan) -> RunRecord:
    _, settings = share_out(resources_of(request), request.device)
    return RunRecord(
        SCHEMA_VERSION,
        request.suite,
        (),
        tuple(cell.id for cell in plan.cells),
        environment(),
        settings.torch_threads,
        limit=request.limit,
    )
