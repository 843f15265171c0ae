"""`posebench run` on files that list suites, and what reads the folders of runs that it makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab_suites import ARMS, instant_training, lab_suite

from posebench.judging.verdicts import verdicts_of
from posebench.results.store import read_run, runs_in
from posebench.running.executors import EXECUTORS
from posebench.running.trained import forecast, train_suite as training, worker
from posebench.suites.collection import members_of
from posebench.suites.shipped import shipped_suites

CLAIM = """
claims:
  - id: {name}
    statement: SimCC is ahead.
    treatment: {{labels.arm: simcc}}
    control: {{labels.arm: heatmap}}
    match_by: [dataset, labels.data, labels.seed]
"""
DATA = [{"folder": "people", "split": "val"}]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let training take no time; return what is trained."""
    names: list[str] = []

    def noted(recipe: Any, *others: Any) -> Any:
        names.append(recipe.name)
        return instant_training(recipe, *others)

    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "EXECUTORS", {"processes": EXECUTORS["inline"]})
    monkeypatch.setattr("os.nice", lambda _: 0)
    monkeypatch.setattr(worker, "train", noted)
    monkeypatch.setattr(worker, "validation", lambda *_: lambda _model: {})
    monkeypatch.setattr(forecast, "_rate", lambda *_: 8.0)
    return names


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Write two suites with a claim each that share an arm, and the file that lists them."""
    arms = {"one": ARMS, "two": {"heatmap": {}, "simcc": {**ARMS["simcc"], "share": 2.0}}}
    for name, own in arms.items():
        (tmp_path / f"claim-{name}.yaml").write_text(CLAIM.format(name=name), encoding="utf-8")
        fields = {"name": name, "claims": [f"claim-{name}.yaml"]}
        factor = ["model.head", "model.codec", "optimisation.samples"]
        path = lab_suite(tmp_path, fields, data=DATA, arms=own, factor=factor)
        path.rename(tmp_path / f"{name}.yaml")
    path = tmp_path / "both.yaml"
    plain = {"name": "both", "description": "d", "suites": ["one.yaml", "two.yaml"]}
    path.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return path


def test_suites_run_one_after_the_other(
    collection: Path, trained: list[str], people: Path, run: Callable[..., Any]
) -> None:
    where = ("--data-root", f"people={people}")
    done = run("run", collection, *where)
    assert done.code == 0, done.err
    # The arm that both have is trained once.
    assert trained == ["heatmap_people_s0", "simcc_people_s0", "simcc_people_s0"]
    out = collection.parent / "runs" / "both"
    assert [folder.name for folder in runs_in(out)] == ["one", "two"]
    assert len(read_run(out / "two").cells) == 2
    assert "two: suite 2 of 2" in done.err
    last = done.out.rpartition("Run directory")[2]
    assert "one" in last and "two" in last and "Run directories: 2 in" in last
    again = run("run", collection, *where)
    assert (again.code, len(trained)) == (0, 3)
    assert again.err.count("2 cells, 2 done before") == 2


def test_what_reads_runs_takes_a_folder_of_them(
    collection: Path, trained: list[str], people: Path, run: Callable[..., Any]
) -> None:
    run("run", collection, "--data-root", f"people={people}", "--out", "out")
    found = run("claims", "out", "--json", "verdicts.json")
    assert found.code == 0
    verdicts = json.loads(Path("verdicts.json").read_text(encoding="utf-8"))["verdicts"]
    assert [each["claim"]["id"] for each in verdicts] == ["one", "two"]
    assert run("claims", "out/one", "out/two").out == found.out
    table = run("table", "out", "--format", "csv", "--rows", "run,checkpoint")
    assert table.code == 0
    assert table.out.count("simcc_people_s0") == 2
    assert run("report", "out", "--no-profiles", "--out", "page.html").code == 0
    assert sorted(each.name for each in Path().glob("*.html")) == [
        "page-one.html",
        "page-two.html",
    ]
    assert run("claims", collection.parent / "people").code == 2


def test_a_dry_run_counts_shared_trainings_once(
    collection: Path, trained: list[str], people: Path, run: Callable[..., Any]
) -> None:
    shown = run("run", collection, "--data-root", f"people={people}", "--jobs", 2, "--dry-run")
    assert shown.code == 0, shown.err
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["one", "2", "2", "2", "2", "0", "0.3"] in lines
    assert ["two", "2", "2", "2", "1", "1", "0.3"] in lines
    assert ["together", "4", "4", "4", "3", "1", "0.5"] in lines
    assert "3 checkpoints are to be trained, each once: about 32 s of one thread" in shown.out
    assert trained == []


def test_all_claims_are_tried_before_anything_is_trained(
    collection: Path, trained: list[str], people: Path, run: Callable[..., Any]
) -> None:
    claim = collection.parent / "claim-two.yaml"
    claim.write_text(CLAIM.format(name="two").replace("simcc", "simc"), encoding="utf-8")
    (collection.parent / "people").symlink_to(people)
    failed = run("run", collection)
    assert (failed.code, "claims of the suite two can never" in failed.err) == (2, True)
    assert trained == []
    assert run("suite", "validate", collection).code == 2


def test_ctrl_c_ends_all_and_the_same_command_goes_on(
    collection: Path,
    trained: list[str],
    people: Path,
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    where = ("--data-root", f"people={people}")
    with monkeypatch.context() as during:
        during.setattr(worker, "train", stopped)
        left = run("run", collection, *where)
    assert (left.code, "two: suite 2" in left.err) == (3, False)
    assert run("run", collection, *where).code == 0
    assert len(trained) == 3


def test_options_reach_the_suites_that_they_concern(
    collection: Path, people: Path, run: Callable[..., Any]
) -> None:
    misspelt = run("run", collection, "--data-root", f"peopel={people}")
    assert (misspelt.code, "no suite trains on 'peopel'" in misspelt.err) == (2, True)
    plain = {"name": "plain", "description": "d", "checkpoints": ["a.pth"]}
    (collection.parent / "plain.yaml").write_text(yaml.safe_dump(plain), encoding="utf-8")
    listed = {"name": "both", "description": "d", "suites": ["plain.yaml"]}
    collection.write_text(yaml.safe_dump(listed), encoding="utf-8")
    failed = run("run", collection, "--scale", "tiny")
    assert (failed.code, "are for suites that have `trained:`" in failed.err) == (2, True)


@pytest.mark.slow
def test_the_whole_lab_runs_at_scale_tiny(tmp_path: Path) -> None:
    """On two idle cores this takes about ten minutes."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "posebench", "run", "lab/all", "--scale", "tiny"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POSEBENCH_CACHE": str(tmp_path / "cache")}
    subprocess.run(
        [*command, "--jobs", "2", "--out", str(out)], check=True, env=environment, cwd=tmp_path
    )
    claims = set[str]()
    for member in members_of(shipped_suites()["lab/all"]):
        run = read_run(out / member.suite.name)
        assert not run.missing
        for verdict in verdicts_of(run):
            assert verdict.verdict in ("supported", "refuted", "inconclusive"), verdict.reason
            assert (verdict.seeds, verdict.scope) == (3, "paradigm")
            claims.add(verdict.claim.id)
        assert set(member.suite.claims) <= claims
    assert {name[:3] for name in claims} >= {"L3-", "L4-", "L5-", "L10", "L11", "L12", "L13"}
