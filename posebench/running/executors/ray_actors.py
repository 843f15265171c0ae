"""Jobs in the actors of a Ray cluster: one for each place, which keeps its networks at hand.

Jobs are small; whatever is large travels by its path, on a file system that all machines share.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from posebench.errors import MissingExtraError, UsageError, in_one_line
from posebench.running.executors.jobs import WorkerLost, Workers
from posebench.running.executors.remote import RemoteWorker, Report

_log = logging.getLogger(__name__)
# The option with the address of a cluster; without it, Ray is started on this machine.
ADDRESS = "address"
# The option with the number of cores that each actor gets.
THREADS = "threads"
_OWN_VARIABLES = "POSEBENCH_"
# Seconds without anything to do, after which it is said.
_PATIENCE = 60.0
# Actors in a row that may end before they have started.
_MOST_IN_VAIN = 8


def ray_actors(
    jobs: Mapping[str, Any], workers: Workers, receive: Callable[[str, Any], None]
) -> Generator[tuple[str, Any], None, None]:
    """Run jobs in an actor at each place, wherever the cluster has room for it.

    Raises `MissingExtraError` without Ray, and `UsageError` if there is no cluster at the address.
    """
    if not jobs:
        return
    with _connected(workers) as ray:
        pool = _Pool(ray, workers)
        try:
            yield from pool.run(jobs, receive)
        finally:
            pool.end()


class _Pool:
    """Actors that take one job after the other.

    An actor gets a job when it has started: one that the cluster has no room for holds none up. One
    that is lost, with its node or alone, is replaced by another wherever there is room.
    """

    def __init__(self, ray: Any, workers: Workers) -> None:
        self._ray = ray
        self._workers = workers
        # By what is waited for: an actor, and the key of its job, None while it starts.
        self._busy: dict[Any, tuple[Any, str | None]] = {}
        self._places: dict[Any, str] = {}
        self._in_vain = 0

    def run(
        self, jobs: Mapping[str, Any], receive: Callable[[str, Any], None]
    ) -> Generator[tuple[str, Any], None, None]:
        """Run jobs, and yield the outcome of each.

        Raises `UsageError` if actors end before they start, over and over.
        """
        waiting = deque(jobs)
        for place in self._workers.places[: len(jobs)]:
            self._start(place)
        left = len(jobs)
        while left:
            found, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=_PATIENCE)
            if not found:
                if all(key is None for _, key in self._busy.values()):
                    _log.warning("No worker of the Ray cluster has started yet: is there room?")
                continue
            (ready,) = found
            actor, key = self._busy.pop(ready)
            outcome = self._outcome(ready, key, receive)
            if key is not None:
                left, self._in_vain = left - 1, 0
                yield key, outcome
            if isinstance(outcome, WorkerLost) and outcome.died:
                self._check_starts(key, outcome)
                self._ray.kill(actor)
                self._start(self._places.pop(actor))
            elif waiting:
                key = waiting.popleft()
                self._busy[actor.do.remote(jobs[key])] = (actor, key)

    def end(self) -> None:
        """End all actors."""
        for actor in self._places:
            self._ray.kill(actor)

    def _check_starts(self, key: str | None, lost: WorkerLost) -> None:
        self._in_vain += key is None
        if self._in_vain > _MOST_IN_VAIN:
            raise UsageError(
                f"No worker starts on the Ray cluster: {lost.reason}",
                hint="Every node needs this version of posebench, and of Python.",
            )

    def _start(self, place: str) -> None:
        actor = _actor(self._ray, self._workers, place)
        self._places[actor] = place
        self._busy[actor.started.remote()] = (actor, None)

    def _outcome(self, ready: Any, key: str | None, receive: Callable[[str, Any], None]) -> Any:
        """Return what became of a job, or of the start of an actor."""
        try:
            report: Report | None = self._ray.get(ready)
        except self._ray.exceptions.RayError as error:
            said = in_one_line(error)
            return WorkerLost(f"its Ray actor was lost: {said}", died=True)
        return None if report is None or key is None else report.deliver(key, receive)


def _actor(ray: Any, workers: Workers, place: str) -> Any:
    """Start an actor wherever there is room; it is the caller who replaces one that died."""
    on_gpu = place.startswith("cuda")
    threads = int(workers.site.options.get(THREADS, "1"))
    options = {"num_cpus": threads, "num_gpus": 1 if on_gpu else 0}
    return ray.remote(_Actor).options(**options).remote(workers, "cuda" if on_gpu else place)


class _Actor:
    """A worker in a process of Ray."""

    def __init__(self, workers: Workers, place: str) -> None:
        self._worker = RemoteWorker(workers, place)

    def started(self) -> None:
        """Return when the actor has started."""

    def do(self, job: Any) -> Report:
        """Do one job."""
        return self._worker(job)


@contextmanager
def _connected(workers: Workers) -> Iterator[Any]:
    """Yield Ray, connected to a cluster; what was begun here ends with the block."""
    try:
        import ray
    except ImportError:
        raise MissingExtraError.of("--executor ray", "ray", "ray") from None
    if ray.is_initialized():
        yield ray
        return
    address = workers.site.options.get(ADDRESS)
    own = {name: text for name, text in os.environ.items() if name.startswith(_OWN_VARIABLES)}
    try:
        ray.init(
            address or "local",
            runtime_env={"env_vars": own} if address and own else None,
            include_dashboard=False if address is None else None,
            log_to_driver=False,
            logging_level="warning",
            configure_logging=False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"There is no Ray cluster at {address or 'this machine'}: {error}",
            hint="Start one with `ray start --head`, or leave --address out to use this machine.",
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()
