"""The cells of a run as jobs for an executor: here, in processes, or on other machines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from posebench.__version__ import __version__
from posebench.files.hashing import content_key
from posebench.files.records import mapping_from_record
from posebench.results.store import StoredCell
from posebench.running.executors import (
    ELSEWHERE,
    EXECUTORS,
    WorkerLost,
    Workers,
    with_retries,
)
from posebench.running.executors.jobs import Work
from posebench.running.executors.retrying import TRIES
from posebench.running.loading import LoadedCheckpoints
from posebench.running.passes import passes_on
from posebench.running.plan import PlannedCell, SuitePlan
from posebench.running.request import Display, Message, RunRequest, show
from posebench.running.resources import batch_size_on, share_of_each
from posebench.running.run_pass import PassWorker
from posebench.running.sharing.costs import cost_of
from posebench.running.sharing.elsewhere import Expected, StartElsewhere
from posebench.running.sharing.jobs import Segment, jobs_on, segments_of
from posebench.running.storing import fail_cells, stored_cell
from posebench.running.workload import Workload

_log = logging.getLogger(__name__)
_Job = Sequence[PlannedCell] | Segment


@dataclass(frozen=True)
class CellWork:
    """What is done for cells: how they become jobs for a number of devices, and who does these.

    `worker` takes the request, the workloads, the checkpoints at hand (None in a process of its
    own) and the device. `apart` gives each job a process of its own; `record` is how the run's
    record describes the work; runs of different work do not mix.
    """

    jobs: Callable[[Sequence[PlannedCell], int], list[list[PlannedCell]]]
    worker: Callable[[RunRequest, Sequence[Workload], LoadedCheckpoints | None, str], Work]
    apart: bool = False
    record: Mapping[str, Any] | None = None


EVALUATION = CellWork(passes_on, PassWorker)


@dataclass(frozen=True)
class Dispatch:
    """What is needed to run cells: all of the plan, and those checkpoints that are in memory."""

    request: RunRequest
    plan: SuitePlan
    loaded: LoadedCheckpoints
    work: CellWork

    def run(
        self, asked: Sequence[PlannedCell], pending: Sequence[PlannedCell], display: Display
    ) -> None:
        """Run the pending ones of the cells that are asked for; whatever fails is a result."""
        shown = _Shown(display, self.request)
        jobs = self._jobs(asked, pending)
        segments = self._segments(jobs, cost_of(asked) / len(self.request.devices))
        if segments:
            others = {key: job for key, job in jobs.items() if key not in segments}
            parts = {
                f"{key} {part.span.start}-{part.span.stop}": part
                for key, parts in segments.items()
                for part in parts
            }
            self._run({**parts, **others}, shown)
            jobs = {key: jobs[key] for key in segments}
        self._run(jobs, shown)

    def _jobs(
        self, asked: Sequence[PlannedCell], pending: Sequence[PlannedCell]
    ) -> dict[str, Sequence[PlannedCell]]:
        places = len(self.request.devices)
        if self.request.executor is None:
            return {group[0].id: group for group in self.work.jobs(pending, places)}
        waiting = {cell.id for cell in pending}
        jobs: dict[str, Sequence[PlannedCell]] = {}
        for group in jobs_on([cell for cell in asked if cell.result.status == "ok"], places):
            left = [cell for cell in group if cell.id in waiting]
            if left:
                jobs[job_key(self.request, group)] = left
        return jobs

    def _segments(
        self, jobs: Mapping[str, Sequence[PlannedCell]], share: float
    ) -> dict[str, list[Segment]]:
        """Return the segments of jobs that are dearer than a share, by the keys of the jobs.

        What they predict is gathered in a second round, which a detached run does not have.
        """
        if self.request.executor is None or self.request.site.detached:
            return {}
        batch = batch_size_on(self.request.resources, self.request.devices[0])
        parts = {key: segments_of(job, share, batch) for key, job in jobs.items()}
        return {key: found for key, found in parts.items() if found}

    def _run(self, jobs: Mapping[str, _Job], shown: _Shown) -> None:
        left = dict(jobs)
        receive = partial(_receive, shown)
        tries = 1 if self.work.apart else TRIES  # a measurement is not repeated
        workers = self._workers()
        execute = EXECUTORS[self._executor]
        self._keep_only(left)
        tried = with_retries(execute, jobs, workers, receive, shown.left_of, tries)
        with closing(tried) as outcomes:
            for key, outcome in outcomes:
                if isinstance(outcome, WorkerLost):
                    self._give_up(jobs[key], outcome.reason, shown)
                del left[key]
                self._keep_only(left)

    def _give_up(self, job: _Job, reason: str, shown: _Shown) -> None:
        if isinstance(job, Segment):  # the pass that gathers does without it
            _log.warning("A segment of %s was not predicted: %s", job.cells[0].id, reason)
            return
        fail_cells(self.request.out, shown.left(job), reason, shown.display)

    @property
    def _executor(self) -> str:
        if self.request.executor is not None:
            return self.request.executor
        return "processes" if self.work.apart or len(self.request.devices) > 1 else "inline"

    def _workers(self) -> Workers:
        """Return who runs cells, with what they need in memory, or what they read themselves."""
        request, work, plan = self.request, self.work, self.plan
        executor, places = self._executor, request.devices
        if executor in ELSEWHERE:
            expected = tuple(Expected.of(workload) for workload in plan.workloads)
            start: Callable[[str], Work] = StartElsewhere(work.worker, request, expected)
        elif executor == "processes":
            share = share_of_each(request.resources, places[0], len(places))
            request = replace(request, resources=share)
            start = partial(work.worker, request, plan.workloads, None)
        else:
            start = partial(work.worker, request, plan.workloads, self.loaded)
        return Workers(start, places, work.apart, request.site, _is_lasting)

    def _keep_only(self, left: Mapping[str, _Job]) -> None:
        """Let go of checkpoints that no job here needs any more."""
        here = left.values() if self._executor == "inline" else ()
        cells = [cell for job in here for cell in _cells_of(job)]
        self.loaded.keep_only(cell.checkpoint.source for cell in cells)


def _cells_of(job: _Job) -> Sequence[PlannedCell]:
    return job.cells if isinstance(job, Segment) else job


def job_key(request: RunRequest, group: Sequence[PlannedCell]) -> str:
    """Return the key of a job: an id for the eye, and a hash of all that its results come from.

    A task that was submitted before is taken over only if its results would count as done.
    """
    cells = {
        cell.id: [mapping_from_record(cell.result), dict(cell.checkpoint.entry.labels)]
        for cell in group
    }
    scoring = mapping_from_record(request.suite.scoring)
    made_of = {"cells": cells, "scoring": scoring, "posebench": __version__}
    return f"{group[0].id} {content_key(made_of)[:12]}"


def _receive(shown: _Shown, _key: str, message: Message) -> None:
    shown.receive(message)


def _is_lasting(message: Message) -> bool:
    """Tell whether a message is still worth showing when its job is done."""
    return message[0] != "progress"


class _Shown:
    """Shows what workers send, and notes which cells are done."""

    def __init__(self, display: Display, request: RunRequest) -> None:
        self.display = display
        self._request = request
        self._done = set[str]()

    def left_of(self, job: _Job) -> _Job:
        """Return what is left of a job to do."""
        return job if isinstance(job, Segment) else self.left(job)

    def left(self, cells: Sequence[PlannedCell]) -> list[PlannedCell]:
        """Return the cells that are not done.

        A worker on another machine may have stored some before it was lost, and told nobody.
        """
        if self._request.executor in ELSEWHERE:
            for cell in cells:
                stored = None if cell.id in self._done else stored_cell(self._request, cell)
                if stored is not None:
                    self.receive(("finished", (stored,)))
        return [cell for cell in cells if cell.id not in self._done]

    def receive(self, message: Message) -> None:
        """Take one message of a worker."""
        show(self.display, message)
        call, arguments = message
        if call == "finished":
            stored: StoredCell = arguments[0]
            self._done.add(stored.id)
