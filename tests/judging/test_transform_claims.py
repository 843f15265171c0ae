"""Claims on transforms: subtracted where the claim is about them, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from small_store import result

from posebench.judging.claim_cells import claim_cell
from posebench.judging.contrasts import ClaimCell, contrast_of
from posebench.results.store import StoredCell
from posebench.suites.claims import Claim

BITS = {"none": None, "w8": None, "w4": None, "w2": None, "w4a8": 128, "prune-50": None}
MATCH = ("dataset", "boxes", "flip")


def cells(*transforms: str) -> list[ClaimCell]:
    found = []
    for paradigm, start in (("heatmap", 0.6), ("simcc", 0.5)):
        for place, text in enumerate(transforms):
            made = result(
                f"{paradigm}-s",
                start - 0.1 * place,
                transform=text,
                calibration_crops=BITS[text],
            )
            found.append(claim_cell(StoredCell(f"{paradigm}-{text}", made)))
    return found


def claim(**fields: Any) -> Claim:
    sides = {"treatment": {"paradigm": "simcc"}, "control": {"paradigm": "heatmap"}}
    return Claim("a", "b", **{**sides, "match_by": MATCH, **fields})


def test_cells_know_their_transform_bits_and_kept_share() -> None:
    found = cells("none", "w4a8", "prune-50")[:3]
    assert [cell.fields["transform"] for cell in found] == ["none", "w4a8", "prune-50"]
    assert [cell.sizes["bits"] for cell in found] == [32, 4, 32]
    assert [cell.sizes["weights"] for cell in found] == [1, 1, 0.5]


def test_rows_of_two_transforms_are_not_subtracted_unasked() -> None:
    asked = claim(treatment={"checkpoint": "simcc-s"}, control={"checkpoint": "heatmap-s"})
    one, other = cells("none")[0], cells("none", "w4")[3]
    contrast = contrast_of(asked, [one, other])
    assert contrast.pairs == ()
    assert contrast.conflicts == ("people, gt, yes: transform (w4 / none)",)
    calibrated = contrast_of(asked, [one, cells("none", "w4a8")[3]])
    assert "calibration_crops (128 / not said)" in calibrated.conflicts[0]


@pytest.mark.parametrize("text", ["w4", "w4a8"])
def test_a_claim_about_transforms_subtracts_them(text: str) -> None:
    asked = claim(
        treatment={"transform": text},
        control={"transform": "none"},
        match_by=(*MATCH, "checkpoint"),
    )
    contrast = contrast_of(asked, cells("none", text))
    assert contrast.conflicts == () and len(contrast.pairs) == 2
    assert dict(contrast.pairs[0].weights) == {f"heatmap-{text}": 1.0, "heatmap-none": -1.0}


def test_kept_ap_is_relative_to_the_same_network_without_a_transform() -> None:
    asked = claim(at={"transform": "w4a8"}, relative_to={"transform": "none"})
    (pair,) = contrast_of(asked, cells("none", "w4a8")).pairs
    assert dict(pair.weights) == {
        "simcc-w4a8": 1.0, "simcc-none": -1.0, "heatmap-w4a8": -1.0, "heatmap-none": 1.0,
    }  # fmt: skip


def test_the_trend_over_bits_is_per_doubling() -> None:
    asked = claim(at={"transform": ("w8", "w4", "w2")}, trend="bits")
    found = cells("w8", "w4", "w2")
    (pair,) = contrast_of(asked, found).pairs
    values = {cell.id: cell.values["AP"] for cell in found}
    assert all(value is not None for value in values.values())
    slopes = {
        side: sum(
            weight * float(values[name] or 0)
            for name, weight in pair.weights.items()
            if name.startswith(side)
        )
        for side in ("heatmap", "simcc")
    }
    # AP falls by 0.1 with each halving on both sides.
    assert slopes == {"heatmap": pytest.approx(-0.1), "simcc": pytest.approx(0.1)}


def test_other_fields_of_the_protocol_still_forbid_it() -> None:
    one, other = cells("none", "w4")[:2]
    other = replace(other, identity={**other.identity, "nms": "soft"})
    asked = claim(treatment={"transform": "w4"}, control={"transform": "none"})
    assert "nms" in contrast_of(asked, [one, other]).conflicts[0]
