"""`posebench suite validate`: what could never be tested is said before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from small_run import small_checkpoint

CLAIM: dict[str, Any] = {
    "id": "c1", "statement": "s", "treatment": {"paradigm": "simcc"},
    "control": {"paradigm": "heatmap"}, "match_by": ["dataset", "size"],
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    small_checkpoint(folder / "heatmap.safetensors")
    small_checkpoint(folder / "simcc.safetensors", "simcc")
    return folder


def written(folder: Path, weights: Path, claim: dict[str, Any], **more: Any) -> Path:
    plain = {
        "name": "n", "description": "d", "claims": ["claims.yaml"],
        "checkpoints": [str(weights / "heatmap.safetensors"), str(weights / "simcc.safetensors")],
        **more,
    }  # fmt: skip
    (folder / "claims.yaml").write_text(yaml.safe_dump({"claims": [{**CLAIM, **claim}]}))
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(plain))
    return path


def test_a_sound_suite_is_planned_without_its_data(run: Any, weights: Path, tmp_path: Path) -> None:
    suite = written(tmp_path, weights, {}, datasets=["/nowhere/people"], boxes=["/nowhere/b.json"])
    done = run("suite", "validate", suite)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{suite} is sound: n, 2 cells, 1 claims.\n"


@pytest.mark.parametrize(
    ("claim", "more", "said"),
    [
        ({"metric": "PCK"}, {}, "there is no metric 'PCK'. Did you mean 'PCK@"),
        ({"metric": "inst/s"}, {}, "inst/s cannot be resampled"),
        ({"metric": "AP(hard)"}, {}, "no cell has the metric 'AP(hard)'"),
        ({"scope": "paradigm"}, {}, "needs 3 seeds on either side, there is 1"),
        ({"margin": 2}, {}, "a margin of 2 is 200 points of AP"),
        ({}, {"scoring": {"replicates": 0}}, "asks for no resamples"),
        (
            {"at": {"policy": "interpolate"}},
            {},
            "no cell has policy interpolate, which at asks for; there is native",
        ),
        (
            {"control": {"paradigm": "heatmap", "decoder": "dark"}},
            {},
            "no cell has decoder dark, which control asks for; there is quarter",
        ),
        (
            {"match_by": ["labels.pair"]},
            {},
            "no cell of the treatment has labels.pair, which match_by lists",
        ),
        (
            {"match_by": ["checkpoint"]},
            {},
            "checkpoint keeps treatment and control apart (simcc / heatmap)",
        ),
        ({"match_by": ["dataset"]}, {"sizes": ["64x48", "96x80"]}, "alike in all that match_by"),
        ({}, {"checkpoints": ["heatmap-x"]}, "There is no file heatmap-x"),
        ({"trend": "parameters"}, {}, "needs two sizes of known parameters on either side"),
    ],
)
def test_what_cannot_be_tested_is_a_problem(
    run: Any, weights: Path, tmp_path: Path, claim: dict[str, Any], more: Any, said: str
) -> None:
    done = run("suite", "validate", written(tmp_path, weights, claim, **more))
    assert done.code == 2
    assert said in done.err
    assert "is not sound" in done.err.splitlines()[-1]


def test_published_checkpoints_that_are_not_here_are_no_problem(
    run: Any, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    names = ["mmpose/resnet50_coco_256x192", str(weights / "simcc.safetensors")]
    done = run("suite", "validate", written(tmp_path, weights, {}, checkpoints=names))
    assert done.code == 0
    assert "mmpose/resnet50_coco_256x192 is published, but its file is not at" in done.out
    assert "claim c1: no cell has paradigm heatmap" in done.out


def test_data_are_read_where_asked(run: Any, people: Path, weights: Path, tmp_path: Path) -> None:
    suite = written(tmp_path, weights, {}, datasets=[str(people)])
    assert run("suite", "validate", suite, "--data").code == 0
    gone = written(tmp_path, weights, {}, datasets=["/nowhere/people"])
    assert run("suite", "validate", gone, "--data").code == 2
    assert "no data set" in run("suite", "validate", written(
        tmp_path, weights, {}, datasets=["cocoo"]
    )).err  # fmt: skip


@pytest.mark.parametrize("metric", ["PCK@0.1", "median error", "left_wrist", "ECE"])
def test_any_score_can_be_claimed(run: Any, weights: Path, tmp_path: Path, metric: str) -> None:
    assert run("suite", "validate", written(tmp_path, weights, {"metric": metric})).code == 0


@pytest.mark.parametrize("name", ["capacity", "published_pairs", "lab/no_deconv"])
def test_shipped_suites_are_sound(run: Any, name: str) -> None:
    done = run("suite", "validate", name)
    assert done.code == 0, done.err
    assert "is sound" in done.out


@pytest.mark.parametrize(
    ("claim", "more", "said"),
    [
        ({"metric": "PCK"}, {}, "there is no metric 'PCK'. Did you mean 'PCK@"),
        ({"margin": 2}, {}, "a margin of 2 is 200 points of AP"),
        ({}, {"scoring": {"replicates": 0}}, "asks for no resamples"),
        (
            {"treatment": {"checkpoint": "simc"}},
            {},
            "no cell has checkpoint simc, which treatment asks for; there is heatmap, simcc",
        ),
        ({"match_by": ["labels.pair"]}, {}, "no cell of the treatment has labels.pair"),
    ],
)
def test_a_run_refuses_claims_that_it_could_never_test(
    run: Any, people: Path, weights: Path, tmp_path: Path, claim: Any, more: Any, said: str
) -> None:
    suite = written(tmp_path, weights, claim, datasets=[str(people)], **more)
    out = tmp_path / "run"
    for dry in ((), ("--dry-run",)):
        done = run("run", suite, "--out", out, *dry)
        assert done.code == 2
        assert said in done.err and "nothing was run" in done.err
        assert not list(out.glob("*.yaml")) and not list(out.glob("cells/*"))


def test_a_run_goes_on_where_a_checkpoint_alone_keeps_a_claim_from_its_cells(
    run: Any, people: Path, weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "cut.safetensors").write_bytes(b"cut off")
    names = [str(weights / "heatmap.safetensors"), str(tmp_path / "cut.safetensors")]
    suite = written(tmp_path, weights, {}, checkpoints=names, datasets=[str(people)])
    done = run("run", suite, "--out", tmp_path / "run")
    assert done.code == 3, done.err
    assert "untested" in done.out and len(list((tmp_path / "run" / "cells").iterdir())) == 2


def test_a_run_goes_on_where_cells_of_a_claim_fail(
    run: Any, people: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from posebench.networks.codecs import SimccCodec

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(SimccCodec, "decode", fails)
    suite = written(tmp_path, weights, {}, datasets=[str(people)])
    done = run("run", suite, "--out", tmp_path / "run")
    assert done.code == 3, done.err
    assert "untested" in done.out and "out of memory" in done.out


@pytest.mark.parametrize("name", ["ci", "crowd", "decoders", "quickstart", "resolution"])
def test_shipped_suites_are_planned_by_run(run: Any, tmp_path: Path, name: str) -> None:
    done = run("run", name, "--limit", 2, "--dry-run", "--out", tmp_path / "run")
    assert done.code == 0, done.err


def test_data_to_train_on_are_where_a_root_says(run: Any, people: Path, tmp_path: Path) -> None:
    suite = tmp_path / "mine.yaml"
    suite.write_text(
        "{name: n, description: d, trained: {base: recipes/lab/base.yaml, seeds: [0], factor: [],"
        " data: [{folder: mine, split: val}], arms: {a: {}}}}"
    )
    done = run("suite", "validate", suite)
    assert done.code == 2 and "no data to train on" in done.err
    done = run("suite", "validate", suite, "--data-root", f"mine={people}")
    assert (done.code, done.out, done.err) == (0, f"{suite} is sound: n, 1 cells, 0 claims.\n", "")
    done = run("suite", "validate", suite, "--data-root", f"min={people}")
    assert done.code == 2 and "no suite trains on 'min'" in done.err
