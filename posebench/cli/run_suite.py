"""What `posebench run` does: plan, run what is left, print table and verdicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rich.text import Text

from posebench.judging.verdicts import verdicts_of
from posebench.prediction.execution import Resources
from posebench.reporting.live import (
    cell_cost,
    duration,
    network_cells,
    plan_line,
    plan_table,
    suite_display,
)
from posebench.reporting.printing import print_fitting
from posebench.reporting.tables.probe_tables import probe_tables
from posebench.reporting.tables.results_table import by_data, print_results
from posebench.reporting.tables.verdict_table import verdict_table
from posebench.results.store import RUN_FILE, read_run
from posebench.running.bench.convolutions import convolution_speed
from posebench.running.evaluation import exit_code
from posebench.running.loading import LoadedCheckpoints
from posebench.running.probing import asked_probes, pending_probes, plan_probes
from posebench.running.request import RunRequest
from posebench.running.resources import device_names, set_up_process, share_out
from posebench.running.run_suite import plan_of, run_suite
from posebench.running.sources import suite_checkpoints
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
    for group in by_data(results):
        print_results(group)
    for table in probe_tables(run.probes):
        print_fitting(table)
    verdicts = verdicts_of(run)
    if verdicts:
        print_fitting(verdict_table(verdicts))
    if run.missing:
        why = "Stopped by Ctrl-C" if stopped else "Not all asked for"
        total = len(run.record.cells) + len(run.record.probes)
        print_fitting(f"{why}: {len(run.missing)} of {total} results are left.")
    print_fitting(Text(f"Run directory: {out}"))
    return 3 if stopped else exit_code((*results, *run.probes))


def _default_folder(name: str, limit: int | None) -> Path:
    return _RUNS / (name if limit is None else f"{name}-limit{limit}")


def _show_plan(request: RunRequest) -> None:
    """Print every cell with its cost, and what all that would run cost together."""
    set_up_process(share_out(request.resources, request.devices[0])[1])
    loaded = LoadedCheckpoints()
    with suite_display() as display:
        plan = plan_of(request, loaded, display.progress)
    checkpoints = suite_checkpoints(request.suite, request.folder)
    probes = plan_probes(request.suite, checkpoints, plan.workloads, loaded)
    asked = asked_probes(request, probes)
    pending, _ = pending_and_done(request, plan, asked)
    if plan.cells:
        print_fitting(plan_table(plan.cells, pending))
    print_fitting(Text(plan_line(plan.cells, pending)))
    if asked:
        left = pending_probes(request, asked)
        print_fitting(f"{len(asked)} probes, {len(asked) - len(left)} done before")
    total = sum(cell_cost(cell.result) for cell in network_cells(pending))
    if total:
        speed = convolution_speed()
        print_fitting(
            f"About {total / 1000:.1f} T multiply-accumulates; at {speed:.0f} G/s, measured on"
            f" convolutions just now, about {duration(total / speed)} and the crops' time."
        )
