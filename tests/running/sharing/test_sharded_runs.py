"""A suite run in shards and merged is the suite run at once, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from same_runs import run_contents
from small_run import small_checkpoint

from posebench.errors import UnsupportedExecutionError
from posebench.judging.claim_cells import replicates_of
from posebench.prediction.engines import check_execution
from posebench.results import replicates
from posebench.results.store import read_run
from posebench.running import network_plans


@pytest.fixture
def suite(tmp_path: Path, people: Path) -> Path:
    for paradigm in ("heatmap", "simcc", "rle"):
        small_checkpoint(tmp_path / f"{paradigm}.safetensors", paradigm)
    path = tmp_path / "suite.yaml"
    path.write_text(
        "name: small\ndescription: d\ncheckpoints: ['*.safetensors', absent.pth]\n"
        f"datasets: [{json.dumps(str(people))}]\nsizes: [native, 96x80]\n"
        "policies: [native, resample]\nprobes: [position-code]\nprobing: {people: 8}\n"
        "scoring: {replicates: 20}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def whole(run: Callable[..., Any], suite: Path, tmp_path: Path) -> Path:
    out = tmp_path / "whole"
    assert run("run", suite, "--out", out, "--threads", 1).code == 3  # one checkpoint is absent
    return out


def test_shards_in_folders_of_their_own_merge_to_the_whole(
    run: Callable[..., Any],
    suite: Path,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = [tmp_path / f"part-{index}" for index in (1, 2, 3)]
    for index, out in enumerate(parts, start=1):
        done = run("run", suite, "--out", out, "--threads", 1, "--shard", f"{index}/3")
        assert f"Shard {index}/3 has ended" in done.out, done.err
    shares = [read_run(out) for out in parts]
    ids = [cell.id for share in shares for cell in share.cells]
    ids += [probe.id for share in shares for probe in share.probes]
    assert len(ids) == len(set(ids)) and all(share.cells for share in shares)
    out = tmp_path / "merged"
    merged = run("merge", *parts, "--out", out)
    assert merged.code == 3 and "Run directory" in merged.out  # as the whole run
    assert run_contents(out) == run_contents(whole)
    assert run("merge", parts[0], "--out", tmp_path / "some").code == 3
    # What intervals were made of is there for claims: nothing is resampled again.
    monkeypatch.setattr(replicates, "image_replicates", None)
    done = [cell.id for cell in read_run(out).cells if cell.result.status == "ok"]
    found = replicates_of(read_run(out), done, ["AP"])
    assert list(found) == [(name, "AP") for name in done]
    assert {len(values) for values in found.values()} == {20}


def test_shards_of_one_folder_make_the_whole(
    run: Callable[..., Any], suite: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shared"
    plan = run("run", suite, "--out", out, "--shard", "2/2", "--dry-run", "--threads", 1)
    assert plan.code == 0, plan.err
    for index in (2, 1):
        last = run("run", suite, "--out", out, "--threads", 1, "--shard", f"{index}/2")
        assert read_run(out).missing == () or index == 2
    assert "posebench claims" in last.out
    assert run_contents(out) == run_contents(whole)
    own = [line for line in plan.out.splitlines() if line.startswith("Shard 2/2: ")]
    assert len(own) == 1 and "% of their cost" in own[0]
    assert sum("to run" in line for line in plan.out.splitlines()) < 9


def test_a_shard_is_resumed_and_says_what_is_left(
    run: Callable[..., Any], suite: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shared"
    options = ("run", suite, "--out", out, "--threads", 1, "--shard", "1/2")
    run(*options)
    before = run_contents(out)
    again = run(*options)
    assert "results are left" in again.out
    assert run_contents(out) == before
    done_before = [line for line in again.err.splitlines() if "done before" in line]
    assert done_before and not done_before[0].endswith(" 0 done before")


def test_a_part_that_does_not_exist_is_refused_before_anything_runs(
    run: Callable[..., Any], suite: Path, tmp_path: Path
) -> None:
    refused = run("run", suite, "--out", tmp_path / "out", "--shard", "3/2")
    assert refused.code == 2 and "from 1 to 2" in refused.err
    assert not (tmp_path / "out").exists()


def test_a_machine_that_plans_the_suite_otherwise_is_refused(
    run: Callable[..., Any], suite: Path, tmp_path: Path
) -> None:
    out, file = tmp_path / "shared", tmp_path / "rle.safetensors"
    run("run", suite, "--out", out, "--threads", 1, "--shard", "1/2")
    weights, before = file.read_bytes(), run_contents(out)
    file.write_bytes(b"unreadable")
    second = ("run", suite, "--out", out, "--threads", 1, "--shard", "2/2")
    refused = run(*second)
    assert refused.code == 2 and "were dealt in two ways" in refused.err
    assert run_contents(out) == before
    file.write_bytes(weights)
    run(*second)
    assert read_run(out).missing == ()


def test_a_machine_without_an_engine_gets_the_same_deal(
    run: Callable[..., Any], suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "shared"
    run("run", suite, "--out", out, "--threads", 1, "--shard", "1/2")

    def lacks(network: Any, *execution: Any, **more: Any) -> None:
        if network.spec.codec.paradigm == "heatmap":
            raise UnsupportedExecutionError("The engine is not installed.")
        check_execution(network, *execution, **more)

    monkeypatch.setattr(network_plans, "check_execution", lacks)
    last = run("run", suite, "--out", out, "--threads", 1, "--shard", "2/2")
    assert "posebench claims" in last.out, last.err
    assert read_run(out).missing == ()
