"""A worker on another machine: what it sends comes back with the outcome, when a job is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from posebench.errors import PosebenchError
from posebench.running.executors.jobs import Work, WorkerLost, Workers, this_node
from posebench.running.reasons import reason_of


@dataclass(frozen=True)
class Report:
    """What comes back of one job: the worker's messages, and the job's outcome or error."""

    messages: tuple[Any, ...]
    outcome: Any

    def deliver(self, key: str, receive: Callable[[str, Any], None]) -> Any:
        """Pass the messages on and return the outcome.

        Raises the `PosebenchError` of the job, if it has one.
        """
        for message in self.messages:
            receive(key, message)
        if isinstance(self.outcome, PosebenchError):
            raise self.outcome
        return self.outcome


class RemoteWorker:
    """Does jobs where it was unpickled; it starts with its first job.

    One that cannot start is lost, since another machine may see its files.
    """

    def __init__(self, workers: Workers, place: str) -> None:
        self._workers = workers
        self._place = place
        self._work: Work | None = None

    def __call__(self, job: Any) -> Report:
        """Do one job."""
        try:
            if self._work is None:
                self._work = self._workers.start(self._place)
        except Exception as error:
            reason = f"no worker could start on {this_node()}: {reason_of(error, self._place)}"
            return Report((), WorkerLost(reason, died=True))
        messages: list[Any] = []

        def send(message: Any) -> None:
            if self._workers.keeps(message):
                messages.append(message)

        try:
            outcome = self._work(job, send)
        except PosebenchError as error:
            outcome = error
        except Exception as error:
            outcome = WorkerLost(reason_of(error, f"a job on {this_node()}"))
        return Report(tuple(messages), outcome)
