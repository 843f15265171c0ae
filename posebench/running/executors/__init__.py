"""Executors: where jobs run. To add a sibling is one new file and one line in `EXECUTORS`."""

from __future__ import annotations

from collections.abc import Mapping

from posebench.running.executors.inline import inline
from posebench.running.executors.jobs import (
    Executor,
    Send,
    Site,
    Submitted,
    WorkerLost,
    Workers,
)
from posebench.running.executors.processes import processes
from posebench.running.executors.ray_actors import ray_actors
from posebench.running.executors.retrying import with_retries
from posebench.running.executors.slurm import slurm

EXECUTORS: Mapping[str, Executor] = {
    "inline": inline,
    "processes": processes,
    "slurm": slurm,
    "ray": ray_actors,
}
# Those whose workers are on other machines, and read data and checkpoints by themselves.
ELSEWHERE = ("slurm", "ray")

__all__ = [
    "ELSEWHERE", "EXECUTORS", "Executor", "Send", "Site", "Submitted", "WorkerLost", "Workers",
    "with_retries",
]  # fmt: skip
