"""What `posebench suite validate` does: plan a suite's grid and try its claims on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from posebench.cli.planned_claims import planned_claims
from posebench.errors import ZooError
from posebench.reporting.messages import as_line, say
from posebench.reporting.progress import progress_bars
from posebench.results.findings import finding_lines
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Storage
from posebench.running.plan import Place, PlannedCell, SuitePlan, plan_suite, plan_without_data
from posebench.running.trained.forecast import stand_ins
from posebench.suites.arms import trainings_of
from posebench.suites.claims import find_claims
from posebench.suites.settling import Settled, roots_of_each, settled
from posebench.suites.suite import Suite, load_suite
from posebench.zoo.published import find_published


def validate_files(paths: Sequence[Path], roots: Mapping[str, Path], *, data: bool) -> int:
    """Say what is wrong with suites and their claims; return the exit code, 2 where anything is.

    `roots` maps data that suites train on to their folders on this machine.
    """
    suites = [load_suite(path) for path in paths]
    each = zip(paths, suites, roots_of_each(suites, roots), strict=True)
    return max(
        _validate(path, settled(suite, path.parent, roots=own), data=data)
        for path, suite, own in each
    )


def _validate(path: Path, found_data: Settled, *, data: bool) -> int:
    for line in found_data.absent:
        say(line)
    suite = found_data.suite
    claims = find_claims(suite.claims, path.parent, suite.factors)
    plan = _plan(suite, path.parent, data=data)
    problems, notes = _of_checkpoints(plan.cells)
    tried = planned_claims(plan, claims)
    problems += tried.problems
    notes += tried.notes
    for line in (*finding_lines(cell.result for cell in plan.cells), *notes):
        say(as_line(line))
    for line in problems:
        say(as_line(f"problem: {line}"), err=True)
    probes = f", {len(suite.probes)} probes" if suite.probes else ""
    counts = f"{suite.name}, {len(plan.cells)} cells{probes}, {len(claims)} claims"
    if problems:
        say(as_line(f"{path} is not sound: {counts}, {len(problems)} problems."), err=True)
        return 2
    say(as_line(f"{path} is sound: {counts}."))
    return 0


def _plan(suite: Suite, folder: Path, *, data: bool) -> SuitePlan:
    plan = plan_suite if data else plan_without_data
    trainings = () if suite.trained is None else trainings_of(suite.trained, folder)
    with progress_bars("checkpoints") as report, stand_ins(suite, trainings) as trained:
        place = Place(folder, Storage(), trained=trained)
        return plan(suite, place, LoadedCheckpoints(), report)


def _of_checkpoints(cells: Sequence[PlannedCell]) -> tuple[list[str], list[str]]:
    """Return what is wrong with checkpoints, and which published ones are not here yet."""
    problems, notes = dict[str, None](), dict[str, None]()
    for cell in cells:
        result = cell.result
        if result.status in ("skipped", "failed"):
            known = result.status == "skipped" and _is_published(cell.checkpoint.entry.file)
            (notes if known else problems)[f"{result.checkpoint.name}: {result.reason}"] = None
    return list(problems), list(notes)


def _is_published(name: str) -> bool:
    try:
        find_published(name)
    except ZooError:
        return False
    return True
