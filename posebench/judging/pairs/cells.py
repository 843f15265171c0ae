"""Cells as claims see them, and the values by which they find their partners. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from posebench.suites import trained
from posebench.suites.claims import LABEL, Claim, Selector

SEED, ARM, DATA, BUDGET, TEST_SIZE = (
    f"{LABEL}{name}"
    for name in (trained.SEED, trained.ARM, trained.DATA, trained.BUDGET, trained.TEST_SIZE)
)
"""Labels of a trained checkpoint: its seed, arm, training data and budget, and the input size, as a
factor, that its BatchNorm was estimated at."""
USUAL_BUDGET = "1x"


@dataclass(frozen=True)
class ClaimCell:
    """What claims see of a result or of a published figure.

    `identity` says what must not differ between cells that are compared; `fields` are texts
    by `FIELDS` and `labels.*`; `conditions` must not differ either where speeds are compared;
    `sizes` are the numbers trends go over; `values` are numbers by
    the names of `NUMBERS`, None or absent where the cell has none. `training` is the recipe by
    dotted names, such as `optimisation.samples`, empty where it is not known. `units` counts what
    is resampled in place of images, such as left/right pairs of keypoints. `lost` is the status of
    a cell that should have numbers and has none: failed or skipped.
    """

    id: str
    checkpoint: str
    fields: Mapping[str, str]
    sizes: Mapping[str, float | None]
    identity: Mapping[str, Any]
    values: Mapping[str, float | None]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    units: int | None = None
    lost: str | None = None

    @property
    def seed(self) -> str:
        """The label of the training's seed, `""` without one."""
        return self.fields.get(SEED, "")


def is_selected(cell: ClaimCell, selector: Selector) -> bool:
    """Tell whether a cell has the values that a selector asks for."""
    return all(
        cell.fields.get(name) in _texts(value if isinstance(value, tuple) else (value,))
        for name, value in selector.items()
    )


def _texts(values: Sequence[str | bool]) -> set[str]:
    return {("yes" if value else "no") if isinstance(value, bool) else value for value in values}


def has_judged_budget(claim: Claim, cell: ClaimCell) -> bool:
    """Tell whether a cell was trained for the usual budget, or for one that the claim names.

    Cells of another budget tell how far the usual one is from the plateau.
    """
    named = {*claim.at, *claim.treatment, *claim.control, *(claim.match_by or ())}
    return BUDGET in named or cell.fields.get(BUDGET, USUAL_BUDGET) == USUAL_BUDGET


def pairing_text(cell: ClaimCell, name: str) -> str | None:
    """Return the value by which a cell is paired, None where it has none.

    The checkpoints of an arm are one, whatever their seed: their other labels are the value.
    """
    if name == "checkpoint" and SEED in cell.fields and ARM in cell.fields:
        labels = [label for label in cell.fields if label.startswith(LABEL) and label != SEED]
        return ", ".join(cell.fields[label] for label in labels)
    return cell.fields.get(name)


def by_partner(
    names: Sequence[str], cells: Sequence[ClaimCell]
) -> dict[tuple[str, ...], list[ClaimCell]]:
    """Return cells by their values of these fields; a cell that lacks one has no partner."""
    groups: dict[tuple[str, ...], list[ClaimCell]] = {}
    for cell in cells:
        texts = [pairing_text(cell, name) for name in names]
        key = tuple(text for text in texts if text is not None)
        if len(key) == len(names):
            groups.setdefault(key, []).append(cell)
    return groups


BySeed = Mapping[str, Sequence[ClaimCell]]
"""The cells of one side of a pair, by seed."""


def by_seed(cells: Sequence[ClaimCell]) -> BySeed:
    """Return cells by the seed of their training."""
    groups: dict[str, list[ClaimCell]] = {}
    for cell in cells:
        groups.setdefault(cell.seed, []).append(cell)
    return groups
