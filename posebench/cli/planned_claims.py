"""Claims tried on a suite's plan, for `posebench suite validate` and before `posebench run`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from posebench.errors import SpecError
from posebench.judging.claim_checks import claim_problems
from posebench.reporting.messages import harmless
from posebench.results.cell import CellResult
from posebench.results.store import StoredCell
from posebench.suites.claims import Claim
from posebench.suites.recipe import SOURCES

if TYPE_CHECKING:
    from posebench.running.plan import SuitePlan

_MOST_SHOWN = 10


@dataclass(frozen=True)
class PlannedClaims:
    """Lines on claims: `problems` can never be tested; `notes` might be, or do not need the run."""

    problems: tuple[str, ...]
    notes: tuple[str, ...]


def planned_claims(plan: SuitePlan, claims: Sequence[Claim]) -> PlannedClaims:
    """Try each claim on the cells that a suite will have.

    Where a checkpoint is not there or cannot be loaded, what its cells would have been is not
    known: a claim that lacks cells is then no problem.
    """
    cells = [
        StoredCell(c.id, _without_sources(c.result), dict(c.checkpoint.entry.labels))
        for c in plan.cells
    ]
    names = {name for each in plan.workloads for name in each.dataset.keypoints.keypoints}
    incomplete = any(cell.result.status in ("skipped", "failed") for cell in plan.cells)
    problems, notes = [], []
    for found in claim_problems(claims, cells, sorted(names), plan.suite):
        text = f"claim {found.claim.id}: {found.text}"
        if found.of_cells and found.claim.evidence == "published":
            notes.append(f"{text} (published figures, which no run changes)")
        elif found.of_cells and incomplete:
            notes.append(f"{text} (of the checkpoints that are here)")
        else:
            problems.append(text)
    return PlannedClaims(tuple(problems), tuple(notes))


def _without_sources(result: CellResult) -> CellResult:
    """Return a result whose training does not say which files it read.

    A trained checkpoint names them by the hash of their content, which is not known of one that is
    yet to be trained. Where arms may differ in them, the suite has been checked for it.
    """
    training = result.checkpoint.training
    if training is None:
        return result
    known = dict(training)
    for section, field in SOURCES.items():
        if isinstance(settings := known.get(section), Mapping):
            known[section] = {name: value for name, value in settings.items() if name != field}
    return replace(result, checkpoint=replace(result.checkpoint, training=known))


def refuse_untestable(plan: SuitePlan, claims: Sequence[Claim]) -> None:
    """Check that every claim could be tested on a suite's cells.

    Raises `SpecError`, with the reasons, if some can never be.
    """
    problems = planned_claims(plan, claims).problems
    if problems:
        more = len(problems) - _MOST_SHOWN
        raise SpecError(
            f"{len(problems)} of {len(claims)} claims of the suite {plan.suite.name} can never be "
            "tested, so nothing was run.",
            hint="\n".join(
                [
                    *map(harmless, problems[:_MOST_SHOWN]),
                    *([f"and {more} more"] if more > 0 else []),
                    "Mend these claims, or take them out of the suite's `claims`. `posebench suite "
                    "validate` tries them and runs nothing.",
                ]
            ),
        )
