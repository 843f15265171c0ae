"""Whether claims can be tested on the cells of a suite, before anything runs. No torch."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from posebench.datasets.known.record import known_dataset
from posebench.errors import nearest
from posebench.judging.claim_cells import claim_cell
from posebench.judging.contrasts import contrast_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.chance import has_seeds_enough
from posebench.judging.pairs.pair import strata_of
from posebench.judging.published import published_cells
from posebench.judging.untested import needs_seeds, why_untested
from posebench.results.numbers import NUMBERS, number_named
from posebench.results.probe_numbers import PROBE_NUMBERS
from posebench.results.store import StoredCell
from posebench.scoring.evaluate import EVALUATORS
from posebench.scoring.metrics import recipes_of
from posebench.suites.claims import Claim
from posebench.suites.suite import ScoringEntry, Suite

# Of a number that has any.
_SOME = 0.5


@dataclass(frozen=True)
class ClaimProblem:
    """Why a claim cannot be tested; `of_cells` tells that other cells might make it testable."""

    claim: Claim
    text: str
    of_cells: bool = False


def claim_problems(
    claims: Sequence[Claim],
    planned: Sequence[StoredCell],
    keypoints: Collection[str],
    suite: Suite,
) -> list[ClaimProblem]:
    """Return what is wrong with each claim, the first thing of each.

    `planned` are the cells that the suite will have, `keypoints` the names that its data label. Of
    claims on probes only the number can be checked: where it is read shows when it is read.
    """
    cells = [_with_values(stored, keypoints) for stored in planned]
    published = published_cells() if any(c.evidence == "published" for c in claims) else ()
    found = []
    for claim in claims:
        if claim.evidence == "probed":
            problem = _of_probe(claim, suite)
        else:
            problem = _of_metric(claim, keypoints, suite.scoring)
        if problem is None and claim.evidence != "probed":
            own = published if claim.evidence == "published" else cells
            found += _of_cells(claim, own)
        elif problem is not None:
            found.append(ClaimProblem(claim, problem))
    return found


def _of_probe(claim: Claim, suite: Suite) -> str | None:
    number = PROBE_NUMBERS.get(claim.metric)
    if number is None:
        return f"no probe reads {claim.metric!r}. {nearest(claim.metric, PROBE_NUMBERS)}"
    if number.probe not in suite.probes:
        return f"the suite does not run the probe {number.probe}, which reads {claim.metric}"
    if number.sampled and not suite.scoring.replicates:
        return "the suite asks for no resamples (scoring.replicates), so it would stay inconclusive"
    return None


def _of_metric(claim: Claim, keypoints: Collection[str], scoring: ScoringEntry) -> str | None:
    metric, number = claim.metric, number_named(claim.metric)
    if metric not in NUMBERS and metric not in keypoints:
        return f"there is no metric {metric!r}. {nearest(metric, [*NUMBERS, *keypoints])}"
    if number.kind == "score" and number.most <= 1 and claim.margin >= 1:
        points = number.unit.scale * claim.margin
        return (
            f"a margin of {claim.margin:g} is {points:g} points of {metric}, more than there are: "
            f"write {claim.margin / number.unit.scale:g} for {claim.margin:g} points"
        )
    if claim.evidence == "published" or number.kind == "network":
        return None
    if number.recipe is None:
        resampled = [name for name, each in NUMBERS.items() if each.recipe is not None]
        return (
            f"{metric} cannot be resampled, so the claim would stay inconclusive; "
            f"what can: {', '.join(resampled)}"
        )
    if not scoring.replicates:
        return "the suite asks for no resamples (scoring.replicates), so it would stay inconclusive"
    return None


def _of_cells(claim: Claim, cells: Sequence[ClaimCell]) -> list[ClaimProblem]:
    contrast = contrast_of(claim, cells)
    if contrast.conflicts:
        text = f"not comparable: {'; '.join(contrast.conflicts)}"
    elif not contrast.pairs:
        text = why_untested(claim, contrast, cells)
    elif claim.scope == "paradigm" and not has_seeds_enough(contrast.pairs):
        fewest = min(map(len, strata_of(contrast.pairs)))
        text = f"{needs_seeds(fewest)}, so it would stay inconclusive"
    else:
        return []
    return [ClaimProblem(claim, text, of_cells=True)]


def _with_values(stored: StoredCell, keypoints: Collection[str]) -> ClaimCell:
    """Return a planned cell with a value for each number that it will have."""
    cell, result = claim_cell(stored), stored.result
    network = {name: each.read(result) for name, each in NUMBERS.items() if each.kind == "network"}
    values: Mapping[str, float | None] = network
    if result.status == "ok":
        values = {**dict.fromkeys((*_scores(stored), *keypoints), _SOME), **network}
    return replace(cell, values=values)


def _scores(stored: StoredCell) -> list[str]:
    """Return the scores of a cell's evaluator, and of its data set's record."""
    protocol = stored.result.protocol
    kinds = [kind for kind, name in EVALUATORS.items() if name == protocol.evaluator]
    known = None if protocol.record is None else known_dataset(protocol.record)
    distances = None if known is None else known.distances
    return [recipe.name for kind in kinds for recipe in recipes_of(kind, distances)]
