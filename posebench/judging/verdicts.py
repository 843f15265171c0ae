"""Verdicts: a claim's effect with its interval, and what it says. No torch.

A claim is supported where its effect is beyond the margin, refuted where it falls short of it,
each by a test at 5 % that is adjusted for the number of claims (Holm); else inconclusive.
Published figures, and numbers of a network that no chance moves, such as whether it runs, have
no such test: there all pairs must agree. docs/verdicts.md says how each number is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from posebench.judging.confounds import confounds_of
from posebench.judging.contrasts import contrast_of
from posebench.judging.evidence_kinds import EVIDENCE_KINDS
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.chance import (
    Detectable,
    Replicates,
    estimate_of,
    scope_of,
)
from posebench.judging.pairs.pair import Pair, mean_weights, strata_of
from posebench.judging.pairs.plateau import gains_of_longer_training
from posebench.judging.untested import (
    needs_seeds,
    what_is_lacking,
    what_is_not_shown,
    why_untested,
)
from posebench.results.numbers import number_named
from posebench.results.store import Run, read_run
from posebench.scoring.statistics.intervals import holm
from posebench.scoring.statistics.seeds_and_images import LEAST_SEEDS
from posebench.suites.claims import Claim, Scope

VerdictWord = Literal["supported", "refuted", "inconclusive", "not comparable", "untested"]
LEVEL = 0.05
# Between a data set and what was trained on, where a claim has several of these.
_TRAINED_ON = " trained on "
_WHOLE = -1  # in the place of a data set's number, where there is one


@dataclass(frozen=True)
class OnOneDataSet:
    """A claim's effect on one of several data sets, and the verdict on that data set alone.

    Fields are those of `Verdict`; `p_holm` is adjusted over the claims that meet this data set.
    """

    dataset: str
    effect: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    detectable: Detectable | None = None
    by_seed: tuple[tuple[str, float], ...] = ()
    p_holm: float | None = None
    verdict: VerdictWord = "inconclusive"


@dataclass(frozen=True)
class Verdict:
    """What the evidence says of a claim.

    `effect` is in the metric's own scale, a fraction for a score (per doubling for a trend); `low`
    and `high` are the ends of its 95 % interval; `p` is two-sided, of an effect at the margin, and
    the largest of `by_dataset` if there are several data sets. They are None where nothing was
    resampled. `keypoint_pairs` counts the left/right pairs that were resampled in place of
    `images`. `scope` is what the verdict is about, None for published figures, and `not_shown`
    what it leaves open; `datasets` are those it was measured on. `effects` are the single
    pairs' by what each pair shares, of which `pairs_agree` are as the claim says; `by_seed` are
    those of single seeds. `seeds` counts those that treatment and control share; where they
    share none, it is the smallest of `unpaired_seeds`, those of each side or pair. `detectable`
    is of the data set that tells least. `cells` are those it rests on; `confounds` in what else
    published networks of a pair differ, `undeclared` in what trainings do if the claim declares
    no factor; `plateau` is what longer training adds by arm and budget; `reason` says why there
    is no more to say.
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
    keypoint_pairs: int | None = None
    seeds: int | None = None
    reason: str | None = None
    scope: Scope | None = None
    not_shown: str | None = None
    pairs_agree: int | None = None
    by_seed: tuple[tuple[str, float], ...] = ()
    unpaired_seeds: tuple[int, ...] = ()
    datasets: tuple[str, ...] = ()
    by_dataset: tuple[OnOneDataSet, ...] = ()
    detectable: Detectable | None = None
    undeclared: tuple[str, ...] = ()
    plateau: tuple[tuple[str, float], ...] = ()


def judge(
    claims: Sequence[Claim], cells: Sequence[ClaimCell], replicates: Replicates
) -> tuple[Verdict, ...]:
    """Return the verdict on each claim; p-values are adjusted over all claims that have one."""
    return _adjusted([_estimate(claim, cells, replicates) for claim in claims])


def _adjusted(estimated: Sequence[Verdict]) -> tuple[Verdict, ...]:
    adjusted = holm([verdict.p for verdict in estimated])
    tests = sum(p is not None for p in adjusted)
    return tuple(
        _decided(replace(verdict, p_holm=p), tests)
        for verdict, p in zip(_with_parts_decided(estimated), adjusted, strict=True)
    )


def _with_parts_decided(estimated: Sequence[Verdict]) -> list[Verdict]:
    """Return verdicts with a word for each of their data sets, each adjusted by itself."""
    families: dict[str, dict[tuple[int, int], float | None]] = {}
    for place, verdict in enumerate(estimated):
        for number, part in enumerate(verdict.by_dataset):
            name = part.dataset.partition(_TRAINED_ON)[0]
            families.setdefault(name, {})[place, number] = part.p
        if not verdict.by_dataset and len(verdict.datasets) == 1:
            families.setdefault(verdict.datasets[0], {})[place, _WHOLE] = verdict.p
    adjusted = {
        key: p
        for family in families.values()
        for key, p in zip(family, holm([*family.values()]), strict=True)
    }
    return [
        replace(
            verdict,
            by_dataset=tuple(
                _part_decided(verdict.claim, part, adjusted[place, number])
                for number, part in enumerate(verdict.by_dataset)
            ),
        )
        for place, verdict in enumerate(estimated)
    ]


def _part_decided(claim: Claim, part: OnOneDataSet, p_holm: float | None) -> OnOneDataSet:
    agreed: VerdictWord = "supported" if _agrees(claim, part.effect) else "refuted"
    told = p_holm < LEVEL if p_holm is not None else not _is_sampled(claim)
    return replace(part, p_holm=p_holm, verdict=agreed if told else "inconclusive")


def _estimate(claim: Claim, cells: Sequence[ClaimCell], replicates: Replicates) -> Verdict:
    contrast = contrast_of(claim, cells)
    if contrast.conflicts:
        return Verdict(claim, "not comparable", reason="; ".join(contrast.conflicts))
    if not contrast.pairs:
        why = why_untested(claim, contrast, cells)
        return Verdict(claim, "untested", left_out=contrast.left_out, reason=why)
    by_id, pairs = {cell.id: cell for cell in cells}, contrast.pairs
    whole = estimate_of(claim, pairs, by_id, replicates)
    effects = tuple((pair.shares, estimate_of(claim, [pair], by_id, {}).effect) for pair in pairs)
    parts = _by_dataset(claim, pairs, by_id, replicates)
    names = tuple(mean_weights(strata_of(pairs)))
    measured = EVIDENCE_KINDS[claim.evidence].sampled
    chance = scope_of(claim, pairs) if _is_sampled(claim) else "these weights"
    scope = chance if measured else None
    return Verdict(
        claim,
        "inconclusive",
        effect=whole.effect,
        low=whole.low,
        high=whole.high,
        p=_on_all(claim, parts) if parts else whole.p,
        effects=effects,
        cells=names,
        left_out=contrast.left_out,
        confounds=confounds_of(pairs, {cell.id: cell.checkpoint for cell in cells}),
        images=_images([by_id[name] for name in names]),
        keypoint_pairs=min((n for name in names if (n := by_id[name].units)), default=None),
        seeds=min(whole.seeds) if measured else None,
        scope=scope,
        not_shown=what_is_not_shown(scope),
        pairs_agree=sum(_agrees(claim, effect) for _, effect in effects),
        by_seed=whole.by_seed,
        unpaired_seeds=whole.seeds if measured and len(whole.seeds) > 1 else (),
        datasets=tuple(dict.fromkeys(pair.place[0] for pair in pairs)) if measured else (),
        by_dataset=parts,
        detectable=max(
            (part.detectable for part in parts if part.detectable is not None),
            key=lambda each: each.now,
            default=whole.detectable,
        ),
        undeclared=tuple(dict.fromkeys(text for pair in pairs for text in pair.undeclared)),
        plateau=gains_of_longer_training(claim.metric, names, cells),
    )


def _by_dataset(
    claim: Claim, pairs: Sequence[Pair], cells: Mapping[str, ClaimCell], replicates: Replicates
) -> tuple[OnOneDataSet, ...]:
    """Return the effect on each data set, if there are several."""
    places: dict[tuple[str, ...], list[Pair]] = {}
    for pair in pairs:
        places.setdefault(pair.place, []).append(pair)
    if len(places) < 2 or not EVIDENCE_KINDS[claim.evidence].sampled:
        return ()
    sets = [place[0] for place in places]
    parts = list[OnOneDataSet]()
    for place, own in places.items():
        name = place[0] if sets.count(place[0]) == 1 else _TRAINED_ON.join(place)
        found = estimate_of(claim, own, cells, replicates)
        chance = found.low, found.high, found.p, found.detectable
        parts.append(OnOneDataSet(name, found.effect, *chance, found.by_seed))
    return tuple(parts)


def _on_all(claim: Claim, parts: Sequence[OnOneDataSet]) -> float | None:
    """Return the p-value of an effect on all data sets: the largest, 1 where they disagree."""
    known = [part.p for part in parts if part.p is not None]
    if len(known) < len(parts):
        return None
    return max(known) if len({_agrees(claim, part.effect) for part in parts}) == 1 else 1.0


def _decided(verdict: Verdict, tests: int) -> Verdict:
    """Return the verdict with its word; its p-value is one of so many."""
    if verdict.verdict != "inconclusive" or verdict.effect is None:
        return verdict
    claim = verdict.claim
    if verdict.p_holm is not None:
        if verdict.p_holm < LEVEL:
            agreed = _agrees(claim, verdict.effect)
            return replace(verdict, verdict="supported" if agreed else "refuted")
        if len({_agrees(claim, part.effect) for part in verdict.by_dataset}) > 1:
            return replace(verdict, reason="the data sets do not agree")
        assert verdict.low is not None and verdict.high is not None, "p comes with an interval"
        interval = verdict.low, verdict.high
        lack = what_is_lacking(claim, interval, verdict.p_holm, tests)
        return replace(verdict, reason=lack)
    if _is_sampled(claim):
        return replace(verdict, reason=_why_not_told(verdict))
    # There is no chance to tell an effect from: all pairs must say the same.
    said = {_agrees(verdict.claim, effect) for _, effect in verdict.effects}
    if len(said) == 1:
        return replace(verdict, verdict="supported" if said.pop() else "refuted")
    return replace(verdict, reason="the pairs do not agree, and nothing was resampled")


def _why_not_told(verdict: Verdict) -> str:
    """Return why a number that chance moves has no p-value."""
    known = number_named(verdict.claim.metric).recipe is not None
    if known and verdict.claim.scope == "paradigm" and (verdict.seeds or 0) < LEAST_SEEDS:
        return needs_seeds(verdict.seeds or 0)
    what = "nothing was" if known else f"{verdict.claim.metric} cannot be"
    return f"{what} resampled, so chance cannot be told"


def _is_sampled(claim: Claim) -> bool:
    """Tell whether chance moves a claim's numbers, as images or timings are samples."""
    kind = EVIDENCE_KINDS[claim.evidence]
    return kind.sampled and number_named(claim.metric).kind != "network"


def _agrees(claim: Claim, effect: float) -> bool:
    """Tell whether an effect is what the claim says."""
    if claim.direction == "within":
        return abs(effect) < claim.margin
    return (effect if claim.direction == "greater" else -effect) > claim.margin


def _images(cells: Sequence[ClaimCell]) -> int | None:
    counts = {(c.fields.get("dataset"), c.identity.get("images")) for c in cells}
    known = [count for _, count in counts if isinstance(count, int)]
    return sum(known) if known else None


def judge_run(folder: Path) -> tuple[Verdict, ...]:
    """Return the verdicts on the claims of a run's suite; raise `PosebenchError`."""
    return verdicts_of(read_run(folder))


def verdicts_of(run: Run) -> tuple[Verdict, ...]:
    """Return the verdicts on the claims of a run's suite.

    Their p-values are adjusted together, whatever the evidence of each.
    """
    found: dict[str, Verdict] = {}
    for word, kind in EVIDENCE_KINDS.items():
        claims = [claim for claim in run.record.claims if claim.evidence == word]
        if claims:
            cells, replicates = kind.cells(run), kind.replicates(run, claims)
            found |= {claim.id: _estimate(claim, cells, replicates) for claim in claims}
    return _adjusted([found[claim.id] for claim in run.record.claims])
