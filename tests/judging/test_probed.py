"""Claims on what probes read: their cells, their replicates, and verdicts made from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_probes import WHERE, stored

from posebench.judging.claim_checks import claim_problems
from posebench.judging.verdicts import verdicts_of
from posebench.results.probe_numbers import PROBE_NUMBERS
from posebench.results.probe_store import write_arrays, write_probe
from posebench.results.probes import ProbeReading, ProbeRow, ReadingRow, StoredProbe, Sums
from posebench.results.store import Run, RunRecord, read_run, start_run
from posebench.suites.claims import FIELDS, Claim, load_claims
from posebench.suites.suite import Suite, load_suite, shipped_folder, shipped_suites
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
    of_bits = [claim for claim in suite.claims if claim.startswith("C10-")]
    assert {claim.id for claim in claims} | set(of_bits) == set(suite.claims)
    for claim in claims:
        assert PROBE_NUMBERS[claim.metric].probe in suite.probes
    assert {"probe", "arm", *WHERE} <= set(FIELDS)


def test_the_shipped_suite_has_the_bits_that_its_claims_on_bits_read() -> None:
    suites = {name: load_suite(shipped_suites()[name]) for name in ("probes", "quantisation")}
    named = {
        name: {c for c in suite.claims if c.startswith("C10-")} for name, suite in suites.items()
    }
    assert named["probes"] == named["quantisation"] != set()
    claims = load_claims(shipped_folder() / "claims" / "transforms.yaml")
    wanted = {NO_TRANSFORM}
    for claim in claims:
        if claim.id in named["probes"]:
            asked = claim.at["transform"]
            wanted |= {asked} if isinstance(asked, str) else set(map(str, asked))
    assert wanted == set(suites["probes"].transforms)
