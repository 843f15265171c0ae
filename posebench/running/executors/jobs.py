"""What executors share: jobs under keys, workers that do them, and what becomes of a job.

A job is small and can be pickled; whatever all jobs need is in `Workers.start`, which each worker
gets once.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

Send = Callable[[Any], None]
"""Takes a message from a worker while it does a job."""

Work = Callable[[Any, Send], Any]
"""Does one job and returns its outcome."""


@dataclass(frozen=True)
class Site:
    """Where workers are, besides their places.

    `logs` is the folder that gets what they print, None for this process's own streams; all
    machines see it under this path. `options` are those of the engine behind an executor. Jobs of
    a `detached` run are submitted and not waited for, where that is possible.
    """

    logs: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    detached: bool = False


def keep_all(_message: Any) -> bool:
    """Keep every message."""
    return True


@dataclass(frozen=True)
class Workers:
    """Who does jobs: one worker at each of `places`, such as devices.

    `start(place)` is called once where a worker starts, and returns the function that does jobs
    there. A worker that is `fresh` does only one job. Messages from elsewhere come when their job
    is done, and only those that `keeps` says are worth it.
    """

    start: Callable[[str], Work]
    places: tuple[str, ...]
    fresh: bool = False
    site: Site = field(default_factory=Site)
    keeps: Callable[[Any], bool] = keep_all


@dataclass(frozen=True)
class WorkerLost:
    """The outcome of a job that was not done, as its worker ended or failed, with the reason.

    If the worker `died`, another one may do the job; otherwise it would fail in the same way.
    """

    reason: str
    died: bool = False


@dataclass(frozen=True)
class Submitted:
    """The outcome of a job that is not waited for: its id where it was submitted."""

    id: str


class Executor(Protocol):
    """Runs jobs and yields the key and the outcome of each, as they come.

    A key names a job and all that decides what it does, so that one of the same key that an earlier
    process has submitted may be taken over.

    `receive` gets a job's key and what its worker sends meanwhile. A `PosebenchError` of a job is
    raised, and ends all others, as closing the iterator does. Any other exception makes the job's
    outcome `WorkerLost`, and the other jobs go on.
    """

    def __call__(
        self, jobs: Mapping[str, Any], workers: Workers, receive: Callable[[str, Any], None]
    ) -> Generator[tuple[str, Any], None, None]:
        """Run all jobs."""
        ...


def this_node() -> str:
    """Return the name of this machine."""
    return platform.node() or "this machine"
