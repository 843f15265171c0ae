"""Claims: which cells are contrasted, with which weights, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.errors import SpecError
from posebench.judging.contrasts import contrast_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.suites.claims import Claim, find_claims, load_claims, shipped_claims
from posebench.suites.collection import files_of
from posebench.suites.shipped import shipped_suites
from posebench.suites.suite import load_suite

CLAIM = Claim(
    id="c",
    statement="SimCC is better.",
    treatment={"paradigm": "simcc"},
    control={"paradigm": "heatmap"},
    match_by=("size", "labels.pair"),
)


def cell(checkpoint: str, *, size: str = "1x", ap: float | None = 0.5, **changes: Any) -> ClaimCell:
    paradigm, _, pair = checkpoint.partition("-")
    fields = {
        "checkpoint": checkpoint,
        "paradigm": paradigm,
        "labels.pair": pair,
        "size": size,
        "relative_size": size,
        "policy": "native",
        **changes.pop("fields", {}),
    }
    plain = ClaimCell(
        id=f"{checkpoint}_{size}",
        checkpoint=checkpoint,
        fields=fields,
        sizes={"parameters": {"s": 1e6, "m": 2e6, "l": 8e6}.get(pair)},
        identity={"boxes": "gt", "images": 10},
        values={"AP": ap, "runs": 0.0 if ap is None else 1.0},
    )
    return replace(plain, **changes)


def test_pairs_share_what_match_by_lists() -> None:
    cells = [cell("simcc-s"), cell("heatmap-s"), cell("simcc-m"), cell("heatmap-l")]
    contrast = contrast_of(CLAIM, cells)
    assert [pair.weights for pair in contrast.pairs] == [{"simcc-s_1x": 1, "heatmap-s_1x": -1}]
    assert contrast.conflicts == contrast.left_out == ()


def test_relative_to_takes_the_change_of_the_same_checkpoint() -> None:
    cells = [cell(name, size=size) for name in ("simcc-s", "heatmap-s") for size in ("1x", "2x")]
    claim = replace(CLAIM, at={"relative_size": "2x"}, relative_to={"relative_size": "1x"})
    (pair,) = contrast_of(claim, cells).pairs
    assert pair.weights == {
        "simcc-s_2x": 1, "simcc-s_1x": -1, "heatmap-s_2x": -1, "heatmap-s_1x": 1,
    }  # fmt: skip


def test_relative_to_another_test_size_takes_the_same_training() -> None:
    cells = [
        cell(
            f"{paradigm}-s", id=f"{paradigm}{seed}@{size}", size=size,
            fields={"checkpoint": f"{paradigm}{seed}@{size}", "trained_size": size,
                    "relative_size": "1x", "labels.arm": paradigm, "labels.seed": seed,
                    "labels.test_size": size},
        )
        for paradigm in ("simcc", "heatmap") for seed in "01" for size in ("1x", "2x")
    ]  # fmt: skip
    claim = replace(
        CLAIM,
        match_by=("labels.pair",),
        at={"labels.test_size": "2x"},
        relative_to={"labels.test_size": "1x"},
    )
    (pair,) = contrast_of(claim, cells).pairs
    assert pair.strata[0]["1"] == {
        "simcc1@2x": 1, "simcc1@1x": -1, "heatmap1@2x": -1, "heatmap1@1x": 1,
    }  # fmt: skip


def test_relative_to_another_label_takes_the_arm_that_has_it_with_the_same_seed() -> None:
    cells = [
        cell(
            f"{paradigm}-s", id=f"{paradigm}-{channels}_s{seed}{budget}",
            fields={"checkpoint": f"{paradigm}-{channels}_s{seed}{budget}", "labels.seed": seed,
                    "labels.arm": f"{paradigm}-{channels}", "labels.channels": channels,
                    "backbone": f"of {channels}",
                    **({"labels.budget": budget} if budget else {})},
        )
        for budget in ("2x", "") for paradigm in ("simcc", "heatmap")
        for seed in "01" for channels in ("4", "32")
    ]  # fmt: skip
    claim = replace(
        CLAIM,
        match_by=("labels.pair",),
        at={"labels.channels": "4"},
        relative_to={"labels.channels": "32"},
    )
    (pair,) = contrast_of(claim, cells).pairs
    assert pair.strata[0]["1"] == {
        "simcc-4_s1": 1, "simcc-32_s1": -1, "heatmap-4_s1": -1, "heatmap-32_s1": 1,
    }  # fmt: skip


def test_a_trend_is_the_least_squares_slope_per_doubling() -> None:
    values = {"s": 0.1, "m": 0.35, "l": 0.4}
    cells = [cell(f"simcc-{pair}", ap=ap) for pair, ap in values.items()]
    cells += [cell(f"heatmap-{pair}", ap=0.0) for pair in values]
    claim = replace(CLAIM, trend="parameters", match_by=("size",))
    (pair,) = contrast_of(claim, cells).pairs
    slope = sum(pair.weights[f"simcc-{name}_1x"] * ap for name, ap in values.items())
    assert slope == pytest.approx(np.polyfit([0, 1, 3], list(values.values()), 1)[0], abs=1e-12)


def test_a_trend_over_flops_keeps_conventions_apart() -> None:
    claim = replace(CLAIM, trend="gflops", match_by=("size",))

    def cells(*conventions: str) -> list[ClaimCell]:
        return [
            cell(f"{paradigm}-{pair}", sizes={"gflops": flops}, fields={"gflops_convention": said})
            for paradigm in ("simcc", "heatmap")
            for (pair, flops), said in zip({"s": 1.0, "m": 4.0}.items(), conventions, strict=True)
        ]

    assert len(contrast_of(claim, cells("hrnet", "hrnet")).pairs) == 1
    mixed = contrast_of(claim, cells("hrnet", "mmpose"))
    said = "1x: their publishers count GFLOPs in different ways (hrnet / mmpose)"
    assert (mixed.pairs, mixed.left_out) == ((), (said,))


def test_a_trend_needs_two_sizes() -> None:
    claim = replace(CLAIM, trend="parameters", match_by=("size",))
    contrast = contrast_of(claim, [cell("simcc-s"), cell("heatmap-s"), cell("heatmap-m")])
    assert (contrast.pairs, contrast.left_out) == (
        (),
        ("1x: a trend over parameters needs two sizes of known parameters on either side",),
    )


def test_a_pair_without_value_is_left_out() -> None:
    contrast = contrast_of(CLAIM, [cell("simcc-s", ap=None), cell("heatmap-s")])
    assert (contrast.pairs, contrast.left_out) == ((), ("1x, s: simcc-s_1x without AP",))


def test_whether_a_cell_runs_is_a_value() -> None:
    contrast = contrast_of(
        replace(CLAIM, metric="runs"), [cell("simcc-s", ap=None), cell("heatmap-s")]
    )
    assert len(contrast.pairs) == 1


def test_a_failed_cell_does_not_count_as_not_running() -> None:
    failed = cell("simcc-s", values={"AP": None, "runs": None})
    contrast = contrast_of(replace(CLAIM, metric="runs"), [failed, cell("heatmap-s")])
    assert contrast.left_out == ("1x, s: simcc-s_1x without runs",)


def test_other_protocols_are_never_subtracted() -> None:
    other = cell("heatmap-s", identity={"boxes": "detector", "images": 10})
    contrast = contrast_of(CLAIM, [cell("simcc-s"), other])
    assert (contrast.pairs, contrast.conflicts) == ((), ("1x, s: boxes (gt / detector)",))


def test_cells_that_cannot_be_told_apart_are_a_conflict() -> None:
    cells = [cell("simcc-s"), cell("simcc-s", id="again"), cell("heatmap-s")]
    assert "alike in all that match_by lists" in contrast_of(CLAIM, cells).conflicts[0]
    other = cell("simcc-s", id="again")
    other = replace(other, fields={**other.fields, "engine": "openvino"})
    cells = [replace(cells[0], fields={**cells[0].fields, "engine": "torch"}), other, cells[2]]
    told = contrast_of(CLAIM, cells).conflicts[0]
    assert told.endswith("; they differ in engine, which match_by may list")


def test_a_cell_without_the_label_has_no_partner() -> None:
    cells = [cell("simcc-s"), cell("heatmap-s")]
    without = [replace(each, fields={**each.fields}) for each in cells]
    for each in without:
        del each.fields["labels.pair"]  # type: ignore[attr-defined]
    assert contrast_of(CLAIM, without).pairs == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("treatment: {paradigma: simcc}", "line 5: there is no field 'paradigma'"),
        ("treatment: {paradigm: heatmap}", "line 6: treatment and control select the same"),
        ("treatment: {paradigm: simcc}\n    margn: 1", "unknown key 'claims.0.margn'"),
        ("treatment: {paradigm: simcc}\n    margin: -1", "margin must be above 0"),
        ("treatment: {paradigm: simcc}\n    direction: within", "margin must be above 0"),
        ("treatment: {paradigm: simcc}\n    match_by: [sise]", "Did you mean 'size'"),
        ("treatment: {paradigm: simcc}\n    scope: everything", "scope"),
        (
            "treatment: {paradigm: simcc}\n    scope: paradigm\n    evidence: published",
            "published figures have no scope: nothing is resampled",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(
        f"claims:\n  - id: c\n    statement: s\n    metric: AP\n    {text}\n"
        "    control: {paradigm: heatmap}\n",
        encoding="utf-8",
    )
    with pytest.raises(SpecError) as caught:
        load_claims(path)
    assert said in str(caught.value)


def test_shipped_claims_fit_and_suites_name_no_others() -> None:
    claims = shipped_claims()
    assert {name.partition("-")[0] for name in claims} >= {"C1", "C2", "C3", "C4"}
    for path in shipped_suites().values():
        for own in files_of(path):
            assert set(load_suite(own).claims) <= set(claims)


def test_claims_without_a_factor_get_that_of_their_suite(tmp_path: Path) -> None:
    (own,) = find_claims(["D1-dark"], tmp_path, "model.head")
    assert own.factor == "model.head"
    (declared,) = find_claims(["C4-capacity"], tmp_path, "optimisation")
    assert declared.factor == ("model.head", "model.codec")
