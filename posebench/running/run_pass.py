"""One pass: cells that share images and crops, predicted together, then scored and stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from posebench.checkpoints import Checkpoint
from posebench.errors import DataError, UnsupportedExecutionError, in_one_line
from posebench.files.writing import naming_what_cannot_be_written, write_json
from posebench.networks.codecs import Decoder
from posebench.prediction.engines.batch_probe import probed_batch
from posebench.prediction.execution import Parallelism
from posebench.prediction.kept.parts import delete_parts, kept_batch_size
from posebench.prediction.kept.predictions import (
    CachedFile,
    CachedPredictions,
    read_predictions,
    share_predictions,
    write_predictions,
)
from posebench.prediction.predict import NetworkRun, Outcome
from posebench.prediction.segments import predict_in_segments, predict_span
from posebench.results.cell import Status
from posebench.running.executors.jobs import Send
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import RunKey
from posebench.running.passes import pass_name
from posebench.running.plan import PlannedCell
from posebench.running.ready import ReadyNetworks, on_device
from posebench.running.reasons import reason_of
from posebench.running.request import RunRequest, SentDisplay
from posebench.running.resources import is_probed, set_up_process, share_out
from posebench.running.scored import FinishedCell, score_cell
from posebench.running.sharing.jobs import Segment
from posebench.running.storing import store_cell
from posebench.running.workload import Workload

_log = logging.getLogger(__name__)


class PassWorker:
    """Runs passes on one device and stores their cells; made where its process starts.

    `loaded` are the checkpoints at hand; a process of its own has none.
    """

    def __init__(
        self,
        request: RunRequest,
        workloads: Sequence[Workload],
        loaded: LoadedCheckpoints | None,
        device: str,
    ) -> None:
        self._request = request
        self._workloads = workloads
        self._loaded = loaded or LoadedCheckpoints()
        self._device = device
        self._parallelism, settings = share_out(request.resources, device)
        set_up_process(settings)

    def __call__(self, job: Sequence[PlannedCell] | Segment, send: Send) -> None:
        """Run one pass, or a segment of one, and send what is to be shown."""
        prefix = f"{self._device}: " if len(self._request.devices) > 1 else ""
        display = SentDisplay(send, prefix)
        if isinstance(job, Segment):
            self._predict(replace(job, cells=tuple(self._here(job.cells))), display)
        else:
            self._run(self._here(job), display)

    def _here(self, cells: Sequence[PlannedCell]) -> list[PlannedCell]:
        return [replace(cell, network=on_device(cell.runs, self._device)) for cell in cells]

    def _workload_of(self, cells: Sequence[PlannedCell]) -> Workload:
        return self._workloads[cells[0].runs.key.workload]

    def _predict(self, segment: Segment, display: SentDisplay) -> None:
        name = f"{segment.cells[0].id} from {segment.span.start}"
        run_segment(
            segment,
            self._workload_of(segment.cells),
            self._parallelism,
            self._loaded,
            partial(display.progress, name),
        )

    def _run(self, cells: Sequence[PlannedCell], display: SentDisplay) -> None:
        request = self._request
        display.started(cells)
        name = pass_name(cell.checkpoint.source.name for cell in cells)
        finished = run_pass(
            cells,
            self._workload_of(cells),
            self._parallelism,
            self._loaded,
            partial(display.progress, name),
            probed=is_probed(request.all_resources, self._device),
        )
        for cell, done in finished:
            stored = store_cell(request.out, cell, done)
            file = request.coco_results_of(cell.id)
            if file is not None and done.coco_results is not None:
                with naming_what_cannot_be_written(file):
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_json(file, done.coco_results)
            display.finished(stored)


def run_pass(
    cells: Sequence[PlannedCell],
    workload: Workload,
    parallelism: Parallelism,
    loaded: LoadedCheckpoints,
    progress: Callable[[int, int], None],
    *,
    probed: bool = False,
) -> Iterator[tuple[PlannedCell, FinishedCell]]:
    """Run the networks of cells of one workload together and yield each cell with its result.

    The cells are those that can run, as far as the plan knows. Kept predictions are not made again,
    and new ones are kept. Whatever goes wrong in a cell is its
    `reason`. `progress` gets the number of instances that are done and of all. If `probed`, the
    networks decide how large batches are.
    """
    advance = _counting(len(workload.instances), progress)
    loaded.make_room(cell.runs.source for cell in cells)
    kept = {cell.id: found for cell in cells if (found := _kept(cell)) is not None}
    to_run = [cell for cell in cells if cell.id not in kept]
    networks = _networks(to_run, workload, parallelism, loaded)
    if probed:
        parallelism = _with_fitting_batch(parallelism, networks.runs.values())
    outcomes = predict_in_segments(
        networks.runs,
        workload.dataset,
        workload.instances,
        parallelism=parallelism,
        progress=advance,
    )
    # All are kept before the first is scored, because scoring takes time too.
    for cell in to_run:
        if cell.runs.key in outcomes:
            _keep(cell, outcomes[cell.runs.key][cell.decoder])
    for cell in cells:
        key = cell.runs.key
        if cell.id in kept:
            yield cell, _scored(cell, Outcome(kept[cell.id].predictions, seconds=0.0), workload)
        elif key in networks.problems:
            status, reason = networks.problems[key]
            yield cell, FinishedCell(replace(cell.result, status=status, reason=reason))
        else:
            yield cell, _scored(cell, outcomes[key][cell.decoder], workload)


def _with_fitting_batch(parallelism: Parallelism, runs: Iterable[NetworkRun]) -> Parallelism:
    """Return the batches that an earlier run kept answers of, or those that suit the networks."""
    due = [run for run in runs if run.raw is None or not run.raw.is_complete]
    kept = kept_batch_size([file for run in due if run.raw is None for file in run.files.values()])
    if kept is None and due:
        tried = [(run.network, run.flip_test) for run in due]
        kept = probed_batch(tried, torch.device(due[0].device))
    return parallelism if kept is None else replace(parallelism, batch_size=kept)


def run_segment(
    segment: Segment,
    workload: Workload,
    parallelism: Parallelism,
    loaded: LoadedCheckpoints,
    progress: Callable[[int, int], None],
) -> None:
    """Predict a span of one network's instances, and keep it for the pass that scores them all.

    Whatever goes wrong is left to that pass, which meets it again.
    """
    loaded.make_room(cell.runs.source for cell in segment.cells)
    networks = _networks(segment.cells, workload, parallelism, loaded)
    span = segment.span
    predict_span(
        networks.runs,
        workload.dataset,
        workload.instances,
        span,
        parallelism=parallelism,
        progress=_counting(span.stop - span.start, progress),
    )


def _counting(total: int, progress: Callable[[int, int], None]) -> Callable[[int], None]:
    """Return a function that takes what was done at a time, and tells how much is done so far."""
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, total)

    return advance


@dataclass(frozen=True)
class _Networks:
    """The networks of a pass that are ready, and why others are not."""

    runs: Mapping[RunKey, NetworkRun]
    problems: Mapping[RunKey, tuple[Status, str]]


def _networks(
    cells: Sequence[PlannedCell],
    workload: Workload,
    parallelism: Parallelism,
    loaded: LoadedCheckpoints,
) -> _Networks:
    """Load what cells run and make it ready, each network once for all of its decoders."""
    decoders: dict[RunKey, tuple[Decoder, ...]] = {}
    for cell in cells:
        decoders[cell.runs.key] = (*decoders.get(cell.runs.key, ()), cell.decoder)
    runs: dict[RunKey, NetworkRun] = {}
    problems: dict[RunKey, tuple[Status, str]] = {}
    ready = ReadyNetworks(parallelism)
    checkpoints: dict[tuple[Path, Path | None], Checkpoint] = {}
    for key, plan in {cell.runs.key: cell.runs for cell in cells}.items():
        try:
            files = plan.source.files
            if files not in checkpoints:  # `loaded` does not hold one beyond its budget
                checkpoints[files] = loaded.load(plan.source)
            network = ready.network(plan, checkpoints[files], workload)
            runs[key] = plan.with_network(network, decoders[key])
        except Exception as error:
            unsupported = isinstance(error, UnsupportedExecutionError)
            reason = reason_of(error, plan.source.name)
            problems[key] = ("unsupported" if unsupported else "failed", reason)
    return _Networks(runs, problems)


def _file(cell: PlannedCell) -> CachedFile | None:
    return cell.runs.files.get(cell.decoder)


def _kept(cell: PlannedCell) -> CachedPredictions | None:
    """Return a cell's kept predictions, if any; warn if damaged ones have to be made again."""
    file, raw = _file(cell), cell.runs.raw
    if file is None or (raw is not None and not raw.is_complete):
        return None
    try:
        found = read_predictions(file)
    except DataError as error:
        _log.warning("%s. They are made again.", in_one_line(error).rstrip("."))
        return None
    if found is not None and found.place is not None:
        _share(file, found.place)
    return found


def _keep(cell: PlannedCell, outcome: Outcome) -> None:
    """Keep predictions as far as that can be done."""
    file = _file(cell)
    if file is None or outcome.predictions is None:
        return
    try:
        write_predictions(file, CachedPredictions(outcome.predictions, cell.result.gflops))
    except DataError as error:
        _log.warning("Predictions are not kept: %s", error.message)
    else:
        delete_parts(file)
        _share(file, file.path, replace=True)  # a copy that is there is damaged


def _share(file: CachedFile, source: Path, *, replace: bool = False) -> None:
    try:
        share_predictions(file, source, replace=replace)
    except DataError as error:
        _log.warning("Predictions are not copied: %s", error.message)


def _scored(cell: PlannedCell, outcome: Outcome, workload: Workload) -> FinishedCell:
    """Return a cell's result, with the file of its predictions if there is one."""
    file = _file(cell)
    kept = file.path if file is not None and file.path.is_file() else None
    return replace(score_cell(cell.result, outcome, workload), predictions=kept)
