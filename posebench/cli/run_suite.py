"""What `posebench run` does for a suite: plan, train, run what is left, print what came of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from rich.text import Text

from posebench.cli.planned_claims import refuse_untestable
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
from posebench.reporting.messages import say
from posebench.reporting.printing import print_fitting
from posebench.reporting.tables.probe_tables import probe_tables
from posebench.reporting.tables.results_table import by_data, print_results
from posebench.reporting.tables.verdict_table import verdict_table
from posebench.reporting.training_display import (
    training_display,
    training_line,
    training_table,
)
from posebench.results.cell import CellResult
from posebench.results.store import RUN_FILE, read_run
from posebench.running.bench.convolutions import convolution_speed
from posebench.running.evaluation import check_outputs, exit_code
from posebench.running.loading import LoadedCheckpoints
from posebench.running.plan import SuitePlan
from posebench.running.probing import PlannedProbe, asked_probes, pending_probes, plan_probes
from posebench.running.request import Display, RunRequest
from posebench.running.resources import device_names, set_up_process, share_out
from posebench.running.run_suite import plan_of, run_suite
from posebench.running.sources import SuiteCheckpoint
from posebench.running.storing import pending_and_done
from posebench.running.trained.forecast import forecast, stand_ins
from posebench.running.trained.train_suite import (
    PlannedTraining,
    plan_trainings,
    train_suite,
    trained_so_far,
)
from posebench.suites.claims import find_claims
from posebench.suites.settling import settled
from posebench.suites.shipped import source_text
from posebench.suites.suite import load_suite

_RUNS = Path("runs")


@dataclass(frozen=True)
class RunOptions:
    """The options of `posebench run`.

    `predictions` gets COCO results of each cell.

    `scale` and `data_roots`, by the data sets' names, are for suites that train; `jobs` is how many
    checkpoints are trained side by side on each device; without `training` none is.
    """

    out: Path | None = None
    only: str | None = None
    limit: int | None = None
    retry_failed: bool = False
    dry_run: bool = False
    device: str = "cpu"
    resources: Resources = field(default_factory=Resources)
    scale: str | None = None
    data_roots: Mapping[str, Path] = field(default_factory=dict)
    jobs: int | None = None
    training: bool = True
    predictions: Path | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """Where checkpoints are trained: a device for each process."""
        devices = device_names(self.device)
        jobs = self.jobs or (os.cpu_count() or 1 if devices == ("cpu",) else 1)
        return devices * jobs

    def folder_for(self, name: str) -> Path:
        """Return the folder that was asked for, or the default one of a suite's name."""
        limit = None if self.limit is None else f"limit{self.limit}"
        named = "-".join(part for part in (name, self.scale, limit) if part is not None)
        return self.out or _RUNS / named


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, 3 if a cell failed or was skipped, and whether by Ctrl-C."""

    code: int
    stopped: bool = False


def run_command_line(path: Path, options: RunOptions) -> int:
    """Run a suite file and return the exit code: 3 if a cell failed, was skipped, or on Ctrl-C.

    Raises `SpecError`, before anything is trained or run, for claims that could never be tested.
    """
    request, absent = request_of(path, options)
    for line in absent:
        say(line, err=True)
    if options.dry_run:
        _show_plan(request, len(options.places))
        return 0
    if options.training:
        check_claims(request)
    return run_request(request, options).code


def request_of(path: Path, options: RunOptions) -> tuple[RunRequest, tuple[str, ...]]:
    """Return what is asked for, with a suite's data settled, and a line for data not here."""
    found = settled(load_suite(path), path.parent, options.scale, options.data_roots)
    request = RunRequest(
        suite=found.suite,
        claims=find_claims(found.suite.claims, path.parent, found.suite.factors),
        folder=path.parent,
        out=options.folder_for(found.suite.name),
        only=options.only,
        limit=options.limit,
        retry_failed=options.retry_failed,
        devices=device_names(options.device),
        resources=options.resources,
        source=source_text(path),
        coco_results=options.predictions,
    )
    check_outputs(request)
    return request, found.absent


def check_claims(request: RunRequest) -> None:
    """Check the claims of a suite that is to be trained; those of others are checked as it runs.

    Raises `SpecError` for claims that could never be tested.
    """
    planned = plan_trainings(request.suite, request.folder, request.out)
    if any(each.record is None for each in planned) and request.claims:
        with suite_display() as display:
            plan, _ = _plan_with_stand_ins(request, planned, display)
        refuse_untestable(plan, request.claims)


def run_request(request: RunRequest, options: RunOptions) -> Ended:
    """Train what a suite needs, run what is left of it, and print its table and verdicts.

    Raises `SpecError`, before anything is run, for claims that could never be tested.
    """
    try:
        request = replace(request, trained=_trained(request, options))
    except KeyboardInterrupt:
        say("\nStopped by Ctrl-C. The same command goes on where it stopped.", err=True)
        return Ended(3, stopped=True)
    stopped = False
    with suite_display() as display:
        try:
            run_suite(request, display, check=partial(refuse_untestable, claims=request.claims))
        except KeyboardInterrupt:
            if not (request.out / RUN_FILE).is_file():
                raise  # nothing has begun
            stopped = True
    run = read_run(request.out)
    results = [cell.result for cell in run.cells]
    for group in by_data(results):
        print_results(group)
    for line in _in_suites(results):
        say(line)
    for table in probe_tables(run.probes):
        print_fitting(table)
    verdicts = verdicts_of(run)
    if verdicts:
        print_fitting(verdict_table(verdicts))
    if run.missing:
        why = "Stopped by Ctrl-C" if stopped else "Not all asked for"
        total = len(run.record.cells) + len(run.record.probes)
        print_fitting(f"{why}: {len(run.missing)} of {total} results are left.")
    print_fitting(Text(f"Run directory: {request.out}"))
    return Ended(3 if stopped else exit_code((*results, *run.probes)), stopped)


# Reasons name options of `posebench eval`; these are their keys in a suite.
_KEYS = {
    "--spec": "`spec` of a checkpoint",
    "--engine": "`engines`",
    "--dataset": "`datasets`",
}


def _in_suites(results: Sequence[CellResult]) -> list[str]:
    """Return what options that reasons name are called in a suite."""
    reasons = " ".join(result.reason or "" for result in results)
    return [f"In a suite, {option} is {key}." for option, key in _KEYS.items() if option in reasons]


def _trained(request: RunRequest, options: RunOptions) -> tuple[SuiteCheckpoint, ...]:
    """Return the checkpoints of `trained:`, trained first unless they shall not be."""
    if not options.training:
        return trained_so_far(request.suite, request.folder, request.out)
    with training_display() as shown:
        return train_suite(request.suite, request.folder, request.out, options.places, shown)


@dataclass(frozen=True)
class Promised:
    """What a suite will have when all is trained: its cells, probes asked for, and trainings."""

    plan: SuitePlan
    probes: tuple[PlannedProbe, ...]
    trainings: tuple[PlannedTraining, ...]


def promised_by(request: RunRequest, display: Display) -> Promised:
    """Return what a suite will have when all is trained.

    Raises `SpecError` for claims that could never be tested.
    """
    planned = plan_trainings(request.suite, request.folder, request.out)
    plan, probes = _plan_with_stand_ins(request, planned, display)
    refuse_untestable(plan, request.claims)
    return Promised(plan, tuple(asked_probes(request, probes)), planned)


def _plan_with_stand_ins(
    request: RunRequest, planned: Sequence[PlannedTraining], display: Display
) -> tuple[SuitePlan, tuple[PlannedProbe, ...]]:
    """Return the cells and probes that a suite will have when all its checkpoints are trained."""
    trainings, loaded = [each.training for each in planned], LoadedCheckpoints()
    with stand_ins(request.suite, trainings, request.out) as trained:
        plan = plan_of(replace(request, trained=trained), loaded, display.progress)
        return plan, plan_probes(request.suite, plan.checkpoints, plan.workloads, loaded)


def _show_plan(request: RunRequest, jobs: int) -> None:
    """Print every cell with its cost, and what all that would run cost together."""
    set_up_process(share_out(request.resources, request.devices[0])[1])
    with suite_display() as display:
        promised = promised_by(request, display)
        planned = promised.trainings
        found = forecast(planned, request.devices[0], display.progress)
    asked, plan = promised.probes, promised.plan
    pending, _ = pending_and_done(request, plan, asked)
    if plan.cells:
        print_fitting(plan_table(plan.cells, pending))
    print_fitting(Text(plan_line(plan.cells, pending)))
    if asked:
        left = pending_probes(request, asked)
        print_fitting(f"{len(asked)} probes, {len(asked) - len(left)} done before")
    if planned:
        print_fitting(training_table(planned, found))
        print_fitting(Text(training_line(planned, found, jobs)))
    total = sum(cell_cost(cell.result) for cell in network_cells(pending))
    if total:
        speed = convolution_speed()
        print_fitting(
            f"About {total / 1000:.1f} T multiply-accumulates; at {speed:.0f} G/s, measured on"
            f" convolutions just now, about {duration(total / speed)} and the crops' time."
        )
