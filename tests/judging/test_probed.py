"""Claims on what probes read: their cells, their replicates, and verdicts made from them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_probes import WHERE, stored
from small_run import made_up
from small_store import made_up_table, run_folder

from posebench.judging.claim_checks import claim_problems
from posebench.judging.pairs.chance import Detectable
from posebench.judging.probed import probed_replicates
from posebench.judging.verdicts import verdicts_of
from posebench.reporting.tables.verdict_table import evidence_text
from posebench.results.probe_numbers import PROBE_NUMBERS
from posebench.results.probe_store import write_arrays, write_probe
from posebench.results.probes import ProbeReading, ProbeRow, ReadingRow, StoredProbe, Sums
from posebench.results.store import Run, RunRecord, read_run, start_run
from posebench.scoring.statistics.images_alone import ImageSample
from posebench.scoring.statistics.intervals import holm
from posebench.scoring.statistics.student import t_tail
from posebench.suites.claims import FIELDS, Claim, load_claims
from posebench.suites.shipped import shipped_folder, shipped_suites
from posebench.suites.suite import Suite, load_suite
from posebench.suites.transforms import NO_TRANSFORM

SUITE = Suite("s", "", ("heatmap-s", "simcc-s"), sizes=(), probes=("tokens", "identity"))
CLAIM = Claim(
    id="c",
    statement="Tokens of heatmaps match better.",
    metric="match PCK@0.1",
    treatment={"paradigm": "heatmap"},
    control={"paradigm": "simcc"},
    at={"probe": "tokens", "arm": "trained"},
    match_by=("dataset", "layer", "shots"),
    evidence="probed",
)


def matched(name: str, checkpoint: str, hits: list[float]) -> tuple[StoredProbe, ProbeReading]:
    sums = Sums(np.array(hits), np.full(len(hits), 4.0))
    reading = ProbeReading(
        (ReadingRow("trained", WHERE, {"match PCK@0.1": sums}),), sampled="images"
    )
    row = ProbeRow("trained", WHERE, {"match PCK@0.1": sums.value})
    return stored(name, checkpoint, rows=(row,)), reading


def run_of(folder: Path, claim: Claim, *probes: tuple[StoredProbe, ProbeReading]) -> Run:
    ids = tuple(probe.id for probe, _ in probes)
    start_run(folder, RunRecord(2, SUITE, (claim,), (), {}, 1, probes=ids))
    for probe, reading in probes:
        write_probe(folder, replace(probe, arrays=write_arrays(folder, probe.id, reading)))
    return read_run(folder)


def test_a_claim_on_sampled_numbers_is_told_from_chance(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    better, worse = (list(map(float, rng.binomial(4, share, 40))) for share in (0.8, 0.4))
    run = run_of(tmp_path, CLAIM, matched("a", "heatmap-s", better), matched("b", "simcc-s", worse))
    (verdict,) = verdicts_of(run)
    assert (verdict.verdict, verdict.images) == ("supported", 3)
    assert verdict.effect == pytest.approx((sum(better) - sum(worse)) / 160)
    assert verdict.low is not None and 0 < verdict.low < verdict.effect


def test_a_p_value_of_few_pairs_of_keypoints_has_their_degrees_of_freedom(tmp_path: Path) -> None:
    """Seven of eight pairs, however many resamples there are; the bootstrap's spread is 7/8."""
    differences = np.array([0.1, 0.62, 0.28, 0.6, 0.35, 0.55, 0.4, 0.22])
    claim = replace(CLAIM, at={"arm": "trained"}, match_by=("dataset", "of"))
    probes = []
    for name, values in (("heatmap-s", 0.1 + differences), ("simcc-s", np.full(8, 0.1))):
        sums = Sums(values, np.ones(8))
        reading = ProbeReading(
            (ReadingRow("trained", {"of": "vectors"}, {CLAIM.metric: sums}),), sampled="keypoints"
        )
        row = ProbeRow("trained", {"of": "vectors"}, {CLAIM.metric: sums.value})
        probes.append((stored(name, name, rows=(row,), sampled="keypoints"), reading))
    (verdict,) = verdicts_of(run_of(tmp_path, claim, *probes))
    exact = t_tail(differences.mean() / (differences.std(ddof=1) / math.sqrt(8)), 7)
    assert verdict.verdict == "supported"
    assert verdict.p is not None and exact / 10 < verdict.p < exact


def test_one_draw_of_images_serves_both_sides(tmp_path: Path) -> None:
    hits = list(map(float, np.random.default_rng(0).binomial(4, 0.5, 40)))
    more = [each + 0.04 for each in hits]
    run = run_of(tmp_path, CLAIM, matched("a", "heatmap-s", more), matched("b", "simcc-s", hits))
    (verdict,) = verdicts_of(run)
    assert (verdict.low, verdict.high) == pytest.approx((0.01, 0.01))


@pytest.mark.parametrize(("error", "word"), [(1e-7, "supported"), (1e-2, "refuted")])
def test_a_claim_on_numbers_of_the_weights_needs_no_resamples(
    tmp_path: Path, error: float, word: str
) -> None:
    claim = replace(
        CLAIM,
        metric="identity error",
        treatment={"arm": "trained"},
        control={"arm": "rounding"},
        at={},
        match_by=("checkpoint", "output"),
        direction="less",
    )
    where = {"output": "heatmaps"}
    rows = (
        ProbeRow("trained", where, {"identity error": error}),
        ProbeRow("rounding", where, {"identity error": 1e-5}),
    )
    probe = stored("a", rows=rows, probe="identity")
    (verdict,) = verdicts_of(run_of(tmp_path, claim, (probe, ProbeReading(()))))
    assert (verdict.verdict, verdict.low) == (word, None)


def test_readings_of_different_people_are_not_compared(tmp_path: Path) -> None:
    one, other = matched("a", "heatmap-s", [1.0, 2.0]), matched("b", "simcc-s", [1.0, 2.0])
    fewer = replace(other[0], data=replace(other[0].data, people=2))
    run = run_of(tmp_path, CLAIM, one, (fewer, other[1]))
    (verdict,) = verdicts_of(run)
    assert verdict.verdict == "not comparable" and "people" in (verdict.reason or "")


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("match PCK@0.3", "no probe reads"),
        ("half width", "does not run the probe decay"),
        (CLAIM.metric, None),
    ],
)
def test_validation_knows_the_numbers_of_probes(metric: str, said: str | None) -> None:
    found = claim_problems([replace(CLAIM, metric=metric)], [], (), SUITE)
    assert [said in each.text for each in found if said] == ([True] if said else [])
    assert bool(found) == bool(said)


def test_shipped_claims_read_numbers_that_the_shipped_suite_probes() -> None:
    suite = load_suite(shipped_suites()["probes"])
    claims = load_claims(shipped_folder() / "claims" / "probes.yaml")
    of_bits = [claim for claim in map(str, suite.claims) if claim.startswith("C10-")]
    assert {claim.id for claim in claims} | set(of_bits) == set(suite.claims)
    for claim in claims:
        assert PROBE_NUMBERS[claim.metric].probe in suite.probes
    assert {"probe", "arm", *WHERE} <= set(FIELDS)


def test_the_shipped_suite_has_the_bits_that_its_claims_on_bits_read() -> None:
    suites = {name: load_suite(shipped_suites()[name]) for name in ("probes", "quantisation")}
    named = {
        name: {c for c in map(str, suite.claims) if c.startswith("C10-")}
        for name, suite in suites.items()
    }
    assert named["probes"] == named["quantisation"] != set()
    claims = load_claims(shipped_folder() / "claims" / "transforms.yaml")
    wanted = {NO_TRANSFORM}
    for claim in claims:
        if claim.id in named["probes"]:
            asked = claim.at["transform"]
            wanted |= set(map(str, asked)) if isinstance(asked, tuple) else {str(asked)}
    assert wanted == set(suites["probes"].transforms)


def of_keypoints(
    name: str, checkpoint: str, cosines: list[float]
) -> tuple[StoredProbe, ProbeReading]:
    sums = Sums(np.array(cosines), np.full(len(cosines), 2.0))
    reading = ProbeReading(
        (ReadingRow("trained", {"of": "vectors"}, {"partner excess": sums}),), sampled="keypoints"
    )
    row = ProbeRow("trained", {"of": "vectors"}, {"partner excess": sums.value})
    probe = stored(name, checkpoint, probe="keypoint-vectors", rows=(row,), sampled="keypoints")
    return probe, reading


def test_left_right_pairs_give_no_more_certainty_than_their_number(tmp_path: Path) -> None:
    claim = replace(
        CLAIM,
        metric="partner excess",
        at={"probe": "keypoint-vectors", "arm": "trained"},
        match_by=("dataset", "of"),
    )
    found = {}
    for copies in (1, 20):
        better, worse = ([v, v + 0.1, v + 0.2, v + 0.3] * copies for v in (0.5, 0.1))
        better[0] += 0.3
        run = run_of(
            tmp_path / str(copies),
            claim,
            of_keypoints("a", "heatmap-s", better),
            of_keypoints("b", "simcc-s", worse),
        )
        (verdict,) = verdicts_of(run)
        assert verdict.keypoint_pairs == 4 * copies
        assert f"{4 * copies} left/right pairs" in evidence_text(verdict)
        draws = probed_replicates(run, [claim])
        sample = draws["a#0", claim.metric] - draws["b#0", claim.metric]
        assert verdict.effect is not None
        alone = ImageSample(verdict.effect, sample, 4 * copies)
        found[copies] = verdict.p, verdict.detectable
        assert found[copies] == (alone.p_value(0), Detectable(alone.detectable() or 0))
    assert (found[1][0] or 0) > (found[20][0] or 1)


def test_claims_on_probes_and_on_scores_are_adjusted_together(tmp_path: Path) -> None:
    cells = {name: made_up(f"{name}-s", "64x48", "native", 0.5) for name in ("heatmap", "simcc")}
    tables = {"heatmap": made_up_table(0.8), "simcc": made_up_table(0.3)}
    scores = replace(
        CLAIM, id="scores", metric="AP", at={}, match_by=("size",), evidence="measured"
    )
    run = read_run(run_folder(tmp_path, cells, tables))
    rng = np.random.default_rng(0)
    probes = []
    for name, share in (("heatmap-s", 0.6), ("simcc-s", 0.5)):
        probe, reading = matched(name, name, list(map(float, rng.binomial(4, share, 40))))
        probes.append(replace(probe, arrays=write_arrays(run.folder, probe.id, reading)))
    both = replace(run, record=replace(run.record, claims=(CLAIM, scores)), probes=tuple(probes))
    found = verdicts_of(both)
    assert [verdict.p_holm for verdict in found] == holm([verdict.p for verdict in found])
    assert found[0].p_holm != found[0].p or found[1].p_holm != found[1].p
