"""Executors: where jobs run. To add a sibling is one new file and one line in `EXECUTORS`."""

from __future__ import annotations

from collections.abc import Mapping

from posebench.running.executors.inline import inline
from posebench.running.executors.jobs import Executor, Send, Site, WorkerLost, Workers
from posebench.running.executors.processes import processes
from posebench.running.executors.retrying import with_retries

EXECUTORS: Mapping[str, Executor] = {"inline": inline, "processes": processes}

__all__ = [
    "EXECUTORS", "Executor", "Send", "Site", "WorkerLost", "Workers", "with_retries",
]  # fmt: skip
