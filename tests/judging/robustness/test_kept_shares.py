"""The share of AP that is kept on corrupted images, against ratios taken by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import posebench
from posebench.errors import UsageError
from posebench.judging.claim_cells import replicates_of
from posebench.judging.robustness.kept import KeptShare, KeptShares, LeftOut, kept_shares
from posebench.reporting.printing import text_of
from posebench.reporting.robustness.kept_table import kept_markdown, kept_table
from posebench.results.store import Run, read_run


@pytest.fixture(scope="module")
def corrupted_run(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("kept") / "run"
    posebench.evaluate(
        ["heatmap-s", "simcc-s"],
        str(people),
        out=out,
        corruptions=["none", "blur-1", "blur-5", "dark-1"],
        scoring={"replicates": 40},
    )
    return read_run(out)


def share(shares: KeptShares, kind: str, paradigm: str) -> KeptShare:
    (found,) = [each for each in shares.shares if (each.kind, each.paradigm) == (kind, paradigm)]
    return found


def test_shares_are_the_means_of_ratios(corrupted_run: Run) -> None:
    shares = kept_shares(corrupted_run)
    ap = {
        cell.result.protocol.corruption: (cell.result.metrics or {})["AP"]
        for cell in corrupted_run.cells
        if cell.result.checkpoint.name == "simcc-s"
    }
    values = {name: value for name, value in ap.items() if value is not None}
    blur = (values["blur-1"] + values["blur-5"]) / 2 / values["none"]
    dark = values["dark-1"] / values["none"]
    assert share(shares, "blur", "simcc").share.value == pytest.approx(blur)
    assert share(shares, "blur", "simcc").cells == 2
    assert share(shares, "all", "simcc").share.value == pytest.approx((blur + dark) / 2)
    assert {each.kind for each in shares.shares} == {"blur", "dark", "all"}


def test_intervals_are_those_of_paired_resamples(corrupted_run: Run) -> None:
    found = share(kept_shares(corrupted_run), "dark", "heatmap").share
    ids = {
        cell.result.protocol.corruption: cell.id
        for cell in corrupted_run.cells
        if cell.result.checkpoint.name == "heatmap-s"
    }
    draws = replicates_of(corrupted_run, ids.values(), ["AP"])
    ratios = draws[ids["dark-1"], "AP"] / draws[ids["none"], "AP"]
    wanted = np.quantile(ratios, [0.025, 0.975])
    assert [found.low, found.high] == pytest.approx(wanted.tolist())


def test_the_table_shows_percent_by_kind_and_paradigm(corrupted_run: Run) -> None:
    shares = kept_shares(corrupted_run)
    value = 100 * (share(shares, "all", "heatmap").share.value or 0)
    for text in (text_of(kept_table(shares)), kept_markdown(shares)):
        assert f"{value:.1f} [" in text
        assert "heatmap" in text and "simcc" in text and "dark" in text


def test_a_run_without_corruptions_is_refused(corrupted_run: Run) -> None:
    clean = tuple(c for c in corrupted_run.cells if c.result.corruption is None)
    with pytest.raises(UsageError, match="clean and corrupted"):
        kept_shares(replace(corrupted_run, cells=clean))


def scored_by(run: Run, name: str) -> Run:
    """Return a run of data that have no AP, and this number in its place."""
    cells = (
        replace(cell, result=replace(cell.result, metrics={name: cell.result.metrics["AP"]}))
        for cell in run.cells
    )
    return replace(run, cells=tuple(cells))


def test_data_without_ap_keep_their_first_number(corrupted_run: Run) -> None:
    shares = kept_shares(scored_by(corrupted_run, "mPCK@0.1"))
    assert shares.metric == "mPCK@0.1"
    wanted = [each.share.value for each in kept_shares(corrupted_run).shares]
    assert [each.share.value for each in shares.shares] == wanted
    assert "mPCK@0.1 on corrupted images over mPCK@0.1" in text_of(kept_table(shares))
    with pytest.raises(UsageError, match="known by NME, of which less is better"):
        kept_shares(scored_by(corrupted_run, "NME"))


def test_paradigms_are_subtracted_within_each_resample(corrupted_run: Run) -> None:
    shares = kept_shares(corrupted_run)
    (gap,) = [each for each in shares.gaps if each.kind == "dark"]
    ids = {
        (cell.result.checkpoint.paradigm, cell.result.protocol.corruption): cell.id
        for cell in corrupted_run.cells
    }
    draws = replicates_of(corrupted_run, ids.values(), ["AP"])
    heatmap, simcc = (
        draws[ids[each, "dark-1"], "AP"] / draws[ids[each, "none"], "AP"]
        for each in ("heatmap", "simcc")
    )
    assert (gap.first, gap.second) == ("heatmap", "simcc")
    wanted = np.quantile(heatmap - simcc, [0.025, 0.975])
    assert [gap.difference.low, gap.difference.high] == pytest.approx(wanted.tolist())
    assert "heatmap − simcc" in kept_markdown(shares)


def test_a_level_that_one_network_lacks_counts_for_none(corrupted_run: Run) -> None:
    def is_lost(name: str, corruption: str) -> bool:
        return (name, corruption) == ("simcc-s", "blur-5")

    cells = tuple(
        cell
        for cell in corrupted_run.cells
        if not is_lost(cell.result.checkpoint.name, cell.result.protocol.corruption)
    )
    shares = kept_shares(replace(corrupted_run, cells=cells))
    assert share(shares, "blur", "heatmap").cells == share(shares, "blur", "simcc").cells == 1
    (left,) = shares.left_out
    assert left == LeftOut("blur-5", left.dataset, ("simcc-s",))
    assert "blur-5" in kept_markdown(shares) and "cells: 2 heatmap, 2 simcc" in kept_markdown(
        shares
    )
