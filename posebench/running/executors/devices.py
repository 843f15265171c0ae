"""A suite on several devices of one machine: each runs whole passes in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from posebench.results.store import StoredCell
from posebench.running.executors.processes import Death, Send, run_on_devices
from posebench.running.one_pass import Display, RunRequest, fail_cells, passes_on, run_cells
from posebench.running.plan import SuiteCell, SuitePlan
from posebench.running.resources import share_of_each, share_out


def run_side_by_side(
    request: RunRequest, plan: SuitePlan, pending: Sequence[SuiteCell], display: Display
) -> None:
    """Run passes side by side, each in the process of a device, which stores their cells."""
    left = {cell.id for cell in pending}

    def receive(message: tuple[str, tuple[Any, ...]] | Death) -> None:
        if isinstance(message, Death):
            lost = [cell for cell in message.job if cell.id in left]
            fail_cells(request.out, lost, message.reason, display)
            return
        call, arguments = message
        if call == "finished":
            left.discard(arguments[0].id)
        getattr(display, call)(*arguments)

    devices = request.devices
    resources = share_of_each(request.resources, devices[0], len(devices))
    run = partial(_run_elsewhere, replace(request, resources=resources), plan)
    run_on_devices(run, passes_on(pending, len(devices)), devices, receive)


def _run_elsewhere(
    request: RunRequest, plan: SuitePlan, device: str, cells: Sequence[SuiteCell], send: Send
) -> None:
    """Run one pass in the process of a device."""
    parallelism, _ = share_out(request.resources, device)
    cells = [_on(device, cell) for cell in cells]
    run_cells(request, plan, cells, parallelism, _Sender(device, send))


def _on(device: str, cell: SuiteCell) -> SuiteCell:
    assert cell.axes is not None
    execution = replace(cell.axes.execution, device=device)
    return replace(cell, axes=replace(cell.axes, execution=execution))


@dataclass(frozen=True)
class _Sender:
    """The display of a process that has none: sends what is to be shown."""

    device: str
    send: Send

    def progress(self, label: str, done: int, total: int) -> None:
        self.send(("progress", (f"{self.device}: {label}", done, total)))

    def planned(self, cells: Sequence[SuiteCell], pending: Sequence[SuiteCell]) -> None:
        self.send(("planned", (cells, pending)))

    def started(self, cells: Sequence[SuiteCell]) -> None:
        self.send(("started", (cells,)))

    def finished(self, cell: StoredCell) -> None:
        self.send(("finished", (cell,)))
