"""The arithmetic of claims: which cells one compares, as weighted sums of their values. No torch.

`suites.claims` holds what a user declares; `verdicts` makes a verdict of the sums.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posebench.judging.pairs.cells import (
    ARM,
    BUDGET,
    DATA,
    SEED,
    TEST_SIZE,
    BySeed,
    ClaimCell,
    by_seed,
    has_judged_budget,
    is_selected,
)
from posebench.judging.pairs.matching import matched
from posebench.judging.pairs.pair import Pair, with_shared_seeds
from posebench.judging.pairs.trainings import training_differences
from posebench.results.numbers import number_named
from posebench.suites.claims import LABEL, Claim

# What a transform decides in the protocol.
OF_TRANSFORMS = frozenset({"transform", "calibration_crops"})
_CORRUPTION = "corruption"
# A hash is told from another by its beginning.
_SHORT, _BEGINNING = 24, 12


@dataclass(frozen=True)
class Contrast:
    """The pairs a claim rests on.

    `left_out` lists pairs and seeds that lack a value, and what they lack; `conflicts` fields of
    the protocol or of the training that differ between cells to be compared, with the values;
    where there are conflicts, nothing may be subtracted.
    """

    pairs: tuple[Pair, ...] = ()
    left_out: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def contrast_of(claim: Claim, cells: Sequence[ClaimCell]) -> Contrast:
    """Return the pairs of cells, with weights, that a claim's effect is made of."""
    treated, controls = sides_of(claim, cells)
    made = [
        _paired(
            claim,
            ", ".join(each.key) or "all",
            (by_seed(each.treated), by_seed(each.controls)),
            cells,
        )
        for each in matched(claim, treated, controls)
    ]
    pairs, dropped = with_shared_seeds([pair for each in made for pair in each.pairs])
    left_out = (*(text for each in made for text in each.left_out), *dropped)
    return Contrast(pairs, left_out, tuple(text for each in made for text in each.conflicts))


def sides_of(claim: Claim, cells: Sequence[ClaimCell]) -> tuple[list[ClaimCell], list[ClaimCell]]:
    """Return the cells of treatment and control."""
    within = [c for c in cells if is_selected(c, claim.at) and has_judged_budget(claim, c)]
    treated = [cell for cell in within if is_selected(cell, claim.treatment)]
    return treated, [cell for cell in within if is_selected(cell, claim.control)]


Sides = tuple[BySeed, BySeed]
Unit = tuple[Sequence[ClaimCell], Sequence[ClaimCell]]
"""Treatment and control of one seed; one of them is empty where the sides share no seeds."""


def _paired(claim: Claim, shares: str, sides: Sides, cells: Sequence[ClaimCell]) -> Contrast:
    """Return the pair of cells that share what `match_by` lists, or why there is none."""
    crowded = [group for side in sides for group in side.values() if len(group) > 1]
    if claim.trend is None and crowded:
        names = ", ".join(cell.id for cell in crowded[0])
        alike = f"{shares}: {names} are alike in all that {_pairs_by(claim)}"
        return Contrast(conflicts=(f"{alike}{_telling(crowded[0], claim)}",))
    members = [cell for side in sides for group in side.values() for cell in group]
    references = {cell.id: _reference(claim, cell, cells) for cell in members}
    used = [*members, *(cell for cell in references.values() if cell is not None)]
    if differing := _differences(claim, used):
        return Contrast(conflicts=(f"{shares}: {', '.join(differing)}",))
    strata, left_out = list[dict[str, Unit]](), list[str]()
    for units in _strata(sides):
        lacks = {seed: _lack(claim, unit, references, sides) for seed, unit in units.items()}
        strata.append({seed: unit for seed, unit in units.items() if lacks[seed] is None})
        left_out += [f"{_named(shares, seed)}: {lack}" for seed, lack in lacks.items() if lack]
    left_out += _without_partner(claim, shares, sides)
    if not all(strata) or (len(strata) > 1 and SEED in (claim.match_by or ())):
        return Contrast(left_out=tuple(left_out))
    pair = _pair(claim, shares, strata, references)
    if pair.undeclared and claim.factor:
        named = ", ".join(pair.undeclared)
        return Contrast(conflicts=(f"{shares}: trained with other {named}",))
    return Contrast((pair,), tuple(left_out))


def _pairs_by(claim: Claim) -> str:
    return "match_by lists" if claim.match_by is not None else "the cells of a pair share"


def _telling(cells: Sequence[ClaimCell], claim: Claim) -> str:
    """Return which fields tell cells apart and could stand in `match_by`."""
    fields = [
        name
        for name in cells[0].fields
        if name not in {*claim.treatment, *claim.control}
        and len({cell.fields.get(name) for cell in cells}) == len(cells)
    ]
    return f"; they differ in {', '.join(fields)}, which match_by may list" if fields else ""


def _pair(
    claim: Claim,
    shares: str,
    strata: Sequence[Mapping[str, Unit]],
    references: Mapping[str, ClaimCell | None],
) -> Pair:
    groups: tuple[dict[str, Sequence[ClaimCell]], ...] = ({}, {})
    for units in strata:
        for seed, unit in units.items():
            for side, group in zip(groups, unit, strict=True):
                side.update({seed: group} if group else {})
    treated, controls = ([cell for each in side.values() for cell in each] for side in groups)
    first = treated[0].fields
    factor = (claim.factor,) if isinstance(claim.factor, str) else claim.factor
    return Pair(
        shares,
        tuple(
            {seed: _weights(claim, unit, references) for seed, unit in units.items()}
            for units in strata
        ),
        tuple(cell.id for cell in treated),
        tuple(cell.id for cell in controls),
        (first.get("dataset", ""), *([first[DATA]] if DATA in first else [])),
        training_differences(groups[0], groups[1], factor),
    )


def _strata(sides: Sides) -> list[dict[str, Unit]]:
    """Return treatment with control for each seed that they share, or else each side alone."""
    shared: dict[str, Unit] = {
        seed: (group, sides[1][seed]) for seed, group in sides[0].items() if seed in sides[1]
    }
    if shared:
        return [shared]
    return [
        {seed: (group, ()) for seed, group in sides[0].items()},
        {seed: ((), group) for seed, group in sides[1].items()},
    ]


def _without_partner(claim: Claim, shares: str, sides: Sides) -> list[str]:
    """Return a line for each seed that only one side has, if they share any or should."""
    if sides[0].keys() & sides[1].keys():
        words = ("control", "treatment")
        return [
            f"{_named(shares, seed)}: no {word} of this seed"
            for side, other, word in zip(sides, sides[::-1], words, strict=True)
            for seed in side
            if seed not in other
        ]
    if SEED in (claim.match_by or ()):
        return [f"{shares}: treatment and control share no seed, which match_by lists"]
    return []


def _named(shares: str, seed: str) -> str:
    return f"{shares}, seed {seed}" if seed else shares


def _lack(
    claim: Claim, unit: Unit, references: Mapping[str, ClaimCell | None], sides: Sides
) -> str | None:
    """Return why there is no effect between the cells of a seed, None where there is one."""
    cells = [*unit[0], *unit[1]]
    own = {cell.id: references[cell.id] for cell in cells}
    if claim.relative_to is not None and None in own.values():
        alone = next(name for name, reference in own.items() if reference is None)
        wanted = ", ".join(f"{name} {value}" for name, value in claim.relative_to.items())
        return f"{alone} has no cell of {wanted} to be relative to"
    known = [*cells, *(cell for cell in own.values() if cell is not None)]
    without = [cell.id for cell in known if cell.values.get(claim.metric) is None]
    if without:
        return f"{', '.join(dict.fromkeys(without))} without {claim.metric}"
    if claim.trend is None:
        return None
    conventions = dict.fromkeys(cell.fields.get("gflops_convention", "not said") for cell in cells)
    if claim.trend == "gflops" and len(conventions) > 1:
        return f"their publishers count GFLOPs in different ways ({' / '.join(conventions)})"
    if not all(_slope_weights(claim.trend, side) for side in unit if side):
        return f"a trend over {claim.trend} needs two sizes of known {claim.trend} on either side"
    for group, side in zip(unit, sides, strict=True):
        most = max(len(_sizes(claim.trend, each)) for each in side.values())
        if group and len(_sizes(claim.trend, group)) < most:
            return f"other seeds have more sizes to fit a trend over {claim.trend}"
    return None


def _sizes(trend: str, cells: Sequence[ClaimCell]) -> set[float | None]:
    return {cell.sizes.get(trend) for cell in cells}


def _reference(claim: Claim, cell: ClaimCell, cells: Sequence[ClaimCell]) -> ClaimCell | None:
    """Return the cell that a cell is measured against.

    It is of the same checkpoint, unless a claim asks for another label: then it is of the arm that
    has it, with the same seed, or of the same training if the label is the test size.
    """
    if claim.relative_to is None:
        return None
    # A size may be given in either way, and either moves the other.
    replaced = {*claim.relative_to} - {"checkpoint"}
    if replaced & {"size", "relative_size"}:
        replaced |= {"size", "relative_size"}
    if TEST_SIZE in replaced:
        replaced |= {"checkpoint", "trained_size", "size", "relative_size"}
    elif any(name.startswith(LABEL) for name in replaced):
        replaced |= {"checkpoint", "backbone", ARM}
    for other in cells:
        same = ("checkpoint" in replaced or other.checkpoint == cell.checkpoint) and all(
            other.fields.get(name) == cell.fields.get(name)
            for name in (*cell.fields, BUDGET)
            if name not in replaced
        )
        if same and is_selected(other, claim.relative_to):
            return other
    return None


def _differences(claim: Claim, cells: Sequence[ClaimCell]) -> list[str]:
    """Return what forbids to compare cells: fields of the protocol, of speeds also conditions."""
    facts: list[Mapping[str, Any]] = [cell.identity for cell in cells]
    if number_named(claim.metric).kind == "speed":
        facts = [{**cell.identity, **cell.conditions} for cell in cells]
    names = dict.fromkeys(name for each in facts for name in each if name not in _varied(claim))
    values = {name: dict.fromkeys(short_text(each.get(name)) for each in facts) for name in names}
    return [
        f"{name} ({' / '.join(values[name])})"
        for name in names
        if any(each.get(name) != facts[0].get(name) for each in facts)
    ]


def _varied(claim: Claim) -> frozenset[str]:
    """Return the fields of the protocol that a claim is about: its cells may differ in them."""
    selectors = (claim.treatment, claim.control, claim.relative_to or {})
    named = {name for selector in selectors for name in selector}
    found = frozenset({_CORRUPTION} & named)
    if "transform" in named or claim.trend in ("bits", "weights"):
        found |= OF_TRANSFORMS
    return found


def short_text(value: Any) -> str:
    """Return a value of a protocol, a hash or a long one by its beginning."""
    text = "not said" if value is None else str(value)
    return text if len(text) <= _SHORT else f"{text[:_BEGINNING]}…"


def _weights(
    claim: Claim, unit: Unit, references: Mapping[str, ClaimCell | None]
) -> dict[str, float]:
    """Return the weight of each cell in the effect of a seed."""
    total: dict[str, float] = {}
    for sign, side in zip((1.0, -1.0), unit, strict=True):
        shares = [1.0] * len(side) if claim.trend is None else _slope_weights(claim.trend, side)
        for cell, share in zip(side, shares, strict=True):
            total[cell.id] = total.get(cell.id, 0.0) + sign * share
            reference = references[cell.id]
            if reference is not None:
                total[reference.id] = total.get(reference.id, 0.0) - sign * share
    return total


def _slope_weights(trend: str, cells: Sequence[ClaimCell]) -> list[float]:
    """Return weights whose sum with the values is the least-squares slope per doubling."""
    sizes = [cell.sizes.get(trend) for cell in cells]
    logs = [math.log2(size) for size in sizes if size is not None and size > 0]
    if len(logs) != len(cells) or len(set(logs)) < 2:
        return []
    mean = sum(logs) / len(logs)
    spread = sum((value - mean) ** 2 for value in logs)
    return [(value - mean) / spread for value in logs]
