"""Jobs as the tasks of a SLURM array, by submitit: each has a process of its own on some node.

What was submitted is noted, so that a process that starts again takes over the tasks that still
wait or run. A task that is preempted, or out of time, is queued again and goes on.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posebench.errors import MissingExtraError, UsageError, in_one_line
from posebench.results.shared.ledger import JobNote, add_notes, read_notes
from posebench.running.executors.jobs import Submitted, WorkerLost, Workers, this_node
from posebench.running.executors.remote import RemoteWorker, Report

_log = logging.getLogger(__name__)
# Unless `--slurm` says otherwise. A task out of time is queued again, so that a short time, which
# clusters start sooner, loses a minute of work.
_PARAMETERS = {"name": "posebench", "timeout_min": "120"}
_MOST_TIMEOUTS = 1000
_WHOLE = ("timeout_min", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node")
_SHARED = (*_WHOLE, "name", "mem_gb")
_POLL_SECONDS = 1.0
# The option that says which cluster: `slurm`, or `local` for processes of this machine.
_CLUSTER = "cluster"
_CLUSTERS = ("slurm", "local")


@dataclass(frozen=True)
class _Task:
    """What an array's task does; it can be queued again as it is."""

    workers: Workers
    place: str

    def __call__(self, job: Any) -> Report:
        """Do the job."""
        logging.basicConfig(format="%(message)s")
        return RemoteWorker(self.workers, self.place)(job)

    def checkpoint(self, job: Any) -> Any:
        """Return what is queued if this is stopped: the same, which goes on from what is kept."""
        import submitit

        return submitit.helpers.DelayedSubmission(self, job)


def slurm(
    jobs: Mapping[str, Any], workers: Workers, receive: Callable[[str, Any], None]
) -> Generator[tuple[str, Any], None, None]:
    """Run each job as a task of an array, as many at once as there are places.

    Raises `MissingExtraError` without submitit, and `UsageError` for options that it does not know
    or if this machine cannot submit.
    """
    if not jobs:
        return
    executor, cluster, folder = _executor(workers)
    running = _left_by_others(folder, jobs)
    if running:
        _log.warning("%d tasks that were submitted before are waited for.", len(running))
    waiting = deque(key for key in jobs if key not in running)

    def submit(count: int) -> None:
        begun = [waiting.popleft() for _ in range(min(len(waiting), count))]
        if not begun:
            return
        tasks = _submitted(executor, workers, {key: jobs[key] for key in begun})
        add_notes(folder, [JobNote(key, cluster, job.job_id) for key, job in tasks.items()])
        running.update(tasks)

    # SLURM keeps to the places by itself; here, a process starts when another one has ended.
    here = cluster == "local" and not workers.site.detached
    if not here:
        submit(len(waiting))
    if workers.site.detached:
        yield from ((key, Submitted(job.job_id)) for key, job in running.items())
        return
    try:
        while waiting or running:
            submit(len(workers.places) - len(running))
            for key, job in list(running.items()):
                if _is_done(job):
                    del running[key]
                    yield key, _outcome(job, key, receive)
            time.sleep(_POLL_SECONDS if running else 0)
    finally:
        for job in running.values():
            job.cancel(check=False)


def _submitted(executor: Any, workers: Workers, jobs: Mapping[str, Any]) -> dict[str, Any]:
    """Submit jobs as one array, and return their tasks.

    Raises `UsageError` if the cluster does not take them.
    """
    import submitit

    try:
        tasks = executor.map_array(_Task(workers, workers.places[0]), list(jobs.values()))
    except submitit.core.utils.FailedJobError as error:
        said = in_one_line(error)
        raise UsageError(
            f"The cluster did not take {len(jobs)} tasks: {said}",
            hint="--slurm gives the parameters of sbatch, such as partition=gpu or account=NAME.",
        ) from None
    return dict(zip(jobs, tasks, strict=True))


def _executor(workers: Workers) -> tuple[Any, str, Path]:
    """Return submitit's executor, the word for its cluster, and the folder of its files."""
    try:
        import submitit
    except ImportError:
        raise MissingExtraError.of("--executor slurm", "submitit", "slurm") from None
    folder = workers.site.logs
    assert folder is not None
    options = dict(workers.site.options)
    cluster = options.pop(_CLUSTER, "slurm")
    if cluster not in _CLUSTERS:
        raise UsageError(f"--slurm cluster={cluster} is neither {' nor '.join(_CLUSTERS)}.")
    try:
        executor = submitit.AutoExecutor(
            folder / "%j", cluster=cluster, slurm_max_num_timeout=_MOST_TIMEOUTS
        )
        executor.update_parameters(**_parameters(options, len(workers.places)))
    except (RuntimeError, NameError, ValueError, AssertionError) as error:
        raise UsageError(
            f"submitit cannot submit here: {error}",
            hint="Submit from a machine with sbatch. --slurm takes submitit's parameters, such as "
            "partition=gpu, timeout_min=240, gpus_per_node=1 or cpus_per_task=8.",
        ) from None
    return executor, cluster, folder


def _parameters(options: Mapping[str, str], places: int) -> dict[str, Any]:
    """Return the parameters of submitit: its own names as they are, SLURM's with a prefix.

    Raises `ValueError` for what should be a number.
    """
    found: dict[str, Any] = {"stderr_to_stdout": True, "slurm_array_parallelism": places}
    for name, text in {**_PARAMETERS, **options}.items():
        if name in _WHOLE:
            found[name] = int(text)
        elif name == "mem_gb":
            found[name] = float(text)
        else:
            found[name if name in _SHARED else f"slurm_{name}"] = text
    return found


def _left_by_others(folder: Path, jobs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tasks of these jobs that an earlier process submitted and that are not done."""
    notes = [note for note in read_notes(folder) if note.key in jobs and note.cluster in _CLUSTERS]
    found = {note.key: _task_of(note, folder) for note in notes}
    return {key: job for key, job in found.items() if not _is_done(job)}


def _task_of(note: JobNote, folder: Path) -> Any:
    import submitit

    job_class = submitit.LocalJob if note.cluster == "local" else submitit.SlurmJob
    return job_class(folder / "%j", note.id)


def task_states(notes: Sequence[JobNote], folder: Path) -> dict[str, str]:
    """Return the states of submitted tasks by key, without those that ended with a result.

    `folder` is that of their logs. Without submitit nothing is known of any.
    """
    try:
        import submitit  # noqa: F401
    except ImportError:
        return {note.key: "submitted" for note in notes}
    states = {}
    for note in notes:
        job = _task_of(note, folder)
        if not _is_done(job):
            state = "RUNNING" if note.cluster == "local" else job.state
            states[note.key] = f"{state}, log {job.paths.stdout}"
        elif not job.paths.result_pickle.is_file():
            states[note.key] = f"ended without a result, log {job.paths.stdout}"
    return states


def _is_done(job: Any) -> bool:
    if job.paths.result_pickle.is_file():
        return True
    process = getattr(job, "_process", job)
    if process is None:  # of an earlier process on this machine
        return not _is_alive(job.job_id)
    return bool(job.done())


def _is_alive(number: str) -> bool:
    """Tell whether a process of this machine is submitit's, and runs."""
    try:
        words = Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return False
    return b"submitit" in words


def _outcome(job: Any, key: str, receive: Callable[[str, Any], None]) -> Any:
    """Return what became of a task that has ended."""
    import submitit

    if isinstance(job, submitit.LocalJob):
        job._results_timeout_s = 1  # this machine sees its own files at once
    try:
        report: Report = job.result()
    except Exception as error:
        _log.debug("%s", error)
        return WorkerLost(_ending(job), died=True)
    return report.deliver(key, receive)


def _ending(job: Any) -> str:
    """Return how a task ended, on which node, and where its log is."""
    facts = {} if hasattr(job, "_process") else job.get_info()
    node = facts.get("NodeList") or this_node()
    parts = ["ended without a result", facts.get("State"), _signal(job), f"log {job.paths.stdout}"]
    return f"task {job.job_id} on {node} " + ", ".join(part for part in parts if part)


def _signal(job: Any) -> str | None:
    """Return the signal that ended a task, as far as that is known."""
    if hasattr(job, "_process"):
        return None
    command = ["sacct", "-n", "-P", "-X", "-o", "ExitCode", "-j", job.job_id]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        number = int(said.partition("\n")[0].partition(":")[2])
        return signal.Signals(number).name if number else None
    except (OSError, subprocess.CalledProcessError, ValueError):
        return None
