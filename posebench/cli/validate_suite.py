"""What `posebench suite validate` does: plan a suite's grid and try its claims on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from posebench.errors import ZooError
from posebench.judging.claim_checks import claim_problems
from posebench.reporting.messages import say
from posebench.reporting.progress import progress_bars
from posebench.results.findings import finding_lines
from posebench.results.store import StoredCell
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Storage
from posebench.running.plan import Place, PlannedCell, SuitePlan, plan_suite, plan_without_data
from posebench.suites.claims import find_claims
from posebench.suites.suite import Suite, load_suite
from posebench.zoo.published import find_published


def validate_file(path: Path, *, data: bool) -> int:
    """Say what is wrong with a suite and its claims; return the exit code, 2 where anything is."""
    suite = load_suite(path)
    claims = find_claims(suite.claims, path.parent)
    plan = _plan(suite, path.parent, data=data)
    problems, notes = _of_checkpoints(plan.cells)
    planned = [StoredCell(c.id, c.result, dict(c.checkpoint.entry.labels)) for c in plan.cells]
    names = {name for each in plan.workloads for name in each.dataset.keypoints.keypoints}
    incomplete = bool(notes)
    for found in claim_problems(claims, planned, sorted(names), suite):
        text = f"claim {found.claim.id}: {found.text}"
        if found.of_cells and found.claim.evidence == "published":
            notes.append(f"{text} (published figures, which no run changes)")
        elif found.of_cells and incomplete:
            notes.append(f"{text} (of the checkpoints that are here)")
        else:
            problems.append(text)
    for line in (*finding_lines(cell.result for cell in plan.cells), *notes):
        say(line)
    for line in problems:
        say(f"problem: {line}", err=True)
    probes = f", {len(suite.probes)} probes" if suite.probes else ""
    counts = f"{suite.name}, {len(plan.cells)} cells{probes}, {len(claims)} claims"
    if problems:
        say(f"{path} is not sound: {counts}, {len(problems)} problems.", err=True)
        return 2
    say(f"{path} is sound: {counts}.")
    return 0


def _plan(suite: Suite, folder: Path, *, data: bool) -> SuitePlan:
    plan = plan_suite if data else plan_without_data
    with progress_bars("checkpoints") as report:
        return plan(suite, Place(folder, Storage()), LoadedCheckpoints(), report)


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
