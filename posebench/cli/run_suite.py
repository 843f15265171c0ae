"""What `posebench run` does: plan, run what is left, print table and verdicts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.table import Table
from rich.text import Text

from posebench.judging.verdicts import verdicts_of
from posebench.prediction.execution import Resources
from posebench.reporting.live import cell_cost, duration, plan_line, suite_display
from posebench.reporting.printing import print_fitting
from posebench.reporting.tables.results_table import print_results
from posebench.reporting.tables.verdict_table import verdict_table
from posebench.results.cell import CellResult
from posebench.results.store import RUN_FILE, read_run
from posebench.running.evaluation import exit_code
from posebench.running.loading import LoadedCheckpoints
from posebench.running.plan import PlannedCell
from posebench.running.request import RunRequest
from posebench.running.resources import device_names, set_up_process, share_out
from posebench.running.run_suite import plan_of, run_suite
from posebench.running.storing import pending_and_done
from posebench.suites.claims import find_claims
from posebench.suites.suite import load_suite, source_text

_RUNS = Path("runs")


@dataclass(frozen=True)
class RunOptions:
    """The options of `posebench run`."""

    out: Path | None = None
    only: str | None = None
    limit: int | None = None
    retry_failed: bool = False
    dry_run: bool = False
    device: str = "cpu"
    resources: Resources = field(default_factory=Resources)


def run_command_line(path: Path, options: RunOptions) -> int:
    """Run a suite file and return the exit code: 3 if a cell failed, was skipped, or on Ctrl-C."""
    suite = load_suite(path)
    out = options.out or _default_folder(suite.name, options.limit)
    request = RunRequest(
        suite=suite,
        claims=find_claims(suite.claims, path.parent),
        folder=path.parent,
        out=out,
        only=options.only,
        limit=options.limit,
        retry_failed=options.retry_failed,
        devices=device_names(options.device),
        resources=options.resources,
        source=source_text(path),
    )
    if options.dry_run:
        _show_plan(request)
        return 0
    stopped = False
    with suite_display() as display:
        try:
            run_suite(request, display)
        except KeyboardInterrupt:
            if not (out / RUN_FILE).is_file():
                raise  # nothing has begun
            stopped = True
    run = read_run(out)
    results = [cell.result for cell in run.cells]
    for group in _by_data(results):
        print_results(group)
    verdicts = verdicts_of(run)
    if verdicts:
        print_fitting(verdict_table(verdicts))
    if run.missing:
        why = "Stopped by Ctrl-C" if stopped else "Not all asked for"
        print_fitting(f"{why}: {len(run.missing)} of {len(run.record.cells)} cells are left.")
    print_fitting(Text(f"Run directory: {out}"))
    return 3 if stopped else exit_code(results)


def _by_data(results: Sequence[CellResult]) -> list[list[CellResult]]:
    """Return results of each data set and boxes apart: a table's caption names only one."""
    groups: dict[tuple[str, str, str, int], list[CellResult]] = {}
    for result in results:
        protocol = result.protocol
        key = protocol.dataset, protocol.annotations_sha256, protocol.boxes, protocol.instances
        groups.setdefault(key, []).append(result)
    return list(groups.values())


def _default_folder(name: str, limit: int | None) -> Path:
    return _RUNS / (name if limit is None else f"{name}-limit{limit}")


def _show_plan(request: RunRequest) -> None:
    """Print every cell with its cost, and what all that would run cost together."""
    set_up_process(share_out(request.resources, request.devices[0])[1])
    with suite_display() as display:
        plan = plan_of(request, LoadedCheckpoints(), display.progress)
    pending, _ = pending_and_done(request, plan)
    print_fitting(_plan_table(plan.cells, pending))
    print_fitting(Text(plan_line(plan.cells, pending)))
    total = sum(cell_cost(cell.result) for cell in _networks(pending))
    if total:
        speed = _measured_speed()
        print_fitting(
            f"About {total / 1000:.1f} T multiply-accumulates; at {speed:.0f} G/s, measured on"
            f" convolutions just now, about {duration(total / speed)} and the crops' time."
        )


def _networks(cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """Return one cell for each network that runs: decoders share it."""
    first: dict[object, PlannedCell] = {}
    for cell in cells:
        first.setdefault(cell.id if cell.network is None else cell.network.key, cell)
    return list(first.values())


def _plan_table(cells: Sequence[PlannedCell], pending: Sequence[PlannedCell]) -> Table:
    waiting = {cell.id for cell in pending}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("cell", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("T MACs", justify="right", no_wrap=True)
    table.add_column("reason", overflow="fold")
    for cell in cells:
        result = cell.result
        status = "to run" if result.status == "ok" else result.status
        cost = cell_cost(result)
        table.add_row(
            cell.id,
            status if cell.id in waiting else "done or not asked for",
            f"{cost / 1000:.2f}" if cost else "",
            Text(result.reason or ""),
        )
    return table


def _measured_speed() -> float:
    """Return giga multiply-accumulates per second of a convolution like those of backbones."""
    batch, channels, side, repeats = 8, 64, 32, 10
    layer, x = (
        torch.nn.Conv2d(channels, channels, 3, padding=1),
        torch.zeros(batch, channels, side, side),
    )
    with torch.inference_mode():
        layer(x)
        start = time.perf_counter()
        for _ in range(repeats):
            layer(x)
    operations = batch * channels * channels * 9 * side * side * repeats
    return operations / (time.perf_counter() - start) / 1e9
