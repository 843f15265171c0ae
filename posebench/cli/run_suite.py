"""What `posebench run` does for a suite: plan, train, run what is left, print what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.text import Text

from posebench.cli.planned_claims import refuse_untestable
from posebench.cli.printed_run import print_left, print_run
from posebench.cli.run_options import RunOptions
from posebench.reporting.live import (
    duration,
    plan_line,
    plan_table,
    suite_display,
)
from posebench.reporting.messages import say
from posebench.reporting.printing import print_fitting
from posebench.reporting.training_display import (
    training_display,
    training_line,
    training_table,
)
from posebench.results.shared.ledger import JOBS
from posebench.results.shared.locks import Shard
from posebench.results.store import RUN_FILE, Run, read_run
from posebench.running.bench.convolutions import convolution_speed
from posebench.running.evaluation import check_outputs, exit_code
from posebench.running.plan import SuitePlan
from posebench.running.probing import pending_probes
from posebench.running.request import Display, RunRequest
from posebench.running.resources import device_names, set_up_process, share_out
from posebench.running.run_suite import run_suite
from posebench.running.sharing.asked import Asked, asked_of
from posebench.running.sharing.costs import cost_of
from posebench.running.sharing.mirrored import MirroredDisplay, run_mirror
from posebench.running.sources import SuiteCheckpoint
from posebench.running.storing import pending_and_done
from posebench.running.trained.forecast import forecast
from posebench.running.trained.shares import plan_with_stand_ins, share_trained
from posebench.running.trained.train_suite import (
    PlannedTraining,
    Trainers,
    TrainingShare,
    needed_trainings,
    plan_trainings,
    train_suite,
    trained_so_far,
)
from posebench.suites.claims import find_claims
from posebench.suites.settling import settled
from posebench.suites.shipped import source_text
from posebench.suites.suite import load_suite


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
    folder, out = path.parent, options.folder_for(found.suite.name)
    if options.executor is not None:  # other processes may have another folder
        folder, out = folder.resolve(), out.resolve()
    request = RunRequest(
        suite=found.suite,
        claims=find_claims(found.suite.claims, folder, found.suite.factors),
        folder=folder,
        out=out,
        only=options.only,
        limit=options.limit,
        retry_failed=options.retry_failed,
        devices=device_names(options.device) if options.executor is None else options.places,
        resources=options.resources,
        source=source_text(path),
        coco_results=options.predictions,
        shard=options.shard,
        executor=options.executor,
        stage=options.stage,
        mirror=options.mirror,
        site=replace(options.site, logs=out / JOBS) if options.executor else options.site,
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
            plan, _ = plan_with_stand_ins(request, planned, display.progress)
        refuse_untestable(plan, request.claims)


def run_request(request: RunRequest, options: RunOptions) -> Ended:
    """Train what a suite needs, run what is left of it, and print its table and verdicts.

    Of a shard, its own share; the verdicts are left to the whole run. Raises `SpecError`, before
    anything is run, for claims that could never be tested.
    """
    mirror = None if request.mirror is None else run_mirror(request.mirror, request.out)
    if mirror is not None:
        mirror.fetch()
    with ExitStack() as kept:
        try:
            request = kept.enter_context(_trained(request, options))
        except KeyboardInterrupt:
            say("\nStopped by Ctrl-C. The same command goes on where it stopped.", err=True)
            return Ended(3, stopped=True)
        if options.training and options.site.detached and _is_training(request):
            say("Trainings were submitted. The same command goes on when they are done.")
            return Ended(0)
        if mirror is not None and request.suite.trained is not None:
            mirror.push_all()
        stopped, asked = False, None
        with suite_display() as display:
            try:
                check = partial(refuse_untestable, claims=request.claims)
                shown_by = mirror and MirroredDisplay(display, mirror, request.out)
                asked = run_suite(request, shown_by or display, check=check)
            except KeyboardInterrupt:
                if not (request.out / RUN_FILE).is_file():
                    raise  # nothing has begun
                stopped = True
    mirrored = mirror is None or mirror.push_all()
    run = read_run(request.out)
    shown = run if request.shard is None or asked is None else _share_of(run, asked)
    print_run(shown, verdicts=request.shard is None)
    if run.missing:
        why = "Stopped by Ctrl-C" if stopped else "Not all asked for"
        print_left(run, why if request.shard is None else f"Shard {request.shard} has ended")
    elif request.shard is not None:
        print_fitting(f"All shards are done: posebench claims {request.out} judges the claims.")
    print_fitting(Text(f"Run directory: {request.out}"))
    results = [cell.result for cell in shown.cells]
    code = exit_code((*results, *shown.probes))
    return Ended(code if mirrored and not stopped else 3, stopped)


def _is_training(request: RunRequest) -> bool:
    """Tell whether checkpoints are not trained yet, and did not fail."""
    problems = [each.problem for each in request.trained] + [*request.untrained.values()]
    return any(problem is not None and problem[0] == "skipped" for problem in problems)


def _share_of(run: Run, asked: Asked) -> Run:
    """Return what a run has of a share."""
    ids = asked.ids
    return replace(
        run,
        cells=tuple(cell for cell in run.cells if cell.id in ids),
        probes=tuple(probe for probe in run.probes if probe.id in ids),
    )


@contextmanager
def _trained(request: RunRequest, options: RunOptions) -> Iterator[RunRequest]:
    """Yield the request with the checkpoints of `trained:`, trained unless they shall not be."""
    if request.suite.trained is None:
        yield request
    elif request.shard is None:
        yield replace(request, trained=_train(request, options, None))
    else:
        train = partial(_train, request, options)
        with share_trained(request, request.shard, train, lambda *_: None) as found:
            yield found


def _train(
    request: RunRequest, options: RunOptions, share: TrainingShare | None
) -> tuple[SuiteCheckpoint, ...]:
    if not options.training:
        return trained_so_far(request.suite, request.folder, request.out, share)
    with training_display() as shown:
        return train_suite(
            request.suite,
            request.folder,
            request.out,
            options.places,
            shown,
            share,
            Trainers(options.executor or "processes", request.site),
        )


@dataclass(frozen=True)
class Promised:
    """What a suite will have when all is trained, and the part of it that is asked for.

    `trainings` are those that the part needs.
    """

    plan: SuitePlan
    asked: Asked
    trainings: tuple[PlannedTraining, ...]


def promised_by(request: RunRequest, display: Display) -> Promised:
    """Return what a suite will have when all is trained.

    Raises `SpecError` for claims that could never be tested.
    """
    planned = plan_trainings(request.suite, request.folder, request.out)
    plan, probes = plan_with_stand_ins(request, planned, display.progress)
    refuse_untestable(plan, request.claims)
    request = replace(request, crops={each.training.name: each.crops for each in planned})
    asked = asked_of(request, plan, probes)
    if request.shard is not None:
        planned = needed_trainings(planned, asked.trainings)
    return Promised(plan, asked, planned)


def _show_plan(request: RunRequest, jobs: int) -> None:
    """Print every cell with its cost, and what all that would run cost together."""
    set_up_process(share_out(request.resources, request.devices[0])[1])
    with suite_display() as display:
        promised = promised_by(request, display)
        planned = promised.trainings
        found = forecast(planned, request.devices[0], display.progress)
    asked = promised.asked
    pending, _ = pending_and_done(request, asked.cells)
    shown = promised.plan.cells if request.shard is None else asked.cells
    if shown:
        print_fitting(plan_table(shown, pending))
    print_fitting(Text(plan_line(shown, pending)))
    if request.shard is not None:
        print_fitting(_share_line(request.shard, promised))
    if asked.probes:
        left = pending_probes(request, asked.probes)
        print_fitting(f"{len(asked.probes)} probes, {len(asked.probes) - len(left)} done before")
    if planned:
        print_fitting(training_table(planned, found))
        print_fitting(Text(training_line(planned, found, jobs)))
    total = cost_of(pending)
    if total:
        speed = convolution_speed()
        print_fitting(
            f"About {total / 1000:.1f} T multiply-accumulates; at {speed:.0f} G/s, measured on"
            f" convolutions just now, about {duration(total / speed)} and the crops' time."
        )


def _share_line(shard: Shard, promised: Promised) -> str:
    own, every = promised.asked.cells, promised.plan.cells
    part = cost_of(own) / (cost_of(every) or 1.0)
    return f"Shard {shard}: {len(own)} of {len(every)} cells, {part:.0%} of their cost"
