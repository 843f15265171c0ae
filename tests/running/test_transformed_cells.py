"""Transforms as an axis of a suite: cells, keys, and numbers that stay as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import posebench, small_checkpoint

from posebench.files.records import mapping_from_record
from posebench.results.cell import CellResult
from posebench.results.store import read_run
from posebench.running.request import ProgressDisplay, RunRequest
from posebench.running.run_suite import run_suite
from posebench.suites.suite import ScoringEntry, Suite
from posebench.suites.transforms import parse_transform


def request(folder: Path, people: Path, out: str, **changes: Any) -> RunRequest:
    fields: dict[str, Any] = {
        "checkpoints": ("*.safetensors",),
        "datasets": (str(people),),
        "scoring": ScoringEntry(replicates=50),
    }
    suite = Suite("small", "d", **{**fields, **changes})
    return RunRequest(suite, (), folder, folder / out)


def ran(asked: RunRequest) -> dict[str, CellResult]:
    run_suite(asked, ProgressDisplay(lambda *_: None))
    return {cell.id: cell.result for cell in read_run(asked.out).cells}


def kept_identities(run: Path) -> dict[str, Any]:
    found = {}
    for path in (run / "predictions").glob("*.npz"):
        with np.load(path) as stored:
            found[path.stem] = json.loads(str(stored["identity"]))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transformed")
    for paradigm in ("heatmap", "simcc"):
        small_checkpoint(folder / f"{paradigm}.safetensors", paradigm)
    return folder


def test_each_transform_is_a_cell_and_part_of_its_protocol(folder: Path, people: Path) -> None:
    transforms = ("none", "w3", "tokens-a3", "prune-50-channel")
    cells = ran(request(folder, people, "axis", transforms=transforms))
    assert len(cells) == 8
    for name, result in cells.items():
        assert result.status == "ok"
        transform = result.protocol.transform
        assert name.endswith(transform) == (transform != "none")
        assert (result.transform is None) == (transform == "none")
        crops = result.protocol.calibration_crops
        assert crops == (result.protocol.instances if transform == "tokens-a3" else None)
    metrics = {json.dumps(result.metrics) for result in cells.values()}
    assert len(metrics) > 4  # each does something


def test_without_a_transform_numbers_and_keys_stay(folder: Path, people: Path) -> None:
    plain = ran(request(folder, people, "plain"))
    both = ran(request(folder, people, "both", transforms=("w3", "none")))
    for name, result in plain.items():
        assert both[name].metrics == result.metrics
        assert both[name].intervals == result.intervals
    old, new = kept_identities(folder / "plain"), kept_identities(folder / "both")
    assert old.items() <= new.items()
    # What a version without transforms asked for, and nothing else.
    assert all("transform" not in identity for identity in old.values())
    others = [identity for name, identity in new.items() if name not in old]
    wanted = mapping_from_record(parse_transform("w3"))
    assert [identity["transform"] for identity in others] == [wanted, wanted]


def test_a_cell_that_would_not_be_honest_is_unsupported(folder: Path, people: Path) -> None:
    asked = request(
        folder,
        people,
        "refused",
        transforms=("w3",),
        sizes=("96x80",),
        policies=("native", "interpolate"),
        precision=("fp32", "bf16"),
    )
    cells = ran(asked)
    found = {
        (r.checkpoint.paradigm, r.policy, r.protocol.precision): r.status for r in cells.values()
    }
    assert found == {
        ("heatmap", "native", "fp32"): "ok",
        ("heatmap", "native", "bf16"): "unsupported",
        ("simcc", "native", "fp32"): "unsupported",
        ("simcc", "native", "bf16"): "unsupported",
        ("simcc", "interpolate", "fp32"): "unsupported",
        ("simcc", "interpolate", "bf16"): "unsupported",
    }
    reasons = {r.policy: r.reason for r in cells.values() if r.protocol.precision == "fp32"}
    assert "size-locked weights would lose what w3 made of them" in str(reasons["interpolate"])


def test_eval_takes_transforms_and_names_the_nearest(folder: Path, people: Path) -> None:
    net, out = folder / "heatmap.safetensors", folder / "results.json"
    done = posebench(
        "eval", net, "--dataset", people, "--transform", "w8,prune-50", "--replicates", 0,
        "--json", out, "--cache", "none",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "transform" in done.stdout and "prune-50" in done.stdout
    results = json.loads(out.read_text())["results"]
    assert [result["protocol"]["transform"] for result in results] == ["w8", "prune-50"]
    wrong = posebench("eval", net, "--dataset", people, "--transform", "heads-w4")
    assert wrong.returncode == 2
    assert "Did you mean 'head-w4'?" in " ".join(wrong.stderr.split())
