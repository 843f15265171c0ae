"""Verdicts: a claim's effect with its interval, and what it says. No torch.

A claim is supported where its effect is beyond the margin, refuted where it falls short of it,
each by a test at 5 % that is adjusted for the number of claims (Holm); else inconclusive.
Published figures, and numbers of a network that no chance moves, such as whether it runs, have
no such test: there all pairs must agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from posebench.judging.claim_cells import Replicates
from posebench.judging.confounds import confounds_of
from posebench.judging.contrasts import ClaimCell, Contrast, Pair, contrast_of
from posebench.judging.evidence_kinds import EVIDENCE_KINDS
from posebench.judging.untested import what_is_lacking, why_untested
from posebench.results.numbers import number_named
from posebench.results.store import Run, read_run
from posebench.scoring.statistics.intervals import holm, p_value, percentile_interval
from posebench.suites.claims import Claim

VerdictWord = Literal["supported", "refuted", "inconclusive", "not comparable", "untested"]
LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """What the evidence says of a claim.

    `effect` is in the metric's own scale, a fraction for a score (per doubling for a trend); `low`
    and `high` are the ends of its 95 % interval; `p` is two-sided, of an effect at the margin.
    They are None where nothing was resampled. `effects` are the single pairs' by what each pair
    shares; `cells` are those it rests on; `confounds` in what else published networks of a pair
    differ; `reason` says why there is no more to say.
    """

    claim: Claim
    verdict: VerdictWord
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    effects: tuple[tuple[str, float], ...] = ()
    cells: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    confounds: tuple[str, ...] = ()
    images: int | None = None
    seeds: int | None = None
    reason: str | None = None


def judge(
    claims: Sequence[Claim], cells: Sequence[ClaimCell], replicates: Replicates
) -> tuple[Verdict, ...]:
    """Return the verdict on each claim; p-values are adjusted over all claims that have one."""
    estimated = [_estimate(claim, cells, replicates) for claim in claims]
    adjusted = holm([verdict.p for verdict in estimated])
    tests = sum(p is not None for p in adjusted)
    return tuple(
        _decided(replace(verdict, p_holm=p), tests)
        for verdict, p in zip(estimated, adjusted, strict=True)
    )


def _estimate(claim: Claim, cells: Sequence[ClaimCell], replicates: Replicates) -> Verdict:
    contrast = contrast_of(claim, cells)
    if contrast.conflicts:
        return Verdict(claim, "not comparable", reason="; ".join(contrast.conflicts))
    if not contrast.pairs:
        why = why_untested(claim, contrast, cells)
        return Verdict(claim, "untested", left_out=contrast.left_out, reason=why)
    by_id = {cell.id: cell for cell in cells}
    effects = tuple((pair.shares, _effect(claim, pair, by_id)) for pair in contrast.pairs)
    total = _mean_weights(contrast)
    used = [by_id[name] for name in total]
    draws = _resampled(claim, total, replicates)
    interval = None if draws is None else percentile_interval(draws)
    effect = sum(effect for _, effect in effects) / len(effects)
    return Verdict(
        claim,
        "inconclusive",
        effect=effect,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        p=None if draws is None else _p_value(claim, effect, draws),
        effects=effects,
        cells=tuple(total),
        left_out=contrast.left_out,
        confounds=confounds_of(contrast.pairs, {cell.id: cell.checkpoint for cell in cells}),
        images=_images(used),
        seeds=_seeds(claim, used),
    )


def _effect(claim: Claim, pair: Pair, cells: Mapping[str, ClaimCell]) -> float:
    total = 0.0
    for name, weight in pair.weights.items():
        value = cells[name].values.get(claim.metric)
        assert value is not None, "a contrast leaves out pairs without value"
        total += weight * value
    return total


def _decided(verdict: Verdict, tests: int) -> Verdict:
    """Return the verdict with its word; its p-value is one of so many."""
    if verdict.verdict != "inconclusive" or verdict.effect is None:
        return verdict
    if verdict.p_holm is not None:
        if verdict.p_holm >= LEVEL:
            assert verdict.low is not None and verdict.high is not None, "p comes with an interval"
            interval = verdict.low, verdict.high
            lack = what_is_lacking(verdict.claim, interval, verdict.p_holm, tests)
            return replace(verdict, reason=lack)
        agrees = _agrees(verdict.claim, verdict.effect)
        return replace(verdict, verdict="supported" if agrees else "refuted")
    if _is_sampled(verdict.claim):
        known = number_named(verdict.claim.metric).recipe is not None
        what = "nothing was" if known else f"{verdict.claim.metric} cannot be"
        return replace(verdict, reason=f"{what} resampled, so chance cannot be told")
    # There is no chance to tell an effect from: all pairs must say the same.
    said = {_agrees(verdict.claim, effect) for _, effect in verdict.effects}
    if len(said) == 1:
        return replace(verdict, verdict="supported" if said.pop() else "refuted")
    return replace(verdict, reason="the pairs do not agree, and nothing was resampled")


def _is_sampled(claim: Claim) -> bool:
    """Tell whether chance moves a claim's numbers, as images or timings are samples."""
    kind = EVIDENCE_KINDS[claim.evidence]
    return kind.sampled and number_named(claim.metric).kind != "network"


def _agrees(claim: Claim, effect: float) -> bool:
    """Tell whether an effect is what the claim says."""
    if claim.direction == "within":
        return abs(effect) < claim.margin
    return (effect if claim.direction == "greater" else -effect) > claim.margin


def _p_value(claim: Claim, effect: float, draws: NDArray[np.float64]) -> float | None:
    """Return the p-value of an effect that lies at the margin, where support ends."""
    if claim.direction == "greater":
        return p_value(draws - claim.margin)
    if claim.direction == "less":
        return p_value(draws + claim.margin)
    sides = [p_value(draws - claim.margin), p_value(draws + claim.margin)]
    if abs(effect) >= claim.margin:
        return sides[0] if effect > 0 else sides[1]
    # Equivalence: the effect must be told from both margins.
    return None if None in sides else max(p for p in sides if p is not None)


def _mean_weights(contrast: Contrast) -> dict[str, float]:
    """Return the weight of each cell in the mean of the pairs."""
    total: dict[str, float] = {}
    for pair in contrast.pairs:
        for name, weight in pair.weights.items():
            total[name] = total.get(name, 0.0) + weight / len(contrast.pairs)
    return total


def _resampled(
    claim: Claim, weights: Mapping[str, float], replicates: Replicates
) -> NDArray[np.float64] | None:
    """Return replicates (B,) of the effect, None where a cell has none."""
    keys = [(name, claim.metric) for name in weights]
    if any(key not in replicates for key in keys):
        return None
    total: NDArray[np.float64] = sum(weights[key[0]] * replicates[key] for key in keys)  # type: ignore[assignment]
    return total


def _seeds(claim: Claim, cells: Sequence[ClaimCell]) -> int | None:
    """Return how many training seeds cells have, by their label; unlabelled ones share one."""
    if not EVIDENCE_KINDS[claim.evidence].sampled:
        return None
    return len({cell.fields.get("labels.seed") for cell in cells})


def _images(cells: Sequence[ClaimCell]) -> int | None:
    counts = {(c.fields.get("dataset"), c.identity.get("images")) for c in cells}
    known = [count for _, count in counts if isinstance(count, int)]
    return sum(known) if known else None


def judge_run(folder: Path) -> tuple[Verdict, ...]:
    """Return the verdicts on the claims of a run's suite; raise `PosebenchError`."""
    return verdicts_of(read_run(folder))


def verdicts_of(run: Run) -> tuple[Verdict, ...]:
    """Return the verdicts on the claims of a run's suite."""
    found: dict[str, Verdict] = {}
    for word, kind in EVIDENCE_KINDS.items():
        claims = [claim for claim in run.record.claims if claim.evidence == word]
        if claims:
            judged = judge(claims, kind.cells(run), kind.replicates(run, claims))
            found |= {verdict.claim.id: verdict for verdict in judged}
    return tuple(found[claim.id] for claim in run.record.claims)
