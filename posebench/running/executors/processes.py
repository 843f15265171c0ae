"""Several devices of one machine: a process for each, which takes one job after the other.

A process that dies loses the job it had; another one takes its place for the jobs that are left.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, cast

from posebench.errors import PosebenchError, UsageError

Job = TypeVar("Job")
Send = Callable[[Any], None]
# Seconds that a process has to end by itself, the batches under way being the longest part.
_PATIENCE = 10


@dataclass(frozen=True)
class Death:
    """A process ended in the middle of a job."""

    job: Any
    reason: str


@dataclass
class _Member:
    """A process, and the job it has."""

    device: str
    process: BaseProcess
    job: Any


def device_names(text: str) -> tuple[str, ...]:
    """Return the devices of a list such as `cuda:0,cuda:1`; raise `UsageError` if kinds differ."""
    names = tuple(name.strip() for name in text.split(","))
    kinds = dict.fromkeys(name.partition(":")[0] for name in names)
    if len(kinds) > 1:
        raise UsageError(
            f"--device {text} mixes {' and '.join(kinds)}: their results would differ.",
            hint="Name devices of one kind, such as cuda:0,cuda:1.",
        )
    return names


def run_on_devices(
    run: Callable[[str, Job, Send], None],
    jobs: Sequence[Job],
    devices: Sequence[str],
    receive: Callable[[Any], None],
) -> None:
    """Call `run(device, job, send)` for every job, in a process of each device.

    `receive` gets, in this process, what is sent, and a `Death` for a job whose process ended.
    `run`, jobs and what is sent are pickled. A `PosebenchError` of a process is raised here; it
    and Ctrl-C stop them all.
    """
    waiting, crew = deque(jobs), dict[Connection, _Member]()
    try:
        for device in devices[: len(jobs)]:
            _start(run, device, waiting.popleft(), crew)
        while crew:
            for ready in wait(list(crew)):
                connection = cast("Connection", ready)
                member = crew[connection]
                try:
                    is_done, message = connection.recv()
                except (EOFError, ConnectionError):
                    del crew[connection]
                    receive(Death(member.job, _epitaph(member)))
                    if waiting:
                        _start(run, member.device, waiting.popleft(), crew)
                    continue
                if not is_done:
                    receive(message)
                elif isinstance(message, PosebenchError):
                    raise message
                elif waiting:
                    _give(connection, member, waiting.popleft())
                else:
                    del crew[connection]
                    connection.close()
                    member.process.join()
    finally:
        _stop([member.process for member in crew.values()])


def _start(
    run: Callable[[str, Job, Send], None], device: str, job: Job, crew: dict[Connection, _Member]
) -> None:
    """Start a process with a first job; it shares nothing with this one, as CUDA demands."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    level = logging.getLogger("posebench").level
    process = context.Process(target=_serve, args=(theirs, run, device, level), daemon=True)
    process.start()
    theirs.close()  # or its end would not be noticed
    crew[ours] = _Member(device, process, job)
    _give(ours, crew[ours], job)


def _give(connection: Connection, member: _Member, job: Any) -> None:
    member.job = job
    with suppress(ConnectionError):  # it has died, as the next look at it will show
        connection.send(job)


def _serve(
    connection: Connection, run: Callable[[str, Job, Send], None], device: str, log_level: int
) -> None:
    """Do the jobs that come until there are no more."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("posebench").setLevel(log_level)
    # Ctrl-C reaches every process of a terminal: it is the first one's, which says when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Without the first process nobody waits for an answer.
    with suppress(EOFError, ConnectionError, KeyboardInterrupt):
        while True:
            job = connection.recv()
            try:
                run(device, job, lambda message: connection.send((False, message)))
            except PosebenchError as error:
                connection.send((True, error))
            else:
                connection.send((True, None))


def _epitaph(member: _Member) -> str:
    """Return why a process ended."""
    member.process.join()
    code = member.process.exitcode or 0
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"the process of {member.device} ended: {how}"


def _stop(processes: Sequence[BaseProcess]) -> None:
    """End processes, by force those that do not do so in time."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(_PATIENCE)
        if process.is_alive():
            process.kill()
            process.join()
