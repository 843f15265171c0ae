"""Jobs in this process, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any

from posebench.errors import PosebenchError
from posebench.running.executors.jobs import WorkerLost, Workers
from posebench.running.reasons import reason_of


def inline(
    jobs: Mapping[str, Any], workers: Workers, receive: Callable[[str, Any], None]
) -> Generator[tuple[str, Any], None, None]:
    """Run jobs here, at the first place."""
    work = None
    for key, job in jobs.items():
        try:
            if work is None or workers.fresh:
                work = workers.start(workers.places[0])
            outcome = work(job, partial(receive, key))
        except PosebenchError:
            raise
        except Exception as error:
            outcome = WorkerLost(reason_of(error, key))
        yield key, outcome
