"""Verdicts over training seeds: pairing, scope, and the same numbers by another way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_store import made_up_table, result, run_folder
from trained_cells import CLAIM, IMAGES, replicates_of_cells, trained_cell, trained_cells

from posebench.judging.contrasts import contrast_of
from posebench.judging.pairs.cells import ClaimCell
from posebench.judging.verdicts import Verdict, judge, judge_run
from posebench.results.cell import CellResult
from posebench.scoring.statistics.seeds_and_images import Stratum, sampled_effect
from posebench.suites.claims import Claim

EFFECTS = {"s": [0.02, 0.03, 0.02, 0.025, 0.03]}
NOISE = 0.003


def judged(cells: list[ClaimCell], claim: Claim = CLAIM, noise: float = NOISE) -> Verdict:
    (verdict,) = judge([claim], cells, replicates_of_cells(cells, noise))
    return verdict


def test_seeds_enter_the_interval_by_the_method_of_seeds_and_images() -> None:
    cells = trained_cells(EFFECTS)
    draws = replicates_of_cells(cells, NOISE, own=0.001)
    (verdict,) = judge([CLAIM], cells, draws)
    rows = np.array([
        draws[f"simcc-s-{seed}_people", "AP"] - draws[f"heatmap-s-{seed}_people", "AP"]
        for seed in range(5)
    ])  # fmt: skip
    expected = sampled_effect([Stratum(np.array(EFFECTS["s"]), rows)], IMAGES)
    assert (verdict.low, verdict.high) == pytest.approx(expected.interval())
    assert verdict.p == pytest.approx(expected.p_value(0.0))
    assert verdict.detectable is not None
    assert verdict.detectable.now == pytest.approx(expected.detectable())
    assert verdict.detectable.with_10_seeds == pytest.approx(expected.detectable(10))
    assert verdict.detectable.with_endless_seeds == pytest.approx(expected.detectable(0))
    assert (verdict.verdict, verdict.scope, verdict.seeds) == ("supported", "paradigm", 5)
    assert [effect for _, effect in verdict.by_seed] == pytest.approx(EFFECTS["s"])


@pytest.mark.parametrize(
    "match_by",
    [
        ("dataset", "labels.pair"),
        ("dataset", "labels.pair", "labels.seed"),
        ("labels.seed", "labels.pair", "dataset"),
    ],
)
def test_seeds_pair_by_their_label_whatever_match_by_lists(match_by: tuple[str, ...]) -> None:
    verdict = judged(trained_cells(EFFECTS), replace(CLAIM, match_by=match_by))
    assert (verdict.verdict, verdict.seeds, len(verdict.effects)) == ("supported", 5, 1)
    assert verdict.p == judged(trained_cells(EFFECTS)).p


def test_few_seeds_make_a_verdict_on_these_weights() -> None:
    cells = trained_cells({"s": [0.02, 0.03]})
    verdict = judged(cells)
    assert (verdict.verdict, verdict.scope, verdict.seeds) == ("supported", "these weights", 2)
    asked = judged(cells, replace(CLAIM, scope="paradigm"))
    assert (asked.verdict, asked.scope) == ("inconclusive", "paradigm")
    assert asked.effect == pytest.approx(0.025)
    assert (asked.low, asked.p) == (None, None)
    assert asked.reason == "a verdict on the paradigm needs 3 seeds on either side, there are 2"


def test_without_a_replicate_that_all_cells_have_there_is_no_interval() -> None:
    """Such as of a median error that half of the resamples of one seed do not have."""
    cells = trained_cells(EFFECTS)
    draws = replicates_of_cells(cells, NOISE)
    lost = next(iter(draws))
    draws[lost] = np.full_like(draws[lost], np.nan)
    (verdict,) = judge([CLAIM], cells, draws)
    assert (verdict.verdict, verdict.low, verdict.p) == ("inconclusive", None, None)
    assert verdict.effect == pytest.approx(np.mean(EFFECTS["s"]))


def test_these_weights_may_be_asked_for_with_many_seeds() -> None:
    cells = trained_cells({"s": [0.12, -0.07, 0.03]})
    asked = judged(cells, replace(CLAIM, scope="these weights"))
    assert (asked.verdict, asked.scope) == ("supported", "these weights")
    default = judged(cells)
    assert (default.verdict, default.scope) == ("inconclusive", "paradigm")


def test_pairs_are_aggregated_for_each_seed_first() -> None:
    """The pairs' effects cancel within each seed: their mean does not vary over seeds."""
    effects = {"s": [0.02, 0.06, 0.04], "m": [0.04, 0.0, 0.02]}
    verdict = judged(trained_cells(effects), noise=1e-4)
    assert [effect for _, effect in verdict.by_seed] == pytest.approx([0.03] * 3)
    assert (verdict.verdict, verdict.pairs_agree) == ("supported", 1 + 1)
    assert dict(verdict.effects) == pytest.approx({"people, s": 0.04, "people, m": 0.02})


def test_pairs_that_disagree_are_counted() -> None:
    verdict = judged(trained_cells({"s": [0.05] * 3, "m": [0.06] * 3, "l": [-0.01] * 3}))
    assert (verdict.pairs_agree, len(verdict.effects)) == (2, 3)


def test_only_seeds_that_both_sides_and_all_pairs_have_count() -> None:
    cells = trained_cells({"s": [0.02] * 5, "m": [0.02] * 5})
    gone = {"simcc-s-4_people", "heatmap-m-0_people"}
    verdict = judged([cell for cell in cells if cell.id not in gone])
    assert verdict.seeds == 3
    assert verdict.left_out == (
        "people, s, seed 4: no treatment of this seed",
        "people, m, seed 0: no control of this seed",
        "people, s: another pair has no seed 0",
        "people, m: another pair has no seed 4",
    )


def test_a_seed_without_value_is_left_out_with_its_reason() -> None:
    cells = [
        replace(cell, values={"AP": None}) if cell.id == "simcc-s-1_people" else cell
        for cell in trained_cells(EFFECTS)
    ]
    contrast = contrast_of(CLAIM, cells)
    assert contrast.left_out == ("people, s, seed 1: simcc-s-1_people without AP",)
    assert [*contrast.pairs[0].strata[0]] == ["0", "2", "3", "4"]


def unpaired(treated: list[float], controls: list[float]) -> list[ClaimCell]:
    one = [trained_cell("simcc", seed, value) for seed, value in enumerate(treated)]
    return one + [trained_cell("heatmap", 90 + i, value) for i, value in enumerate(controls)]


def test_arms_without_common_seeds_are_two_strata() -> None:
    cells = unpaired([0.5, 0.52, 0.51], [0.4, 0.44, 0.42, 0.42])
    draws = replicates_of_cells(cells, NOISE)
    (verdict,) = judge([CLAIM], cells, draws)
    sides = [
        Stratum(
            np.array([cell.values["AP"] for cell in cells if cell.fields["labels.arm"] == arm]),
            np.array([draws[c.id, "AP"] for c in cells if c.fields["labels.arm"] == arm]),
            weight,
        )
        for arm, weight in (("simcc", 1.0), ("heatmap", -1.0))
    ]
    expected = sampled_effect(sides, IMAGES)
    assert (verdict.low, verdict.high) == pytest.approx(expected.interval())
    assert (verdict.scope, verdict.unpaired_seeds, verdict.by_seed) == ("paradigm", (3, 4), ())
    paired = judged(cells, replace(CLAIM, match_by=("dataset", "labels.seed")))
    assert paired.verdict == "untested"
    assert paired.reason is not None and "share no seed, which match_by lists" in paired.reason


def test_a_published_control_has_one_training_so_the_scope_is_these_weights() -> None:
    cells = [
        *(trained_cell("simcc", seed, 0.5 + seed / 100) for seed in range(3)),
        trained_cell("heatmap", None, 0.4),
    ]
    verdict = judged(cells)
    assert (verdict.scope, verdict.effect) == ("these weights", pytest.approx(0.11))
    assert verdict.unpaired_seeds == (3, 1)


def test_a_trend_is_fitted_for_each_seed() -> None:
    claim = replace(CLAIM, trend="parameters", match_by=("dataset",))
    slopes = [0.02, 0.03, 0.025]
    cells = [
        trained_cell(
            arm, seed, 0.3 + seed / 10 + (slope * step if arm == "simcc" else 0), pair,
            sizes={"parameters": 1e6 * 2**step},
        )
        for seed, slope in enumerate(slopes)
        for step, pair in enumerate(("s", "m", "l"))
        for arm in ("simcc", "heatmap")
    ]  # fmt: skip
    verdict = judged(cells, claim, noise=1e-5)
    assert [effect for _, effect in verdict.by_seed] == pytest.approx(slopes)
    assert (verdict.seeds, verdict.verdict) == (3, "supported")
    fewer = [cell for cell in cells if cell.id != "simcc-l-2_people"]
    left_out = contrast_of(claim, fewer).left_out
    assert left_out == (
        "people, seed 2: other seeds have more sizes to fit a trend over parameters",
    )


def test_one_checkpoint_under_two_decoders_pairs_across_its_seeds() -> None:
    cells = [
        replace(cell, id=f"{cell.id}-{decoder}", fields={**cell.fields, "decoder": decoder},
                values={"AP": 0.4 + seed / 100 + gain})
        for seed in range(3)
        for cell in [trained_cell("heatmap", seed, 0.0)]
        for decoder, gain in (("dark", 0.02 + seed / 1000), ("quarter", 0.0))
    ]  # fmt: skip
    claim = replace(
        CLAIM, treatment={"decoder": "dark"}, control={"decoder": "quarter"},
        match_by=("dataset", "checkpoint"),
    )  # fmt: skip
    verdict = judged(cells, claim)
    assert (verdict.seeds, verdict.scope, len(verdict.effects)) == (3, "paradigm", 1)


def test_equivalence_needs_the_interval_inside_both_margins() -> None:
    claim = replace(CLAIM, direction="within", margin=0.02)
    close = judged(trained_cells({"s": [0.001, -0.001, 0.002, 0.0, -0.002]}), claim, noise=1e-3)
    assert close.verdict == "supported"
    assert close.low is not None and close.high is not None
    assert -0.02 < close.low < close.high < 0.02
    wide = judged(trained_cells({"s": [0.03, -0.03, 0.02, 0.0, -0.02]}), claim)
    assert wide.verdict == "inconclusive"
    assert wide.reason is not None and wide.reason.startswith("interval across the margin")


@pytest.mark.parametrize(
    ("lsp", "word", "p_is_largest"),
    [([0.02, 0.021, 0.019], "supported", True), ([-0.04, -0.041, -0.039], "inconclusive", False)],
)
def test_a_claim_on_two_data_sets_holds_on_both(lsp: Any, word: str, p_is_largest: bool) -> None:
    cells = trained_cells({"s": [0.03, 0.032, 0.034]})
    cells += trained_cells({"s": lsp}, fields={"dataset": "lsp"})
    verdict = judged(cells)
    assert verdict.verdict == word
    assert [part.dataset for part in verdict.by_dataset] == ["people", "lsp"]
    assert [part.effect for part in verdict.by_dataset] == pytest.approx([0.032, np.mean(lsp)])
    assert verdict.detectable in [part.detectable for part in verdict.by_dataset]
    words = [part.verdict for part in verdict.by_dataset]
    assert words == ["supported", "supported" if p_is_largest else "refuted"]
    assert [len(part.by_seed) for part in verdict.by_dataset] == [3, 3]
    largest = max(part.p or 0 for part in verdict.by_dataset)
    assert verdict.p == (largest if p_is_largest else 1.0)
    if not p_is_largest:
        assert verdict.reason == "the data sets do not agree"


def test_the_verdict_on_one_data_set_is_adjusted_over_claims_on_it() -> None:
    cells = trained_cells({"s": [0.03, 0.032, 0.034]})
    cells += trained_cells({"s": [0.02, 0.021, 0.019]}, fields={"dataset": "lsp"})
    other = replace(CLAIM, id="other", margin=0.01)
    first, second = judge([CLAIM, other], cells, replicates_of_cells(cells, NOISE))
    for mine, theirs in zip(first.by_dataset, second.by_dataset, strict=True):
        assert mine.p is not None and theirs.p is not None
        assert mine.p < theirs.p
        assert (mine.p_holm, theirs.p_holm) == (2 * mine.p, max(2 * mine.p, theirs.p))


def test_claims_on_one_data_set_count_among_those_that_meet_it() -> None:
    cells = trained_cells({"s": [0.03, 0.032, 0.034]})
    cells += trained_cells({"s": [0.02, 0.021, 0.019]}, fields={"dataset": "lsp"})
    alone = [replace(CLAIM, id=name, at={"dataset": "people"}) for name in "xy"]
    both, *_ = judge([CLAIM, *alone], cells, replicates_of_cells(cells, NOISE))
    people, lsp = both.by_dataset
    assert people.p is not None and people.p_holm == pytest.approx(3 * people.p)
    assert lsp.p_holm == lsp.p


def test_a_number_without_chance_has_a_verdict_on_each_data_set() -> None:
    cells = [
        replace(
            cell, values={**cell.values, "params M": 1.0 + (cell.fields["paradigm"] == "simcc")}
        )
        for name in ("people", "lsp")
        for cell in trained_cells({"s": [0.03]}, fields={"dataset": name})
    ]
    (verdict,) = judge([replace(CLAIM, metric="params M")], cells, {})
    words = [part.verdict for part in verdict.by_dataset]
    assert (verdict.verdict, words) == ("supported", ["supported", "supported"])


def test_arms_trained_on_two_data_sets_pair_within_each() -> None:
    cells = [
        cell
        for data in ("rendered", "lsp")
        for cell in trained_cells({"s": [0.03, 0.032, 0.034]}, fields={"labels.data": data})
    ]
    verdict = judged(cells)
    names = [part.dataset for part in verdict.by_dataset]
    assert names == ["people trained on rendered", "people trained on lsp"]
    assert (verdict.verdict, verdict.seeds) == ("supported", 3)


def test_thirty_claims_can_be_told_under_holm() -> None:
    cells = trained_cells({"s": [0.05]})
    claims = [replace(CLAIM, id=str(number)) for number in range(30)]
    verdicts = judge(claims, cells, replicates_of_cells(cells, NOISE))
    assert {verdict.verdict for verdict in verdicts} == {"supported"}
    assert {verdict.scope for verdict in verdicts} == {"these weights"}


@pytest.mark.parametrize("metric", ["AP", "PCK@0.1", "median error", "nose", "ECE"])
def test_a_run_on_disk_is_judged_over_its_seeds_and_recipes(tmp_path: Path, metric: str) -> None:
    def trained(name: str, seed: int, samples: int) -> CellResult:
        made = result(name, metrics={"AP": 0.5, "PCK@0.1": 0.4, "median error": 0.1, "ECE": 0.2})
        recipe = {"seed": seed, "optimisation": {"samples": samples}, "model": {"head": name}}
        facts = replace(made.checkpoint, name=f"{name}-{seed}", training=recipe)
        return replace(made, checkpoint=facts)

    accuracies = {"simcc-s": 0.8, "heatmap-s": 0.3}
    labels = {
        f"{name}-{seed}": {"arm": name, "seed": str(seed), "data": "rendered"}
        for name in accuracies
        for seed in range(3)
    }
    tables = {
        name: made_up_table(accuracies[each["arm"]], int(each["seed"]))
        for name, each in labels.items()
    }
    claim = Claim(
        "c", "SimCC is better.", {"paradigm": "simcc"}, {"paradigm": "heatmap"},
        metric=metric, match_by=("dataset", "size"), factor="model.head",
    )  # fmt: skip

    def verdict(budget: int) -> Verdict:
        cells = {
            name: trained(each["arm"], int(each["seed"]), budget if "simcc" in name else 100)
            for name, each in labels.items()
        }
        keypoints = {"nose": 0.6, "left_wrist": 0.1}
        out = tmp_path / str(budget)
        folder = run_folder(out, cells, tables, (claim,), labels, keypoints=keypoints)
        (found,) = judge_run(folder)
        return found

    told = verdict(100)
    assert (told.scope, told.seeds, told.undeclared) == ("paradigm", 3, ())
    assert told.low is not None
    other = verdict(200)
    assert other.verdict == "not comparable"
    assert other.reason is not None
    assert other.reason.endswith("trained with other optimisation.samples (200 / 100)")
