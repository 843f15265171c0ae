"""Measure a cell in a process of its own, so that its memory and threads are nobody else's."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from posebench.__version__ import __version__
from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.checkpoints.load_report import LoadReport
from posebench.datasets.requests import DataRequest
from posebench.errors import CheckpointError, PosebenchError
from posebench.files.records import mapping_from_record
from posebench.networks.codecs import DecoderChoice
from posebench.networks.policies import Policy
from posebench.networks.sizes import InputSize
from posebench.prediction.devices import check_device
from posebench.prediction.execution import Execution, Resources
from posebench.prediction.predict import CellPredictions
from posebench.prediction.predictions import Predictions
from posebench.results.cell import CellResult
from posebench.results.store import StoredCell, write_cell
from posebench.running.bench.cell import BenchPlace, BenchSettings, bench_cell, evaluate_once
from posebench.running.bench.parity import parity_of
from posebench.running.cells import Grid, PlannedCell, Storage, plan_cell, reason_of
from posebench.running.plan import CellAxes
from posebench.running.resources import share_out
from posebench.running.run_cells import checkpoint_facts, ready_to_run
from posebench.running.scored import FinishedCell, score_cell
from posebench.running.sources import CheckpointSource
from posebench.running.workload import Workload, load_workload
from posebench.scoring.evaluate import ScoreChecks, ScoringOptions


@dataclass(frozen=True)
class BenchJob:
    """One cell to measure, and all it takes to do so in another process.

    `out` is the run directory that it is written to, None for no file.
    """

    id: str
    labels: Mapping[str, str]
    out: Path | None
    source: CheckpointSource
    key: tuple[InputSize, Policy]
    axes: CellAxes
    decoder: DecoderChoice
    resources: Resources
    data: DataRequest
    scoring: ScoringOptions
    checks: ScoreChecks
    settings: BenchSettings


Step = Callable[[str], None]


def measure_apart(job: BenchJob, step: Step) -> CellResult:
    """Measure a cell in a new process; `step` is called here with what it does next.

    Raises `CheckpointError` where the process breaks off, and what it raised itself.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, theirs))
    process.start()
    theirs.close()
    try:
        while True:
            message = ours.recv()
            if isinstance(message, CellResult):
                return message
            if isinstance(message, PosebenchError):
                raise message
            step(message)
    except EOFError:
        process.join()
        raise CheckpointError(
            f"The process that measured this cell ended with exit code {process.exitcode}.",
            hint="-9 is the system's when memory runs out: try a smaller --batch-sizes.",
        ) from None
    finally:
        if process.is_alive():
            # Done, or stopped by Ctrl-C.
            process.terminate()
        process.join()


def _work(job: BenchJob, connection: Connection) -> None:
    # Ctrl-C reaches every process of a terminal; the one that waits for this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        message: object = measure(job, connection.send)
    except PosebenchError as error:
        message = error
    except Exception as error:
        message = CheckpointError(reason_of(error, job.source.name))
    with suppress(BrokenPipeError):
        connection.send(message)


def measure(job: BenchJob, step: Step) -> CellResult:
    """Measure a cell in this process and write it; one that cannot run says why."""
    execution = job.axes.execution
    parallelism, _ = share_out(job.resources, execution.device)
    step("loading")
    loaded = load_checkpoint(job.source.path, job.source.spec_file)
    workload = load_workload(job.data, job.scoring, lambda _done, _total: None, job.checks)
    place = BenchPlace(workload, parallelism, check_device(execution.device))
    plan = _plan(job, loaded, place, execution)
    (done,) = (FinishedCell(result) for result in plan.results)
    if plan.cell is not None:
        cost = done.result.gflops, execution.precision
        speed, predictions = bench_cell(plan.cell, cost, place, job.settings, step)
        done = _scored(done.result, predictions, workload)
        if job.settings.parity:
            step("parity")
            eager = replace(execution, engine="eager", precision="fp32")
            reference = _predictions(_plan(job, loaded, place, eager), place)
            ap = _difference(done.result, _scored(done.result, reference, workload).result)
            speed = replace(speed, parity=parity_of(predictions, reference, ap))
        rate = speed.end_to_end.value
        done = replace(done, result=replace(done.result, instances_per_second=rate, speed=speed))
    _write(job, done, loaded.report)
    return done.result


def _plan(
    job: BenchJob, loaded: Checkpoint, place: BenchPlace, execution: Execution
) -> PlannedCell:
    """Return the cell with its network ready to run, or without one and with the reason."""
    grid = Grid(flip_test=job.axes.flip_test, execution=execution, decoders=(job.decoder,))
    facts = checkpoint_facts(loaded, job.source.name)
    planned = plan_cell(loaded, facts, job.key, place.workload, grid, Storage())
    (plan,) = ready_to_run([planned], place.workload, place.parallelism)
    return plan


def _write(job: BenchJob, done: FinishedCell, report: LoadReport) -> None:
    if job.out is None:
        return
    stored = StoredCell(
        job.id,
        done.result,
        job.labels,
        keypoints=done.keypoints,
        posebench=__version__,
        load_report=mapping_from_record(report),
    )
    write_cell(job.out, stored, done.table)


def _scored(result: CellResult, predictions: Predictions, workload: Workload) -> FinishedCell:
    return score_cell(result, CellPredictions(predictions, seconds=0.0), workload)


def _predictions(plan: PlannedCell, place: BenchPlace) -> Predictions:
    """Run a planned cell once; raise `PosebenchError` where it does not run."""
    if plan.cell is None:
        raise CheckpointError(f"Eager fp32 does not run: {plan.results[0].reason}")
    return evaluate_once(plan.cell, place)


def _difference(one: CellResult, other: CellResult) -> float | None:
    found, expected = ((each.metrics or {}).get("AP") for each in (one, other))
    return None if found is None or expected is None else found - expected
