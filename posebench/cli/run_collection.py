"""What `posebench run` does for a collection: its suites one after the other, then all claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.text import Text

from posebench.cli.run_options import RunOptions
from posebench.cli.run_suite import (
    Ended,
    check_claims,
    promised_by,
    request_of,
    run_request,
)
from posebench.errors import PosebenchError, UsageError, in_one_line
from posebench.judging.verdicts import verdicts_of
from posebench.reporting.live import duration, suite_display
from posebench.reporting.messages import as_line, say
from posebench.reporting.printing import print_fitting
from posebench.reporting.tables.verdict_table import verdict_table
from posebench.reporting.text_tables import TextTable, terminal_table
from posebench.results.store import RUN_FILE, read_run
from posebench.running.request import RunRequest
from posebench.running.resources import set_up_process, share_out
from posebench.running.storing import pending_and_done
from posebench.running.trained.forecast import forecast
from posebench.suites.collection import Member, load_collection, members_of
from posebench.suites.settling import roots_of_each


def run_collection(path: Path, options: RunOptions) -> int:
    """Run every suite of a collection, each in a folder of its own, and print all verdicts.

    Return the exit code: 3 if a cell failed or was skipped, if a suite could not be run, or on
    Ctrl-C, after which the same command goes on. All suites are checked before one of them trains.
    """
    out = options.folder_for(load_collection(path).name)
    members = members_of(path)
    own = _options_of(members, replace(options, out=out))
    asked = [request_of(member.path, own[member.suite.name]) for member in members]
    requests = [request for request, _ in asked]
    for line in dict.fromkeys(line for _, absent in asked for line in absent):
        say(line, err=True)
    if options.dry_run:
        _show_costs(requests, len(options.places))
        return 0
    for request in requests if options.training else ():
        check_claims(request)
    codes = []
    for index, request in enumerate(requests, start=1):
        say(as_line(f"{request.suite.name}: suite {index} of {len(requests)}"), err=True)
        ended = _run(request, options)
        codes.append(ended.code)
        if ended.stopped:
            break
    begun = [request.out for request in requests if (request.out / RUN_FILE).is_file()]
    verdicts = [verdict for folder in begun for verdict in verdicts_of(read_run(folder))]
    if verdicts and options.shard is None:
        print_fitting(verdict_table(verdicts))
    print_fitting(Text(f"Run directories: {len(begun)} in {out}"))
    return max(codes)


def _run(request: RunRequest, options: RunOptions) -> Ended:
    """Run one suite; one that cannot be used is said, and leaves the others their turn."""
    try:
        return run_request(request, options)
    except PosebenchError as error:
        say(as_line(f"{request.suite.name} is left out: {in_one_line(error)}"), err=True)
        return Ended(3)


def _options_of(members: Sequence[Member], options: RunOptions) -> dict[str, RunOptions]:
    """Return the options of each suite by its name, with what concerns it and a folder of its own.

    Raises `UsageError` for a data root that is for none of them, and for a scale where none trains.
    """
    asked = options.scale is not None or options.data_roots
    if asked and all(member.suite.trained is None for member in members):
        raise UsageError("--scale and --data-root are for suites that have `trained:`.")
    roots = roots_of_each([member.suite for member in members], options.data_roots)
    return {
        member.suite.name: replace(
            options,
            out=None if options.out is None else options.out / member.suite.name,
            mirror=options.mirror and f"{options.mirror.rstrip('/')}/{member.suite.name}",
            scale=options.scale if member.suite.trained is not None else None,
            data_roots=own,
        )
        for member, own in zip(members, roots, strict=True)
    }


@dataclass(frozen=True)
class _Cost:
    """What a suite would run and train; what a suite before it trains as well counts there."""

    name: str
    cells: int
    pending: int
    checkpoints: int
    elsewhere: int
    waiting: int
    seconds: float

    @property
    def row(self) -> tuple[str, ...]:
        numbers = (self.cells, self.pending, self.checkpoints, self.waiting, self.elsewhere)
        return (self.name, *map(str, numbers), f"{self.seconds / 60:.1f}")


def _show_costs(requests: Sequence[RunRequest], jobs: int) -> None:
    """Print what each suite would run and train, and all of them together."""
    set_up_process(share_out(requests[0].resources, requests[0].devices[0])[1])
    costs, seen = [], set[str]()
    for request in requests:
        costs.append(_cost(request, seen))
    total = _Cost(
        "together",
        sum(cost.cells for cost in costs),
        sum(cost.pending for cost in costs),
        sum(cost.checkpoints for cost in costs),
        sum(cost.elsewhere for cost in costs),
        sum(cost.waiting for cost in costs),
        sum(cost.seconds for cost in costs),
    )
    print_fitting(_cost_table([*costs, total]))
    print_fitting(
        Text(
            f"{total.waiting} checkpoints are to be trained, each once: about "
            f"{duration(total.seconds)} of one thread by speeds measured just now, "
            f"{duration(total.seconds / jobs)} with {jobs} side by side. Evaluations come on top; "
            "`posebench run SUITE --dry-run` shows the cells and arms of one suite."
        )
    )


def _cost(request: RunRequest, seen: set[str]) -> _Cost:
    """Return the cost of a suite; `seen` has the keys of trainings that were counted already."""
    with suite_display() as display:
        promised = promised_by(request, display)
        waiting = {each.key: each for each in promised.trainings if each.record is None}
        new = [each for key, each in waiting.items() if key not in seen]
        seconds = forecast(new, request.devices[0], display.progress).seconds(new)
    seen.update(waiting)
    cells = promised.asked.cells if request.shard else promised.plan.cells
    pending, _ = pending_and_done(request, promised.asked.cells)
    return _Cost(
        request.suite.name,
        len(cells),
        len(pending),
        len(promised.trainings),
        len(waiting) - len(new),
        len(new),
        seconds,
    )


def _cost_table(costs: Sequence[_Cost]) -> TextTable:
    heads = (
        "suite", "cells", "to run", "checkpoints", "to train", "trained above", "CPU minutes",
    )  # fmt: skip
    return terminal_table(heads, [cost.row for cost in costs], words=1)
