"""Jobs in processes of this machine: one at each place, which takes one job after the other.

A process that ends loses the job it had; another one takes its place for the jobs that are left.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

from posebench.errors import PosebenchError
from posebench.running.executors.jobs import WorkerLost, Workers, this_node
from posebench.running.reasons import reason_of

# Seconds that a process has to end by itself; finishing its batches takes most of them.
_PATIENCE = 10


@dataclass
class _Worker:
    """A process, the key of the job it has, and the file of what it prints, if it has one."""

    place: str
    process: BaseProcess
    key: str
    log: Path | None


def processes(
    jobs: Mapping[str, Any], workers: Workers, receive: Callable[[str, Any], None]
) -> Generator[tuple[str, Any], None, None]:
    """Run jobs side by side, in a process at each place.

    `workers.start`, jobs, messages and outcomes are pickled.
    """
    waiting = deque(jobs)
    running: dict[Connection, _Worker] = {}
    try:
        for place in workers.places[: len(jobs)]:
            _start(workers, place, jobs, waiting, running)
        while running:
            for ready in wait(list(running)):
                connection = cast("Connection", ready)
                worker = running[connection]
                try:
                    is_done, message = connection.recv()
                except (EOFError, ConnectionError):
                    del running[connection]
                    yield worker.key, WorkerLost(_ending(worker), died=True)
                    _start(workers, worker.place, jobs, waiting, running)
                    continue
                if not is_done:
                    receive(worker.key, message)
                    continue
                if isinstance(message, PosebenchError):
                    raise message
                yield worker.key, message
                if waiting and not workers.fresh:
                    _give(connection, worker, jobs, waiting)
                    continue
                del running[connection]
                connection.close()
                worker.process.join()
                _start(workers, worker.place, jobs, waiting, running)
    finally:
        _stop([worker.process for worker in running.values()])


def _start(
    workers: Workers,
    place: str,
    jobs: Mapping[str, Any],
    waiting: deque[str],
    running: dict[Connection, _Worker],
) -> None:
    """Start a process with the next job; it shares nothing with this one, as CUDA demands."""
    if not waiting:
        return
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    level = logging.getLogger("posebench").level
    if workers.site.logs is not None:
        workers.site.logs.mkdir(parents=True, exist_ok=True)
    process = context.Process(target=_serve, args=(theirs, workers, place, level), daemon=True)
    process.start()
    theirs.close()  # otherwise its end would go unnoticed
    running[ours] = _Worker(place, process, waiting[0], _log_of(workers, process.pid))
    _give(ours, running[ours], jobs, waiting)


def _give(
    connection: Connection, worker: _Worker, jobs: Mapping[str, Any], waiting: deque[str]
) -> None:
    worker.key = waiting.popleft()
    with suppress(ConnectionError):  # it has ended, as the next look at it will show
        connection.send(jobs[worker.key])


def _log_of(workers: Workers, process: int | None) -> Path | None:
    """Return the file that gets what a process prints, if processes have such files."""
    folder = workers.site.logs
    return None if folder is None else folder / f"{this_node()}-{process}.log"


def _print_to(log: Path) -> None:
    """Let this process print to a file, what its libraries print included."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(file)


def _serve(connection: Connection, workers: Workers, place: str, log_level: int) -> None:
    """Do the jobs that come until there are no more."""
    log = _log_of(workers, os.getpid())
    if log is not None:
        _print_to(log)
    logging.basicConfig(format="%(message)s")
    logging.getLogger("posebench").setLevel(log_level)
    # Ctrl-C reaches every process of a terminal; only the first one obeys it, and says when to
    # stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    work = None
    # Without the first process nobody waits for an answer.
    with suppress(EOFError, ConnectionError, KeyboardInterrupt):
        while True:
            job = connection.recv()
            try:
                work = work or workers.start(place)
                outcome = work(job, lambda message: connection.send((False, message)))
                connection.send((True, outcome))
            except PosebenchError as error:
                connection.send((True, error))
            except (EOFError, ConnectionError):
                raise
            except Exception as error:
                connection.send((True, WorkerLost(reason_of(error, f"a job of {place}"))))


def _ending(worker: _Worker) -> str:
    """Return how a process ended."""
    worker.process.join()
    code = worker.process.exitcode or 0
    how = f"exit code {code}"
    if code < 0:
        how = signal.Signals(-code).name
    if code == -signal.SIGKILL:
        how += ", which the system sends when memory runs out"
    said = "" if worker.log is None else f", log {worker.log}"
    return f"the process of {worker.place} on {this_node()} ended: {how}{said}"


def _stop(processes: Sequence[BaseProcess]) -> None:
    """End processes; kill those that do not end in time."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
