"""Claims: hypotheses as declared contrasts between cells, never expressions. No torch.

A claim compares treatment cells with control cells that share what `match_by` lists. Its effect
is a weighted sum of the cells' values, so that bootstrap replicates of the cells give its interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from posebench.errors import SpecError, nearest
from posebench.records import Place
from posebench.yaml_records import YamlFile, record_from_yaml

Selector = Mapping[str, str | bool | tuple[str | bool, ...]]
"""Field of a cell to the value, or the values, that it may have."""

FIELDS = (
    "checkpoint", "paradigm", "backbone", "trained_size", "dataset", "boxes", "size",
    "relative_size", "policy", "flip", "decoder", "own_decoder", "engine", "precision", "publisher",
    "train_set", "family", "split",
)  # fmt: skip
LABEL = "labels."
RUNS = "runs"


@dataclass(frozen=True)
class Claim:
    """A hypothesis, what would show it, and what it takes to believe it.

    `metric` is an evaluator's number such as `AP`, a fraction 0-1, or `runs` (1 where a cell can
    run, 0 where it is unsupported). The effect is treatment minus control, averaged over the
    pairs that `match_by` makes. With `relative_to` each cell counts as its change from the cell
    of the same checkpoint that has these fields instead. With `trend` the effect is the
    difference of slopes over log2 of that field, per doubling. It is supported by an effect
    `greater` than `margin`, `less` than minus `margin`, or `within` the margin to either side.
    `evidence` `published` is judged on published figures. Only numbers of a match table can be
    resampled: a claim on another one, such as PCK, has no interval and stays inconclusive.
    """

    id: str
    statement: str
    treatment: Selector
    control: Selector
    metric: str = "AP"
    at: Selector = field(default_factory=dict)
    relative_to: Selector | None = None
    match_by: tuple[str, ...] = ("dataset", "boxes", "flip", "size", "policy", "labels.pair")
    trend: Literal["parameters", "gflops", "pixels"] | None = None
    direction: Literal["greater", "less", "within"] = "greater"
    margin: float = 0.0
    evidence: Literal["measured", "published"] = "measured"
    source: str = ""
    caveat: str = ""


@dataclass(frozen=True)
class ClaimFile:
    """A YAML file of claims."""

    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Cell:
    """What claims see of a result or of a published figure.

    `identity` says what must not differ between cells that are compared; `fields` are texts
    by `FIELDS` and `labels.*`; `sizes` are the numbers trends go over; `status` is `ok` where
    `values` (metric to fraction) can be used.
    """

    id: str
    checkpoint: str
    fields: Mapping[str, str]
    sizes: Mapping[str, float | None]
    identity: Mapping[str, Any]
    status: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Pair:
    """One effect of a claim as a weighted sum: cell id to weight, and what the cells share."""

    shares: str
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Contrast:
    """The pairs a claim rests on.

    `left_out` lists pairs that lack a value, `conflicts` fields of the protocol that differ
    between cells to be compared; where there are conflicts, nothing may be subtracted.
    """

    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


def load_claims(path: Path) -> tuple[Claim, ...]:
    """Read a YAML file of claims; raise `SpecError` with the line of what does not fit."""
    record, file = record_from_yaml(ClaimFile, path)
    for index, claim in enumerate(record.claims):
        _check(claim, ("claims", index), file)
    ids = [claim.id for claim in record.claims]
    for index, name in enumerate(ids):
        if name in ids[:index]:
            raise file.misfit(("claims", index, "id"), f"the claim {name!r} comes twice.")
    return record.claims


def shipped_claims() -> dict[str, Claim]:
    """Return the claims that come with posebench, by id."""
    from posebench.suite import shipped_folder

    folder = shipped_folder() / "claims"
    return {
        claim.id: claim for file in sorted(folder.glob("*.yaml")) for claim in load_claims(file)
    }


def find_claims(names: Sequence[str], folder: Path) -> tuple[Claim, ...]:
    """Return the claims that a suite names: ids of shipped ones, or YAML files in `folder`."""
    shipped, found = shipped_claims(), list[Claim]()
    for name in names:
        if name in shipped:
            found.append(shipped[name])
        elif name.endswith((".yaml", ".yml")):
            found.extend(load_claims(folder / name))
        else:
            raise SpecError(f"There is no claim {name!r}.", hint=nearest(name, shipped))
    return tuple(found)


def contrast_of(claim: Claim, cells: Sequence[Cell]) -> Contrast:
    """Return the pairs of cells, with weights, that a claim's effect is made of."""
    within = [cell for cell in cells if _selected(cell, claim.at)]
    treated = _grouped(claim, [cell for cell in within if _selected(cell, claim.treatment)])
    controls = _grouped(claim, [cell for cell in within if _selected(cell, claim.control)])
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
        differing = _differences(used)
        if differing:
            conflicts.append(f"{shares}: {', '.join(differing)}")
        elif any(_value(claim, cell) is None for cell in used) or (
            claim.relative_to is not None and None in references
        ):
            left_out.append(shares)
        else:
            weights = _weights(claim, *sides, cells)
            pairs.extend([Pair(shares, weights)] if weights else [])
            left_out.extend([] if weights else [shares])
    return Contrast(tuple(pairs), tuple(left_out), tuple(conflicts))


def cell_value(claim: Claim, cell: Cell) -> float:
    """Return a cell's value of the claim's metric; it must have one."""
    value = _value(claim, cell)
    assert value is not None
    return value


def _value(claim: Claim, cell: Cell) -> float | None:
    if claim.metric == RUNS:
        return {"ok": 1.0, "unsupported": 0.0}.get(cell.status)
    return cell.values.get(claim.metric) if cell.status == "ok" else None


def _selected(cell: Cell, selector: Selector) -> bool:
    return all(
        cell.fields.get(name) in _texts(value if isinstance(value, tuple) else (value,))
        for name, value in selector.items()
    )


def _texts(values: Sequence[str | bool]) -> set[str]:
    return {("yes" if value else "no") if isinstance(value, bool) else value for value in values}


def _grouped(claim: Claim, cells: Sequence[Cell]) -> dict[tuple[str, ...], list[Cell]]:
    """Return cells by their values of `match_by`; a cell that lacks one has no partner."""
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        if all(name in cell.fields for name in claim.match_by):
            key = tuple(cell.fields[name] for name in claim.match_by)
            groups.setdefault(key, []).append(cell)
    return groups


def _reference(claim: Claim, cell: Cell, cells: Sequence[Cell]) -> Cell | None:
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
        if same and _selected(other, claim.relative_to):
            return other
    return None


def _differences(cells: Sequence[Cell]) -> list[str]:
    """Return the fields of the protocol in which cells differ that are to be compared."""
    names = dict.fromkeys(name for cell in cells for name in cell.identity)
    return [
        name
        for name in names
        if any(cell.identity.get(name) != cells[0].identity.get(name) for cell in cells)
    ]


def _weights(
    claim: Claim, treated: Sequence[Cell], controls: Sequence[Cell], cells: Sequence[Cell]
) -> dict[str, float]:
    """Return the weight of each cell in the effect; empty where a trend has too few sizes."""
    total: dict[str, float] = {}
    for sign, side in ((1.0, treated), (-1.0, controls)):
        shares = [1.0] if claim.trend is None else _slope_weights(claim.trend, side)
        if not shares:
            return {}
        for cell, share in zip(side, shares, strict=True):
            total[cell.id] = total.get(cell.id, 0.0) + sign * share
            reference = _reference(claim, cell, cells)
            if reference is not None:
                total[reference.id] = total.get(reference.id, 0.0) - sign * share
    return total


def _slope_weights(trend: str, cells: Sequence[Cell]) -> list[float]:
    """Return weights whose sum with the values is the least-squares slope per doubling."""
    sizes = [cell.sizes.get(trend) for cell in cells]
    logs = [math.log2(size) for size in sizes if size is not None and size > 0]
    if len(logs) != len(cells) or len(set(logs)) < 2:
        return []
    mean = sum(logs) / len(logs)
    spread = sum((value - mean) ** 2 for value in logs)
    return [(value - mean) / spread for value in logs]


def _check(claim: Claim, place: Place, file: YamlFile) -> None:
    """Raise `SpecError` for fields that no cell has."""
    selectors = {"treatment": claim.treatment, "control": claim.control, "at": claim.at}
    if claim.relative_to is not None:
        selectors["relative_to"] = claim.relative_to
    named = [(part, name) for part, selector in selectors.items() for name in selector]
    named += [("match_by", name) for name in claim.match_by]
    for part, name in named:
        if name not in FIELDS and not name.startswith(LABEL):
            raise file.misfit(
                (*place, part, name), f"there is no field {name!r}.", nearest(name, FIELDS)
            )
    if claim.treatment == claim.control:
        raise file.misfit((*place, "control"), "treatment and control select the same cells.")
    if claim.margin < 0 or (claim.margin == 0 and claim.direction == "within"):
        raise file.misfit((*place, "margin"), "margin must be above 0, or 0 for a direction.")
