"""What differs between the trainings of a pair: the declared factor, or a conflict by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from trained_cells import CLAIM, RECIPE, replicates_of_cells, trained_cell, trained_cells

from posebench.judging.contrasts import contrast_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.pairs.trainings import flat_training
from posebench.judging.verdicts import judge

DECLARED = replace(CLAIM, factor="model.head")
EFFECTS = {"s": [0.03] * 3}


def changed(cells: list[ClaimCell], training: dict[str, Any], seed: str | None = None) -> Any:
    """Return the cells with other settings of the treatment, of one seed if it is given."""
    return [
        replace(cell, training={**cell.training, **training})
        if cell.fields["labels.arm"] == "simcc" and seed in (None, cell.seed)
        else cell
        for cell in cells
    ]


def test_the_declared_factor_may_differ() -> None:
    contrast = contrast_of(DECLARED, trained_cells(EFFECTS))
    assert (contrast.conflicts, contrast.pairs[0].undeclared) == ((), ())


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"optimisation.samples": 400_000}, "optimisation.samples (400000 / 200000)"),
        ({"data.level": "crowd"}, "data.level (crowd / standard)"),
        ({"initialise.checkpoint": "a.st"}, "initialise.checkpoint (a.st / not said)"),
        ({"augmentation.shift": 0.1}, "augmentation.shift (0.1 / not said)"),
        ({"model.backbone.options.depth": 50}, "model.backbone"),
        ({"seed": 77}, "seed (77 / 0, 1, 2)"),
    ],
)
def test_anything_else_is_a_conflict_that_is_named(training: dict[str, Any], said: str) -> None:
    cells = changed(trained_cells(EFFECTS), training)
    contrast = contrast_of(DECLARED, cells)
    assert contrast.pairs == ()
    assert contrast.conflicts == (f"people, s: trained with other {said}",)
    (verdict,) = judge([DECLARED], cells, {})
    assert verdict.verdict == "not comparable"


def test_names_of_a_recipe_and_the_flip_test_are_no_training() -> None:
    own = {"name": "x", "pair": "y", "evaluations": 3, "model.flip.test": True}
    assert contrast_of(DECLARED, changed(trained_cells(EFFECTS), own)).conflicts == ()


def test_each_seed_may_start_from_weights_of_its_own() -> None:
    """Arms that start from another arm's checkpoints, each seed from the one of its seed."""
    cells = [
        replace(cell, training={**cell.training, "initialise.checkpoint": f"base_s{cell.seed}.st"})
        for cell in trained_cells(EFFECTS)
    ]
    assert contrast_of(DECLARED, cells).conflicts == ()
    other = changed(cells, {"initialise.checkpoint": "simcc_s1.st"}, "1")
    (conflict,) = contrast_of(DECLARED, other).conflicts
    assert "initialise.checkpoint (base_s0.st, base_s2.st, simcc_s1.st / base_s0.st" in conflict
    declared = replace(DECLARED, factor=("model.head", "initialise"))
    assert contrast_of(declared, other).conflicts == ()


def test_the_seeds_of_an_arm_are_trained_alike() -> None:
    cells = changed(trained_cells(EFFECTS), {"model.head.deconv": 2}, "2")
    (conflict,) = contrast_of(DECLARED, cells).conflicts
    assert conflict == "people, s: trained with other model.head"


def test_a_trend_compares_the_sides_as_sets() -> None:
    claim = replace(DECLARED, trend="parameters", match_by=("dataset",))
    cells = [
        trained_cell(
            arm, seed, 0.5, pair, sizes={"parameters": size},
            training={**RECIPE, "model.backbone": pair, "model.head.kind": arm},
        )
        for arm in ("simcc", "heatmap")
        for seed in range(3)
        for pair, size in (("s", 1e6), ("m", 2e6))
    ]  # fmt: skip
    assert contrast_of(claim, cells).conflicts == ()
    (conflict,) = contrast_of(claim, [
        replace(cell, training={**cell.training, "model.backbone": "l"})
        if cell.id.startswith("simcc-m") else cell for cell in cells
    ]).conflicts  # fmt: skip
    assert conflict == "people: trained with other model.backbone (l, s / m, s)"


def test_without_a_declared_factor_the_differences_are_said() -> None:
    cells = trained_cells(EFFECTS)
    (verdict,) = judge([CLAIM], cells, replicates_of_cells(cells, 0.001))
    assert verdict.verdict == "supported"
    assert verdict.undeclared == ("model.head",)


def test_nothing_is_known_of_cells_without_a_recipe() -> None:
    cells = [replace(cell, training={}) for cell in trained_cells(EFFECTS)]
    assert contrast_of(DECLARED, cells).conflicts == ()


def test_a_recipe_is_flat_by_dotted_names() -> None:
    recipe = {"a": {"b": {"c": [1, 2]}, "d": None}, "e": 1}
    assert flat_training(recipe) == {"a.b.c": [1, 2], "a.d": None, "e": 1}
    assert flat_training(None) == {}
