"""Which fields pairs share where a claim lists none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from posebench.judging.contrasts import contrast_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.suites.claims import Claim

CLAIM = Claim(
    id="c", statement="B is better.", treatment={"checkpoint": "B"}, control={"checkpoint": "A"}
)


def cell(checkpoint: str, **fields: str) -> ClaimCell:
    usual = {
        "dataset": "people", "boxes": "gt", "size": "64x48", "relative_size": "1x",
        "policy": "native", "flip": "yes", "decoder": "argmax", "own_decoder": "yes",
        "engine": "torch", "precision": "fp32",
    }  # fmt: skip
    texts = {"checkpoint": checkpoint, **usual, **fields}
    compared = {name: texts[name] for name in ("dataset", "boxes", "flip", "precision")}
    return ClaimCell(
        id="_".join((checkpoint, *fields.values())),
        checkpoint=checkpoint,
        fields=texts,
        sizes={},
        identity=compared,
        values={"AP": 0.5},
    )


def shared(cells: list[ClaimCell], **changes: Any) -> list[str]:
    contrast = contrast_of(replace(CLAIM, **changes), cells)
    assert contrast.conflicts == ()
    return [pair.shares for pair in contrast.pairs]


def grid(name: str, *values: str, **more: str) -> list[ClaimCell]:
    return [cell(each, **{name: value}, **more) for each in "AB" for value in values]


def test_two_checkpoints_at_one_place_are_one_pair() -> None:
    assert shared(grid("boxes", "gt")) == ["all"]


def test_pairs_share_every_axis_that_varies() -> None:
    for name, one, other in (
        ("dataset", "people", "crowd"), ("boxes", "gt", "det"), ("size", "64x48", "96x80"),
        ("policy", "native", "pool"), ("flip", "yes", "no"), ("engine", "torch", "openvino"),
        ("precision", "fp32", "bf16"),
    ):  # fmt: skip
        assert shared(grid(name, one, other)) == [one, other]


def test_checkpoints_of_other_sizes_are_paired_at_their_own() -> None:
    cells = [cell("A", size="64x48"), cell("B", size="128x96")]
    assert shared(cells) == ["all"]
    both = [*cells, cell("A", size="32x24", relative_size="0.5x")]
    both.append(cell("B", size="64x44", relative_size="0.5x"))
    assert shared(both) == ["1x", "0.5x"]


def test_a_cell_at_its_trained_size_stands_for_every_policy() -> None:
    cells = [cell("A", size="64x48"), cell("A", size="96x80", relative_size="", policy="pool")]
    away = {"size": "64x48", "relative_size": "0.5x"}
    cells += [cell("B", policy=policy, **away) for policy in ("native", "pool")]
    assert shared(cells) == ["64x48, native", "64x48, pool"]
    listed = shared(cells, match_by=("size", "policy"))
    assert listed == ["64x48, native"]


def test_own_decoders_are_paired_and_named_ones_by_name() -> None:
    own = [cell("A", decoder="dark"), cell("B")]
    assert shared(own) == ["all"]
    more = [*own, cell("A", own_decoder="no"), cell("B", decoder="dark", own_decoder="no")]
    assert shared(more) == ["yes", "no"]
    several = [*more, *(cell(name, decoder="udp", own_decoder="no") for name in "AB")]
    assert sorted(shared(several)) == ["argmax", "dark", "udp"]


def test_an_exported_file_in_its_own_engine_is_compared() -> None:
    assert shared([cell("A"), cell("B", engine="onnxruntime")]) == ["all"]


def test_a_protocol_that_no_pair_shares_is_told() -> None:
    contrast = contrast_of(CLAIM, [cell("A", flip="yes"), cell("B", flip="no")])
    assert contrast.conflicts == ("all: flip (no / yes)",)


def test_what_a_claim_fixes_is_not_shared() -> None:
    cells = [cell("A", policy="native"), cell("A", policy="pool")]
    by_policy = {"treatment": {"policy": "pool"}, "control": {"policy": "native"}}
    assert shared(cells, **by_policy) == ["all"]


def test_pairs_of_a_suite_share_their_label() -> None:
    cells = [
        replace(made, fields={**made.fields, "labels.pair": pair, "paradigm": paradigm})
        for pair in "sm"
        for paradigm in ("heatmap", "simcc")
        for made in [cell(f"{paradigm}-{pair}")]
    ]
    contrasted = {"treatment": {"paradigm": "simcc"}, "control": {"paradigm": "heatmap"}}
    assert shared(cells, **contrasted) == ["s", "m"]
    assert shared(cells, treatment={"checkpoint": "simcc-s"}, control={"checkpoint": "heatmap-m"})


def test_a_trend_over_sizes_does_not_pair_them() -> None:
    sizes = {"64x48": 3072.0, "128x96": 12288.0}
    cells = [replace(made, sizes={"pixels": sizes[made.fields["size"]]}) for made in
             grid("size", *sizes)]  # fmt: skip
    assert shared(cells, trend="pixels") == ["all"]
