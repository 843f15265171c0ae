"""Cells of trained arms that nothing computed: with seeds, a recipe, values and replicates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.judging.pairs.cells import ClaimCell
from posebench.suites.claims import Claim

IMAGES = 150
REPLICATES = 500
RECIPE = {"optimisation.samples": 200_000, "data.level": "standard", "model.head.kind": "heatmap"}
CLAIM = Claim(
    id="c",
    statement="SimCC is better.",
    treatment={"labels.arm": "simcc"},
    control={"labels.arm": "heatmap"},
    match_by=("dataset", "labels.pair"),
)


def trained_cell(
    arm: str, seed: int | None, value: float, pair: str = "s", **changes: Any
) -> ClaimCell:
    """Return a cell of an arm; `fields`, `training` and others replace what it would have."""
    own = {"labels.seed": str(seed)} if seed is not None else {}
    fields = {
        "checkpoint": f"{arm}-{pair}-{seed}",
        "paradigm": arm.partition("-")[0],
        "dataset": "people",
        "labels.arm": arm,
        "labels.pair": pair,
        **own,
        **changes.pop("fields", {}),
    }
    names = ("checkpoint", "dataset", "size", "labels.data", "labels.budget")
    given = {
        "sizes": {},
        "identity": {"images": IMAGES, "dataset": fields["dataset"]},
        "training": {**RECIPE, "seed": seed, "model.head.kind": arm.partition("-")[0]},
        **changes,
    }
    return ClaimCell(
        id="_".join(fields[name] for name in names if name in fields),
        checkpoint=fields["checkpoint"],
        fields=fields,
        values={"AP": value},
        **given,
    )


def trained_cells(effects: Mapping[str, list[float]], **changes: Any) -> list[ClaimCell]:
    """Return SimCC and heatmap cells, so far apart for each pair and seed."""
    return [
        trained_cell(
            arm, seed, 0.5 + seed / 100 + (effect if arm == "simcc" else 0), pair, **changes
        )
        for pair, by_seed in effects.items()
        for seed, effect in enumerate(by_seed)
        for arm in ("simcc", "heatmap")
    ]


def replicates_of_cells(
    cells: list[ClaimCell], noise: float, own: float = 0.0
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Return replicates of AP: noise of each arm that its seeds share, and their `own`."""
    found = {}
    for cell in cells:
        # A constant of the arm and data set, so that equal ones share their draws.
        key = sum(map(ord, cell.fields["labels.arm"] + cell.fields["dataset"]))
        shared = np.random.default_rng(key).standard_normal(REPLICATES)
        alone = np.random.default_rng(sum(map(ord, cell.id))).standard_normal(REPLICATES)
        found[cell.id, "AP"] = (cell.values["AP"] or 0) + noise * shared + own * alone
    return found
