"""The arithmetic of claims: which cells one compares, as a weighted sum of their values. No torch.

`suites.claims` holds what a user declares; `verdicts` makes a verdict of the sum.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from posebench.results.numbers import number_named
from posebench.suites.claims import Claim, Selector

# What a transform decides in the protocol.
OF_TRANSFORMS = frozenset({"transform", "calibration_crops"})
# A hash is told from another by its beginning.
_SHORT, _BEGINNING = 24, 12


@dataclass(frozen=True)
class ClaimCell:
    """What claims see of a result or of a published figure.

    `identity` says what must not differ between cells that are compared; `fields` are texts
    by `FIELDS` and `labels.*`; `conditions` must not differ either where speeds are compared;
    `sizes` are the numbers trends go over; `values` are numbers by
    the names of `NUMBERS`, None or absent where the cell has none.
    """

    id: str
    checkpoint: str
    fields: Mapping[str, str]
    sizes: Mapping[str, float | None]
    identity: Mapping[str, Any]
    values: Mapping[str, float | None]
    conditions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """One effect of a claim as a weighted sum: cell id to weight, and what the cells share.

    `treatment` and `control` are the ids of either side.
    """

    shares: str
    weights: Mapping[str, float]
    treatment: tuple[str, ...] = ()
    control: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contrast:
    """The pairs a claim rests on.

    `left_out` lists pairs that lack a value, and what they lack; `conflicts` fields of the
    protocol that differ between cells to be compared, with the values; where there are conflicts,
    nothing may be subtracted.
    """

    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def contrast_of(claim: Claim, cells: Sequence[ClaimCell]) -> Contrast:
    """Return the pairs of cells, with weights, that a claim's effect is made of."""
    within = [cell for cell in cells if is_selected(cell, claim.at)]
    treated = _grouped(claim, [cell for cell in within if is_selected(cell, claim.treatment)])
    controls = _grouped(claim, [cell for cell in within if is_selected(cell, claim.control)])
    pairs, left_out, conflicts = list[Pair](), list[str](), list[str]()
    for key in treated:
        if key not in controls:
            continue
        shares = ", ".join(key) or "all"
        sides = (treated[key], controls[key])
        crowded = [side for side in sides if claim.trend is None and len(side) > 1]
        if crowded:
            names = ", ".join(cell.id for cell in crowded[0])
            conflicts.append(f"{shares}: {names} are alike in all that match_by lists")
            continue
        references = [_reference(claim, cell, cells) for side in sides for cell in side]
        used = [*sides[0], *sides[1], *(cell for cell in references if cell is not None)]
        differing = _differences(claim, used)
        if differing:
            conflicts.append(f"{shares}: {', '.join(differing)}")
        elif lack := _lack(claim, sides, references):
            left_out.append(f"{shares}: {lack}")
        else:
            ids = [tuple(cell.id for cell in side) for side in sides]
            pairs.append(Pair(shares, _weights(claim, *sides, cells), *ids))
    return Contrast(tuple(pairs), tuple(left_out), tuple(conflicts))


def is_selected(cell: ClaimCell, selector: Selector) -> bool:
    """Tell whether a cell has the values that a selector asks for."""
    return all(
        cell.fields.get(name) in _texts(value if isinstance(value, tuple) else (value,))
        for name, value in selector.items()
    )


def _lack(
    claim: Claim,
    sides: tuple[Sequence[ClaimCell], Sequence[ClaimCell]],
    references: Sequence[ClaimCell | None],
) -> str | None:
    """Return why there is no effect between cells, None where there is one."""
    cells = [*sides[0], *sides[1]]
    if claim.relative_to is not None and None in references:
        alone = cells[references.index(None)]
        wanted = ", ".join(f"{name} {value}" for name, value in claim.relative_to.items())
        return f"{alone.id} has no cell of {wanted} to be relative to"
    known = [*cells, *(cell for cell in references if cell is not None)]
    without = [cell.id for cell in known if cell.values.get(claim.metric) is None]
    if without:
        return f"{', '.join(dict.fromkeys(without))} without {claim.metric}"
    if claim.trend is None:
        return None
    conventions = dict.fromkeys(cell.fields.get("gflops_convention", "not said") for cell in cells)
    if claim.trend == "gflops" and len(conventions) > 1:
        return f"their publishers count GFLOPs in different ways ({' / '.join(conventions)})"
    if not all(_slope_weights(claim.trend, side) for side in sides):
        return f"a trend over {claim.trend} needs two sizes of known {claim.trend} on either side"
    return None


def _texts(values: Sequence[str | bool]) -> set[str]:
    return {("yes" if value else "no") if isinstance(value, bool) else value for value in values}


def _grouped(claim: Claim, cells: Sequence[ClaimCell]) -> dict[tuple[str, ...], list[ClaimCell]]:
    """Return cells by their values of `match_by`; a cell that lacks one has no partner."""
    groups: dict[tuple[str, ...], list[ClaimCell]] = {}
    for cell in cells:
        if all(name in cell.fields for name in claim.match_by):
            key = tuple(cell.fields[name] for name in claim.match_by)
            groups.setdefault(key, []).append(cell)
    return groups


def _reference(claim: Claim, cell: ClaimCell, cells: Sequence[ClaimCell]) -> ClaimCell | None:
    """Return the cell of the same checkpoint that a cell is measured against."""
    if claim.relative_to is None:
        return None
    # A size may be given in either way, and either moves the other.
    replaced = {*claim.relative_to}
    if replaced & {"size", "relative_size"}:
        replaced |= {"size", "relative_size"}
    for other in cells:
        same = other.checkpoint == cell.checkpoint and all(
            other.fields.get(name) == value
            for name, value in cell.fields.items()
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
    named = any("transform" in selector for selector in selectors)
    return OF_TRANSFORMS if named or claim.trend in ("bits", "weights") else frozenset()


def short_text(value: Any) -> str:
    """Return a value of a protocol, a hash or a long one by its beginning."""
    text = "not said" if value is None else str(value)
    return text if len(text) <= _SHORT else f"{text[:_BEGINNING]}…"


def _weights(
    claim: Claim,
    treated: Sequence[ClaimCell],
    controls: Sequence[ClaimCell],
    cells: Sequence[ClaimCell],
) -> dict[str, float]:
    """Return the weight of each cell in the effect."""
    total: dict[str, float] = {}
    for sign, side in ((1.0, treated), (-1.0, controls)):
        shares = [1.0] if claim.trend is None else _slope_weights(claim.trend, side)
        for cell, share in zip(side, shares, strict=True):
            total[cell.id] = total.get(cell.id, 0.0) + sign * share
            reference = _reference(claim, cell, cells)
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
