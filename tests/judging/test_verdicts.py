"""Verdicts: the truth table on constructed data, and how often they are wrong under the null."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.published import published_cells
from posebench.judging.verdicts import judge
from posebench.reporting.tables.verdict_table import evidence_text
from posebench.suites.claims import Claim

CLAIM = Claim(
    id="c",
    statement="SimCC is better.",
    treatment={"paradigm": "simcc"},
    control={"paradigm": "heatmap"},
    match_by=("labels.pair",),
)


def cells_with(effects: dict[str, float], **changes: Any) -> list[ClaimCell]:
    """Return a SimCC and a heatmap cell of each pair, this far apart."""
    return [
        ClaimCell(
            id=f"{paradigm}-{pair}",
            checkpoint=f"{paradigm}-{pair}",
            fields={"paradigm": paradigm, "labels.pair": pair, "dataset": "d"},
            sizes={},
            identity={"images": 50, **(changes if paradigm == "simcc" else {})},
            values={"AP": 0.5 + (effect if paradigm == "simcc" else 0.0)},
        )
        for pair, effect in effects.items()
        for paradigm in ("simcc", "heatmap")
    ]


def spread(cells: list[ClaimCell], noise: float, seed: int = 0) -> dict[tuple[str, str], Any]:
    """Return replicates around the cells' values, with a share that all have in common."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0, 0.1, 1000)
    return {
        (cell.id, "AP"): (cell.values["AP"] or 0) + common + rng.normal(0, noise, 1000)
        for cell in cells
    }


@pytest.mark.parametrize(
    ("direction", "margin", "effect", "noise", "word"),
    [
        ("greater", 0.0, 0.05, 0.01, "supported"),
        ("greater", 0.0, -0.05, 0.01, "refuted"),
        ("greater", 0.0, 0.01, 0.05, "inconclusive"),
        ("greater", 0.04, 0.1, 0.01, "supported"),
        ("greater", 0.1, 0.04, 0.01, "refuted"),
        ("less", 0.0, -0.05, 0.01, "supported"),
        ("less", 0.0, 0.05, 0.01, "refuted"),
        ("less", 0.1, -0.04, 0.01, "refuted"),
        ("within", 0.05, 0.0, 0.01, "supported"),
        ("within", 0.05, -0.1, 0.01, "refuted"),
        ("within", 0.05, 0.1, 0.01, "refuted"),
        ("within", 0.02, 0.0, 0.03, "inconclusive"),
    ],
)
def test_the_word_for_an_effect(
    direction: Any, margin: float, effect: float, noise: float, word: str
) -> None:
    cells = cells_with({"s": effect})
    claim = replace(CLAIM, direction=direction, margin=margin)
    (verdict,) = judge([claim], cells, spread(cells, noise))
    assert verdict.verdict == word
    assert verdict.effect == pytest.approx(effect)
    assert verdict.low is not None and verdict.high is not None
    assert verdict.low < verdict.effect < verdict.high
    assert (verdict.images, verdict.cells) == (50, ("simcc-s", "heatmap-s"))


def test_what_cells_share_does_not_widen_the_interval() -> None:
    cells = cells_with({"s": 0.02})
    (verdict,) = judge([CLAIM], cells, spread(cells, 0.001))
    assert verdict.low is not None and verdict.low > 0.01


@pytest.mark.parametrize(
    ("effects", "word"),
    [
        ({"s": 0.02, "m": 0.01}, "supported"),
        ({"s": -0.02, "m": 0.0}, "refuted"),
        ({"s": 0.02, "m": -0.01}, "inconclusive"),
    ],
)
def test_without_replicates_published_pairs_must_agree(
    effects: dict[str, float], word: str
) -> None:
    published, measured = judge(
        [replace(CLAIM, evidence="published"), CLAIM], cells_with(effects), {}
    )
    assert (published.verdict, published.low, published.p) == (word, None, None)
    assert dict(published.effects) == pytest.approx(effects)
    # What was measured could have been resampled: nothing says that it is not chance.
    assert (measured.verdict, measured.effect) == ("inconclusive", published.effect)
    assert measured.reason is not None and "nothing was resampled" in measured.reason


def test_other_protocols_and_no_cells() -> None:
    other = cells_with({"s": 0.1}, boxes="detector")
    (verdict,) = judge([CLAIM], other, {})
    assert (verdict.verdict, verdict.effect, verdict.reason) == (
        "not comparable",
        None,
        "s: boxes (detector / not said)",
    )
    (verdict,) = judge([CLAIM], other[:1], {})
    assert verdict.verdict == "untested"
    assert verdict.reason == (
        "no cell has paradigm heatmap, which control asks for; there is simcc"
    )


def test_cells_that_were_lost_are_named_where_they_are_missed() -> None:
    simcc, heatmap = cells_with({"s": 0.1})
    failed = replace(heatmap, fields={"labels.pair": "s"}, values={"runs": 0.0}, lost="failed")
    (verdict,) = judge([CLAIM], [simcc, failed], {})
    assert verdict.reason == (
        "no cell has paradigm heatmap, which control asks for; there is simcc (1 cell failed)"
    )
    skipped = replace(failed, lost="skipped")
    (verdict,) = judge([CLAIM], [failed, skipped, skipped], {})
    assert verdict.reason == "nothing was measured: 1 cell failed, 2 cells skipped"


def test_more_claims_ask_for_more_evidence() -> None:
    cells = cells_with({"s": 0.022})
    replicates = spread(cells, 0.006)
    (alone,) = judge([CLAIM], cells, replicates)
    many = judge([replace(CLAIM, id=str(i)) for i in range(20)], cells, replicates)
    assert alone.verdict == "supported"
    assert {verdict.verdict for verdict in many} == {"inconclusive"}
    assert many[0].p == alone.p


@pytest.mark.parametrize(("direction", "margin"), [("greater", 0.0), ("within", 0.03)])
def test_wrong_calls_at_the_margin_are_rare(direction: Any, margin: float) -> None:
    """An effect exactly at the margin should get a word other than inconclusive in 5 %."""
    rng = np.random.default_rng(0)
    claim = replace(CLAIM, direction=direction, margin=margin)
    trials, wrong = 400, 0
    for _ in range(trials):
        sample = margin + rng.normal(0, 0.01)
        cells = cells_with({"s": sample})
        draws = sample + rng.normal(0, 0.01, 400)
        zeros = np.zeros(400)
        replicates = {("simcc-s", "AP"): 0.5 + draws, ("heatmap-s", "AP"): 0.5 + zeros}
        wrong += judge([claim], cells, replicates)[0].verdict != "inconclusive"
    # 5 % of 400 is 20; 33 lies three standard deviations above.
    assert 8 <= wrong <= 33


def test_a_metric_that_no_cell_has_is_named_with_the_nearest() -> None:
    (verdict,) = judge([replace(CLAIM, metric="APP")], cells_with({"s": 0.1}), {})
    assert verdict.verdict == "untested"
    assert verdict.reason is not None and "Did you mean 'AP'" in verdict.reason


def test_an_inconclusive_claim_says_what_it_lacks() -> None:
    cells = cells_with({"s": 0.022})
    many = judge([replace(CLAIM, id=str(i)) for i in range(20)], cells, spread(cells, 0.006))
    assert many[0].reason is not None
    assert many[0].reason.startswith("interval beyond 0, p ")
    assert many[0].reason.endswith(" after Holm over 20 claims")
    within = replace(CLAIM, direction="within", margin=0.02)
    cells = cells_with({"s": 0.0})
    (verdict,) = judge([within], cells, spread(cells, 0.03))
    assert verdict.reason is not None and verdict.reason.startswith("interval across the margin, p")
    for metric, reason in (("inst/s", "inst/s cannot be"), ("PCK@0.1", "nothing was")):
        timed = [replace(cell, values={**cell.values, metric: 0.5}) for cell in cells]
        (verdict,) = judge([replace(CLAIM, metric=metric)], timed, {})
        assert verdict.reason == f"{reason} resampled, so chance cannot be told"


def published(name: str, ap: float, **fields: str) -> ClaimCell:
    (cell,) = [each for each in published_cells() if each.id.startswith(f"{name}@")][:1]
    return replace(cell, fields={**cell.fields, "labels.pair": "p", **fields}, values={"AP": ap})


def test_a_published_pair_says_in_what_else_it_differs() -> None:
    heatmap = published("mmpose/cspnext-m_coco_256x192", 0.70)
    simcc = replace(published("mmpose/rtmpose-m_coco_256x192", 0.75), identity=heatmap.identity)
    claim = replace(CLAIM, evidence="published")
    (verdict,) = judge([claim], [heatmap, simcc], {})
    assert verdict.verdict == "supported"
    assert "epochs (420 against 210)" in verdict.confounds
    text = evidence_text(verdict)
    assert "; but the pair also differs in " in text and "initial weights (" in text
    (alone,) = judge([claim], [heatmap, replace(heatmap, id="s", fields=simcc.fields)], {})
    assert alone.confounds == ()


def test_a_trend_shares_a_factor_where_each_network_has_its_like() -> None:
    sizes = ("256x192", "384x288")
    cells = [published(f"mmpose/resnet50{kind}_coco_{size}", 0.7) for size in sizes
             for kind in ("", "_simcc")]  # fmt: skip
    cells = [replace(cell, identity={}) for cell in cells]
    claim = replace(CLAIM, evidence="published", trend="pixels")
    (verdict,) = judge([claim], cells, {})
    assert len(verdict.effects) == 1
    assert not any(each.startswith("input size") for each in verdict.confounds)
    (verdict,) = judge([claim], [*cells, replace(published(
        "mmpose/resnet50_coco_384x288", 0.7), id="again", identity={})], {})  # fmt: skip
    assert not any(each.startswith("input size") for each in verdict.confounds)
