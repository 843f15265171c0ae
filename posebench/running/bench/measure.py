"""Measure one cell, score what it predicts, and store both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from posebench.checkpoints import Checkpoint
from posebench.errors import CheckpointError, UnsupportedExecutionError
from posebench.prediction.devices import check_device
from posebench.prediction.engines import check_execution
from posebench.prediction.engines.batch_probe import probed_batch
from posebench.prediction.execution import Execution
from posebench.prediction.predict import NetworkRun, Outcome
from posebench.prediction.predictions import Predictions
from posebench.results.cell import CellResult, Status
from posebench.running.bench.cell import (
    BenchPlace,
    BenchSettings,
    bench_cell,
    evaluate_once,
    steps_of,
)
from posebench.running.bench.parity import parity_of
from posebench.running.executors.jobs import Send
from posebench.running.loading import LoadedCheckpoints
from posebench.running.plan import PlannedCell
from posebench.running.ready import ReadyNetworks
from posebench.running.reasons import reason_of
from posebench.running.request import RunRequest, SentDisplay
from posebench.running.resources import is_probed, set_up_process, share_out
from posebench.running.scored import FinishedCell, score_cell
from posebench.running.storing import store_cell
from posebench.running.workload import Workload


class MeasureWorker:
    """Measures cells and stores them; made in a process that does nothing else."""

    def __init__(
        self,
        settings: BenchSettings,
        request: RunRequest,
        workloads: Sequence[Workload],
        loaded: LoadedCheckpoints | None,
        device: str,
    ) -> None:
        self._settings = settings
        self._request = request
        self._workloads = workloads
        self._loaded = loaded or LoadedCheckpoints()
        self._parallelism, threads = share_out(request.resources, device)
        set_up_process(threads)

    def __call__(self, cells: Sequence[PlannedCell], send: Send) -> None:
        """Measure each cell, and send what is to be shown."""
        display = SentDisplay(send)
        for cell in cells:
            display.started([cell])
            steps = _Steps(display, cell.id, steps_of(self._settings))
            try:
                done = self.measure(cell, steps)
            except Exception as error:
                unsupported = isinstance(error, UnsupportedExecutionError)
                status: Status = "unsupported" if unsupported else "failed"
                reason = reason_of(error, cell.checkpoint.source.name)
                done = FinishedCell(replace(cell.result, status=status, reason=reason))
            display.finished(store_cell(self._request.out, cell, done))

    def measure(self, cell: PlannedCell, step: Callable[[str], None]) -> FinishedCell:
        """Return a cell's result with its speed.

        Raises `PosebenchError` if it does not run.
        """
        execution = cell.runs.key.execution
        step("loading")
        checkpoint = self._loaded.load(cell.runs.source)
        workload = self._workloads[cell.runs.key.workload]
        device = check_device(execution.device)
        cost = cell.result.gflops, execution.precision
        run, parallelism = self._run(cell, checkpoint, execution), self._parallelism
        if is_probed(self._request.all_resources, execution.device):
            batch_size = probed_batch([(run.network, run.flip_test)], device)
            parallelism = replace(parallelism, batch_size=batch_size)
        place = BenchPlace(workload, parallelism, device)
        speed, predictions = bench_cell(run, cost, place, self._settings, step)
        done = _scored(cell.result, predictions, workload)
        if self._settings.parity:
            step("parity")
            reference = self._eager(cell, checkpoint, place)
            ap = _difference(done.result, _scored(cell.result, reference, workload).result)
            speed = replace(speed, parity=parity_of(predictions, reference, ap))
        rate = speed.end_to_end.value
        return replace(done, result=replace(done.result, instances_per_second=rate, speed=speed))

    def _eager(self, cell: PlannedCell, checkpoint: Checkpoint, place: BenchPlace) -> Predictions:
        """Return what the network predicts as it was published.

        Raises `CheckpointError` if it does not run in torch.
        """
        execution = replace(cell.runs.key.execution, engine="eager", precision="fp32")
        try:
            return evaluate_once(self._run(cell, checkpoint, execution), place)
        except UnsupportedExecutionError as error:
            raise CheckpointError(f"Eager fp32 does not run: {error.message}") from None

    def _run(self, cell: PlannedCell, checkpoint: Checkpoint, execution: Execution) -> NetworkRun:
        """Return a cell's network ready to run.

        Raises `UnsupportedExecutionError` if the engine cannot run it.
        """
        check_execution(checkpoint.network, execution)
        plan = replace(cell.runs, key=replace(cell.runs.key, execution=execution), files={})
        workload = self._workloads[plan.key.workload]
        network = ReadyNetworks(self._parallelism).network(plan, checkpoint, workload)
        return plan.with_network(network, (cell.decoder,))


class _Steps:
    """Counts the steps of one cell."""

    def __init__(self, display: SentDisplay, label: str, total: int) -> None:
        self._display = display
        self._label = label
        self._total = total
        self._done = 0

    def __call__(self, step: str) -> None:
        self._display.progress(f"{self._label}: {step}", self._done, self._total)
        self._done += 1


def _scored(result: CellResult, predictions: Predictions, workload: Workload) -> FinishedCell:
    return score_cell(result, Outcome(predictions, seconds=0.0), workload)


def _difference(one: CellResult, other: CellResult) -> float | None:
    found, expected = ((each.metrics or {}).get("AP") for each in (one, other))
    return None if found is None or expected is None else found - expected
