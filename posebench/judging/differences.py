"""Is one checkpoint better than another? Paired differences of a run's checkpoints. No torch.

Each is a verdict on a claim about one place of the grid: the statistics are those of claims.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import UsageError, nearest
from posebench.judging.claim_cells import (
    OWN_FIELDS,
    CellOfRun,
    cells_of,
    replicates_of,
    replicates_over,
)
from posebench.judging.contrasts import short_text, sides_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.matching import matched, pairing_fields
from posebench.judging.untested import what_kept_apart
from posebench.judging.verdicts import LEVEL, Verdict, judge
from posebench.results.cell import CellResult
from posebench.results.differences import Difference, Differences
from posebench.results.numbers import AP, main_metric, main_metrics, number_named
from posebench.results.store import Run
from posebench.scoring.statistics.estimates import Estimate
from posebench.scoring.statistics.images_alone import ImageSample
from posebench.scoring.statistics.intervals import holm
from posebench.suites.claims import Claim


def checkpoints_of(run: Run) -> tuple[str, ...]:
    """Return the names of a run's checkpoints, in its order."""
    return tuple(dict.fromkeys(cell.result.checkpoint.name for cell in run.cells))


def baseline_of(names: Sequence[str], baseline: str | None) -> str:
    """Return the checkpoint to compare with: the one asked for, or else the first.

    Raises `UsageError` if there is no such checkpoint.
    """
    if baseline is None:
        return names[0]
    if baseline not in names:
        raise UsageError(
            f"There is no checkpoint {baseline!r} to compare with.", hint=nearest(baseline, names)
        )
    return baseline


def difference_claims(run: Run, baseline: str, metric: str | None = None) -> tuple[Claim, ...]:
    """Return for each other checkpoint the claim that it is better than the baseline.

    Without a `metric` there is one for each main number of the run's data: AP, or the first number
    of data that have none.
    """
    metrics = (metric,) if metric else main_metrics(cell.result for cell in run.cells)
    return tuple(
        Claim(
            id=f"{name} against {baseline}" + (f" in {metric}" if len(metrics) > 1 else ""),
            statement=f"{name} has a {'lower' if lower else 'higher'} {metric} than {baseline}.",
            direction="less" if lower else "greater",
            treatment={"checkpoint": name},
            control={"checkpoint": baseline},
            metric=metric,
        )
        for name in checkpoints_of(run)
        if name != baseline
        for metric in metrics
        for lower in [number_named(metric).better == "lower"]
    )


def differences_of(run: Run, baseline: str, metric: str | None = None) -> Differences:
    """Return the differences of all checkpoints to one, at every place that they share.

    Without a `metric` they are of the main number of each data set: AP, or the first number of data
    that have none. Raises `DataError` for damaged tables.
    """
    groups = _cells_by_metric(run, metric)
    results = {cell.id: cell.result for cell in run.cells}
    claims = difference_claims(run, baseline, metric)
    found, alone = list[Difference](), list[str]()
    for number, cells in groups.items():
        own = [claim for claim in claims if claim.metric == number]
        places = [place for claim in own for place in _places(claim, cells)]
        replicates = replicates_of(run, [cell.id for cell in cells], [number])
        verdicts = judge([place.claim for place in places], cells, replicates)
        also = ("dataset",) if len(groups) > 1 else ()
        found += [
            _difference(place, verdict, results, also)
            for place, verdict in zip(places, verdicts, strict=True)
        ]
        used = {cell.id for place in places for cell in (place.treated, place.control)}
        kept = {place.treated.checkpoint for place in places}
        for claim in own:
            name = str(claim.treatment["checkpoint"])
            if name not in kept:
                reason = _why_no_place(claim, cells, results)
                found.append(Difference(number, name, baseline, reason=reason))
        alone += [text for claim in own for text in _alone(claim, cells, used, kept)]
    return Differences(baseline, _adjusted(found), tuple(dict.fromkeys(alone)))


def _cells_by_metric(run: Run, metric: str | None) -> dict[str, list[ClaimCell]]:
    """Return the cells by the number that they are compared by: that of their data."""
    cells = cells_of(run)
    if metric is not None:
        return {metric: [*cells]}
    main = {cell.id: main_metric([cell.result]) for cell in run.cells if cell.result.metrics}
    of_data = {cell.fields["dataset"]: main[cell.id] for cell in cells if cell.id in main}
    found: dict[str, list[ClaimCell]] = {}
    first = next(iter(of_data.values()), AP)
    for cell in cells:
        found.setdefault(of_data.get(cell.fields["dataset"], first), []).append(cell)
    return found or {first: []}


def _adjusted(found: Sequence[Difference]) -> tuple[Difference, ...]:
    """Return differences with p-values adjusted over all of them."""
    adjusted = holm([each.p for each in found])
    return tuple(
        replace(each, p_holm=p, told_apart=None if p is None else p < LEVEL)
        for each, p in zip(found, adjusted, strict=True)
    )


@dataclass(frozen=True)
class Subtraction:
    """A number of one cell minus that of another, each by its run's position and its id."""

    metric: str
    cell: CellOfRun
    baseline: CellOfRun
    value: float


def chance_of(runs: Sequence[Run], asked: Sequence[Subtraction]) -> list[Estimate]:
    """Return differences with what chance leaves open, p-values adjusted over all of them.

    Those that cannot be resampled have no interval. Raises `DataError` for damaged tables.
    """
    cells = {cell for each in asked for cell in (each.cell, each.baseline)}
    replicates = replicates_over(runs, cells, dict.fromkeys(each.metric for each in asked))
    counts = {
        (index, cell.id): cell.result.protocol.images
        for index, run in enumerate(runs)
        for cell in run.cells
    }
    found = [_resampled(each, replicates, counts[each.cell]) for each in asked]
    adjusted = holm([each.p for each in found])
    return [replace(each, p_holm=p) for each, p in zip(found, adjusted, strict=True)]


def _resampled(
    asked: Subtraction,
    replicates: Mapping[tuple[CellOfRun, str], NDArray[np.float64]],
    images: int,
) -> Estimate:
    sides = [replicates.get((cell, asked.metric)) for cell in (asked.cell, asked.baseline)]
    one, other = sides
    if one is None or other is None:
        return Estimate(asked.value)
    sample = ImageSample(asked.value, one - other, images)
    low, high = sample.interval() or (None, None)
    return Estimate(asked.value, low, high, sample.p_value(0.0))


@dataclass(frozen=True)
class _Place:
    """A claim about one place of the grid, what is shared there, and the two cells."""

    claim: Claim
    shared: Mapping[str, str]
    treated: ClaimCell
    control: ClaimCell


def _places(claim: Claim, cells: Sequence[ClaimCell]) -> list[_Place]:
    treated, controls = sides_of(claim, cells)
    names = pairing_fields(claim, treated, controls)
    found = []
    for each in matched(claim, treated, controls):
        shared = dict(zip(names, each.key, strict=True))
        for own, other in zip(each.treated, each.controls, strict=False):
            if own.fields.get("size") and other.fields.get("size"):
                at = replace(
                    claim, treatment=_only(own, names), control=_only(other, names), match_by=()
                )
                found.append(_Place(at, shared, own, other))
    return found


def _only(cell: ClaimCell, names: Sequence[str]) -> dict[str, str]:
    """Return what selects a cell among those of its checkpoint."""
    return {"checkpoint": cell.checkpoint, **{name: cell.fields[name] for name in names}}


def _alone(claim: Claim, cells: Sequence[ClaimCell], used: Set[str], kept: Set[str]) -> list[str]:
    """Return what has a number and was not subtracted, where others of its checkpoint were."""
    treated, controls = sides_of(claim, cells)
    names = pairing_fields(claim, treated, controls)
    left = [c for c in (*treated, *controls) if c.id not in used and claim.metric in _known(c)]
    if claim.treatment["checkpoint"] not in kept:
        return []
    return [
        f"{cell.checkpoint} ({', '.join(cell.fields.get(name, '') for name in names)})"
        for cell in left
    ]


def _known(cell: ClaimCell) -> Set[str]:
    return {name for name, value in cell.values.items() if value is not None}


def _difference(
    place: _Place, verdict: Verdict, results: dict[str, CellResult], also: Sequence[str]
) -> Difference:
    """Return a difference; `also` are fields that say where it is, besides those that vary."""
    own, other, metric = place.treated, place.control, place.claim.metric
    names = {"checkpoint": own.checkpoint, "baseline": other.checkpoint}
    differing = _differing(results[own.id], results[other.id])
    common: dict[str, Any] = {
        **names,
        "place": {**{name: own.fields[name] for name in also}, **place.shared},
        "cell": own.id,
        "baseline_cell": other.id,
        "value": own.values.get(metric),
        "baseline_value": other.values.get(metric),
        "differing": differing,
    }
    if verdict.effect is None:
        said = (verdict.reason or "").removeprefix("all: ")
        if verdict.verdict == "not comparable":
            said = f"the protocols differ in {said}"
        reason = _why_none(results[own.id], results[other.id]) or said
        return Difference(metric, **common, reason=reason)
    detectable = verdict.detectable
    return Difference(
        metric,
        **common,
        difference=verdict.effect,
        low=verdict.low,
        high=verdict.high,
        p=verdict.p,
        detectable=None if detectable is None else detectable.now,
        images=verdict.images,
    )


def _differing(one: CellResult, other: CellResult) -> tuple[str, ...]:
    """Return in what two cells differ that belongs to their checkpoints, and their sizes."""
    facts: dict[str, tuple[Any, Any]] = {"size": (one.size, other.size)}
    for name in sorted(OWN_FIELDS):
        facts[name] = getattr(one.protocol, name), getattr(other.protocol, name)
    return tuple(
        f"{name} ({short_text(own)} / {short_text(base)})"
        for name, (own, base) in facts.items()
        if own != base
    )


def _why_none(one: CellResult, other: CellResult) -> str | None:
    """Return which of two cells has no numbers; its result says why."""
    lost = next((result for result in (one, other) if result.status != "ok"), None)
    if lost is None:
        return None
    return f"{lost.checkpoint.name} {lost.status}"


def _why_no_place(
    claim: Claim, cells: Sequence[ClaimCell], results: dict[str, CellResult]
) -> str | None:
    treated, controls = sides_of(claim, cells)
    for side in (treated, controls):
        if side and all(results[cell.id].size is None for cell in side):
            return _why_none(results[side[0].id], results[side[0].id])
    return what_kept_apart(claim, treated, controls)
