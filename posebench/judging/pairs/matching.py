"""Which fields the cells of a pair share: those a claim lists, or all of the grid. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posebench.judging.pairs.cells import DATA, SEED, ClaimCell, by_partner, by_seed
from posebench.suites.claims import LABEL, Claim

# Axes of a grid. Where treatment and control share no value of one of the first, that is told as a
# difference of their protocols.
_PROTOCOL = ("dataset", "split", "boxes", "flip", "engine", "precision", "transform", "corruption")
_SIZE, _RELATIVE_SIZE, _POLICY = "size", "relative_size", "policy"
_TRAINED = "1x"
_DECODER, _OWN_DECODER = "decoder", "own_decoder"
_PAIR = f"{LABEL}pair"
Cells = Sequence[ClaimCell]


def pairing_fields(claim: Claim, treated: Cells, controls: Cells) -> tuple[str, ...]:
    """Return the fields that the cells of a pair share.

    They are those of `match_by`; without it, all axes of the grid that treatment and control do
    not fix and that vary. The seed is none of them, because seeds are resampled. What cells were
    trained on is one where all of them say it and the claim does not contrast it.
    """
    listed = claim.match_by
    named = _varying_axes(claim, treated, controls) if listed is None else list(listed)
    names = [name for name in named if name != SEED]
    contrasted = DATA in claim.treatment or DATA in claim.control
    labelled = all(DATA in cell.fields for cell in (*treated, *controls))
    if DATA not in names and not contrasted and labelled:
        names.append(DATA)
    return tuple(names)


@dataclass(frozen=True)
class Matched:
    """The cells of treatment and control that share the values `key` of the pairing fields."""

    key: tuple[str, ...]
    treated: Cells
    controls: Cells


def matched(claim: Claim, treated: Cells, controls: Cells) -> list[Matched]:
    """Return which cells of treatment and control are paired, by what they share.

    Where a claim lists no fields, a cell at its trained size stands for every resize policy: they
    are the same there.
    """
    names = pairing_fields(claim, treated, controls)
    one, other = by_partner(names, treated), by_partner(names, controls)
    if claim.match_by is None and _POLICY in names:
        index = names.index(_POLICY)
        one, other = _under_policies(one, other, index), _under_policies(other, one, index)
    return [Matched(key, group, other[key]) for key, group in one.items() if key in other]


Groups = dict[tuple[str, ...], list[ClaimCell]]


def _under_policies(groups: Groups, others: Groups, index: int) -> Groups:
    """Return groups with those of trained sizes also under the policies that others have there."""
    found = {key: list(group) for key, group in groups.items()}
    for key, group in groups.items():
        at_home = [cell for cell in group if cell.fields.get(_RELATIVE_SIZE) == _TRAINED]
        for wanted in others if at_home else ():
            alike = (*key[:index], wanted[index], *key[index + 1 :]) == wanted
            if alike and wanted not in found:
                found[wanted] = at_home
    return found


def _varying_axes(claim: Claim, treated: Cells, controls: Cells) -> list[str]:
    """Return the axes to pair by; those that belong to a checkpoint are no axes.

    Sizes are paired as they are, or else as factors of the trained size, where each checkpoint was
    evaluated at its own.
    """
    fixed = {*claim.treatment, *claim.control}
    names = [name for name in _PROTOCOL if _shared(name, treated, controls)]
    at_size = _SIZE
    if not _shared(_SIZE, treated, controls) and _shared(_RELATIVE_SIZE, treated, controls):
        at_size = _RELATIVE_SIZE
    names += [at_size, _POLICY]
    if "checkpoint" not in fixed and claim.trend is None and _shared(_PAIR, treated, controls):
        names.append(_PAIR)
    if claim.trend in ("bits", "weights"):
        fixed.add("transform")
    if {_SIZE, _RELATIVE_SIZE} & fixed or claim.trend == "pixels":
        fixed |= {_SIZE, _RELATIVE_SIZE}
    names = [name for name in names if name not in fixed and _varies(name, treated, controls)]
    if _DECODER in fixed or _OWN_DECODER in fixed:
        return names
    if claim.trend is not None:
        return [*names, *([_OWN_DECODER] if _varies(_OWN_DECODER, treated, controls) else [])]
    return [*names, *_decoder(names, treated, controls)]


def _decoder(names: list[str], treated: Cells, controls: Cells) -> list[str]:
    """Return what pairs decoders: whether they are a checkpoint's own, unless that leaves several.

    It is nothing where each cell is told from the others without.
    """
    for found in ([], [_OWN_DECODER], [_DECODER]):
        groups = [
            group
            for side in (treated, controls)
            for partners in by_partner([*names, *found], side).values()
            for group in by_seed(partners).values()
        ]
        if groups and all(len(group) == 1 for group in groups):
            return found
    return []


def _values(name: str, cells: Cells) -> set[str]:
    return {cell.fields[name] for cell in cells if name in cell.fields}


def _shared(name: str, treated: Cells, controls: Cells) -> bool:
    return bool(_values(name, treated) & _values(name, controls))


def _varies(name: str, treated: Cells, controls: Cells) -> bool:
    """Tell whether a field says more than one thing, or nothing of some cells."""
    return len({cell.fields.get(name) for cell in (*treated, *controls)}) > 1
