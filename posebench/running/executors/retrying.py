"""Another try for jobs whose worker died: the machine may be to blame rather than the job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from posebench.running.executors.jobs import Executor, WorkerLost, Workers

_log = logging.getLogger(__name__)
TRIES = 3


def with_retries(
    execute: Executor,
    jobs: Mapping[str, Any],
    workers: Workers,
    receive: Callable[[str, Any], None],
    left: Callable[[Any], Any] = lambda job: job,
    tries: int = TRIES,
) -> Generator[tuple[str, Any], None, None]:
    """Run jobs as `execute` does, those whose worker died up to `tries` times.

    A job is tried again when all others have had their turn. `left` returns what is left of it to
    do, which is false if nothing is; then its outcome is None.
    """
    waiting = dict(jobs)
    for attempt in range(1, tries + 1):
        lost: dict[str, Any] = {}
        with closing(execute(waiting, workers, receive)) as outcomes:
            for key, outcome in outcomes:
                if not isinstance(outcome, WorkerLost) or not outcome.died:
                    yield key, outcome
                elif not (rest := left(waiting[key])):
                    yield key, None
                elif attempt == tries:
                    yield key, _given_up(outcome, tries)
                else:
                    _log.warning("%s: %s. It is tried again.", key, outcome.reason)
                    lost[key] = rest
        if not lost:
            return
        waiting = lost


def _given_up(outcome: WorkerLost, tries: int) -> WorkerLost:
    if tries == 1:
        return outcome
    return replace(outcome, reason=f"{outcome.reason}; tried {tries} times")
