"""Verdicts in one line each, and as JUnit XML: scope, seeds, pairs and what could be told."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from xml.etree import ElementTree

from rich.console import Console
from trained_cells import CLAIM, replicates_of_cells, trained_cell, trained_cells

from posebench.judging.pairs.chance import Detectable
from posebench.judging.verdicts import OnOneDataSet, Verdict, judge
from posebench.reporting.tables.verdict_junit import verdict_junit
from posebench.reporting.tables.verdict_table import limits_of, verdict_line, verdict_table

PAIRS = (("s", -0.02), ("m", -0.021), ("l", -0.022))
SEEDS = tuple(zip("01234", (-0.016, -0.029, -0.020, -0.018, -0.022), strict=True))
FULL = Verdict(
    CLAIM,
    "supported",
    effect=-0.021,
    low=-0.034,
    high=-0.008,
    p=0.004,
    p_holm=0.012,
    effects=PAIRS,
    images=985,
    seeds=5,
    scope="paradigm",
    not_shown="other tuning",
    pairs_agree=3,
    by_seed=SEEDS,
    detectable=Detectable(0.019, 0.012, 0.0071),
)


def test_a_verdict_says_scope_effect_chance_and_sample_in_one_line() -> None:
    assert verdict_line(FULL) == (
        "supported for the paradigm · -2.1 AP (95 % -3.4 to -0.8; p 0.004, Holm 0.012)"
        " · 5 seeds × 3 pairs, 985 images · 3 of 3 pairs agree"
        " · per seed -1.6 -2.9 -2.0 -1.8 -2.2"
        " · could tell 1.9 apart (10 seeds 1.2, endless seeds 0.7)"
    )


def test_no_noise_of_images_promises_nothing_of_endless_seeds() -> None:
    sure = replace(FULL, detectable=Detectable(0.019, 0.012, 0.0))
    assert verdict_line(sure).endswith("could tell 1.9 apart (10 seeds 1.2)")
    small = replace(FULL, detectable=Detectable(0.019, 0.0002, 0.0002))
    assert verdict_line(small).endswith("could tell 1.9 apart")
    smaller = replace(FULL, detectable=Detectable(0.0002, 0.0002, 0.0001))
    assert "could tell" not in verdict_line(smaller)


def test_one_seed_is_a_verdict_on_these_weights() -> None:
    alone = replace(
        FULL, scope="these weights", seeds=1, by_seed=(), effects=PAIRS[:1], p_holm=0.004,
        pairs_agree=1, detectable=Detectable(0.019),
    )  # fmt: skip
    assert verdict_line(alone) == (
        "supported for these weights · -2.1 AP (95 % -3.4 to -0.8; p 0.004)"
        " · 1 seed × 1 pair, 985 images · could tell 1.9 apart"
    )


def test_both_data_sets_and_the_plateau_are_said() -> None:
    both = replace(
        FULL,
        by_dataset=(
            OnOneDataSet(
                "rendered",
                -0.03,
                -0.04,
                -0.02,
                0.001,
                p_holm=0.002,
                verdict="supported",
                by_seed=(("0", -0.031), ("1", -0.029)),
            ),
            OnOneDataSet("lsp14", -0.012, p=0.004, p_holm=0.004),
        ),
        plateau=(("heatmap, budget 2x", 0.043), ("simcc, budget 2x", -0.001)),
    )
    line = verdict_line(both)
    assert (
        "rendered: supported, -3.0 (95 % -4.0 to -2.0, p 0.001, Holm 0.002), per seed -3.1 -2.9; "
        "lsp14: inconclusive, -1.2 (p 0.004); on both p 0.004"
    ) in line
    assert (
        "longer training adds +4.3 (heatmap, budget 2x) · longer training adds -0.1 (simcc" in line
    )


def test_seeds_without_partners_and_no_factor_are_said() -> None:
    line = verdict_line(replace(FULL, unpaired_seeds=(3, 4), undeclared=("model.head",)))
    assert "3 + 4 seeds, not paired, 3 pairs" in line
    assert line.endswith("; the pairs' trainings differ in model.head, and no `factor` is declared")


def test_limits_are_said_once_for_each_scope() -> None:
    weights = replace(FULL, verdict="inconclusive", scope="these weights", not_shown="other seeds")
    assert limits_of([FULL, FULL, weights]) == [
        "A verdict for the paradigm shows nothing of other tuning.",
        "A verdict for these weights shows nothing of other seeds.",
        "Inconclusive means not told apart, which is not equal.",
    ]
    assert limits_of([Verdict(CLAIM, "untested", reason="there are no cells")]) == []


def test_the_table_ends_with_lines_and_limits() -> None:
    cells = trained_cells({"s": [0.02, 0.03, 0.025]})
    verdicts = judge([CLAIM], cells, replicates_of_cells(cells, 0.001))
    text = StringIO()
    Console(file=text, width=300).print(verdict_table(verdicts))
    shown = text.getvalue()
    assert "supported for the paradigm · +2.5 AP (95 % " in shown
    assert "3 seeds × 1 pair, 150 images · per seed +2.0 +3.0 +2.5 · could tell" in shown
    assert "A verdict for the paradigm shows nothing of other training data, tuning" in shown


def test_junit_fails_what_is_refuted_and_skips_what_has_no_effect() -> None:
    cells = trained_cells({"s": [-0.02, -0.03, -0.025]})
    claims = [replace(CLAIM, direction="less"), CLAIM, replace(CLAIM, at={"paradigm": "none"})]
    claims = [replace(claim, id=f"c{number}") for number, claim in enumerate(claims)]
    (suite,) = ElementTree.fromstring(
        verdict_junit(judge(claims, cells, replicates_of_cells(cells, 0.001)))
    )
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "3", "failures": "1", "skipped": "1",
    }  # fmt: skip
    supported, refuted, untested = suite
    assert [part.tag for part in supported] == ["system-out"]
    assert (supported[0].text or "").startswith("supported for the paradigm · -2.5 AP")
    assert "shows nothing of other training data" in (supported[0].text or "")
    assert refuted[0].tag == "failure"
    assert (refuted[0].get("message") or "").startswith("refuted for the paradigm · -2.5 AP")
    assert untested[0].tag == "skipped"


def test_a_fixed_control_is_one_training() -> None:
    cells = [
        *(trained_cell("simcc", seed, 0.5) for seed in range(3)),
        trained_cell("heatmap", 9, 0.4),
    ]
    (verdict,) = judge([CLAIM], cells, replicates_of_cells(cells, 0.001))
    assert "3 + 1 seeds, not paired, 1 pair, 150 images" in verdict_line(verdict)
