"""The start of a worker on another machine: it reads the run's data itself, and compares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from posebench.errors import DataError
from posebench.files.records import mapping_from_record
from posebench.results.cell import Protocol
from posebench.running.executors.jobs import Work
from posebench.running.loading import LoadedCheckpoints
from posebench.running.request import RunRequest
from posebench.running.workload import Workload, suite_workloads


@dataclass(frozen=True)
class Expected:
    """What a run was planned with, of each of its workloads: the protocol, and a hash of inputs."""

    protocol: Protocol
    inputs_sha256: str

    @classmethod
    def of(cls, workload: Workload) -> Expected:
        """Return what is expected of a workload on every machine."""
        return cls(workload.protocol, workload.inputs_sha256)


@dataclass(frozen=True)
class StartElsewhere:
    """Starts a worker of cells on the machine where it is called.

    Data are not sent but read there: they are large, and a machine that sees others, as behind an
    old view of a network file system, must not answer.
    """

    worker: Callable[[RunRequest, Sequence[Workload], LoadedCheckpoints | None, str], Work]
    request: RunRequest
    expected: tuple[Expected, ...]

    def __call__(self, place: str) -> Work:
        """Return the worker.

        Raises `DataError` if this machine sees other data than the run was planned with.
        """
        request = self.request
        found = suite_workloads(
            request.suite, request.folder, request.limit, lambda *_: None, request.stage
        )
        for expected, workload in zip(self.expected, found, strict=True):
            _check_same(expected, Expected.of(workload))
        return self.worker(request, found, None, place)


def _check_same(expected: Expected, found: Expected) -> None:
    if expected == found:
        return
    planned, seen = _facts(expected), _facts(found)
    names = [name for name in planned if planned[name] != seen[name]]
    raise DataError(
        f"{found.protocol.dataset} is other data here than the run was planned with: "
        f"{', '.join(names)} differ."
    )


def _facts(expected: Expected) -> dict[str, Any]:
    return {**mapping_from_record(expected.protocol), "inputs_sha256": expected.inputs_sha256}
