"""What executors share: jobs under keys, workers that do them, and what becomes of a job.

A job is small and can be pickled; whatever all jobs need is in `Workers.start`, which each worker
gets once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Send = Callable[[Any], None]
"""Takes a message from a worker while it does a job."""

Work = Callable[[Any, Send], Any]
"""Does one job and returns its outcome."""


@dataclass(frozen=True)
class Workers:
    """Who does jobs: one worker at each of `places`, such as devices.

    `start(place)` is called once where a worker starts, and returns the function that does jobs
    there. A worker that is `fresh` does only one job.
    """

    start: Callable[[str], Work]
    places: tuple[str, ...]
    fresh: bool = False


@dataclass(frozen=True)
class WorkerLost:
    """The outcome of a job that was not done, as its worker ended or failed, with the reason."""

    reason: str


class Executor(Protocol):
    """Runs jobs and yields the key and the outcome of each, as they come.

    `receive` gets a job's key and what its worker sends meanwhile. A `PosebenchError` of a job is
    raised, and ends all others, as closing the iterator does. Any other exception makes the job's
    outcome `WorkerLost`, and the other jobs go on.
    """

    def __call__(
        self, jobs: Mapping[str, Any], workers: Workers, receive: Callable[[str, Any], None]
    ) -> Generator[tuple[str, Any], None, None]:
        """Run all jobs."""
        ...
