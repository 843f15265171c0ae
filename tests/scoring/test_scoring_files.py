"""`posebench score`: the library call, its report, and the command line."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from posebench.cli import app
from posebench.datasets.keypoints import COCO
from posebench.errors import DataError, EvaluationError, PosebenchError, UsageError
from posebench.scoring.files import ScoreRequest, score_files
from posebench.scoring.official import COCO_METRICS
from posebench.scoring.statistics.estimates import Resampling

NEEDS_XTCOCOTOOLS = pytest.mark.skipif(
    importlib.util.find_spec("xtcocotools") is None, reason="needs xtcocotools (Python < 3.12)"
)
QUICK = Resampling(replicates=200)
Files = tuple[Path, Path, Path]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Return annotations of 40 images, and good and bad predictions on them."""
    rng = np.random.default_rng(0)
    persons: list[dict[str, Any]] = []
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for number in range(80):
        side = 60.0 if number % 2 else 200.0
        points = rng.uniform(0.1, 0.9, (17, 2)) * side + [300 * (number % 2), 20]
        row = {"image_id": 1 + number // 2, "category_id": 1}
        persons.append(
            {
                **row,
                "id": number,
                "bbox": [300.0 * (number % 2), 20.0, side, side],
                "area": side * side * 0.6,
                "iscrowd": 0,
                "num_keypoints": 17,
                "keypoints": np.c_[points, np.full(17, 2)].ravel().tolist(),
            }
        )
        for rows, noise in ((good, 0.03), (bad, 0.08)):
            seen = points + rng.normal(0, noise * side, (17, 2)) * rng.lognormal()
            values = np.c_[seen, np.ones(17)].ravel().tolist()
            rows.append({**row, "keypoints": values, "score": float(rng.random())})
    document = {
        "images": [
            {"id": 1 + i, "file_name": f"{i}.png", "width": 640, "height": 480} for i in range(40)
        ],
        "annotations": persons,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
    }
    paths = tuple(tmp_path / name for name in ("annotations.json", "good.json", "bad.json"))
    for path, value in zip(paths, (document, good, bad), strict=True):
        path.write_text(json.dumps(value))
    return paths[0], paths[1], paths[2]


def request(files: Files, *predictions: Path, **changes: Any) -> ScoreRequest:
    plain = ScoreRequest(predictions or (files[1],), files[0], resampling=QUICK)
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_every_number_lies_in_its_interval_and_equals_the_official(
    files: Files, interval: Any
) -> None:
    resampling = Resampling(200, seed=1, interval=interval)
    report = score_files(request(files, official=True, resampling=resampling))
    (score,) = report.scores
    assert tuple(score.metrics) == COCO_METRICS
    for name, estimate in score.metrics.items():
        assert estimate.low is not None and estimate.high is not None and score.official
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.low < estimate.high
        assert estimate.value == pytest.approx(score.official[name], rel=0, abs=1e-10)
    assert (report.data.images, report.data.persons, score.detections) == (40, 80, 80)
    assert any("Annotation id 0" in finding for finding in report.data.findings)


def test_differences_are_paired_and_adjusted(files: Files) -> None:
    report = score_files(request(files, files[1], files[2], files[1]))
    worse, same = report.differences
    ap = worse.metrics["AP"]
    assert ap.value is not None and ap.high is not None and ap.high < 0
    assert ap.p is not None and ap.p_holm is not None and ap.p < ap.p_holm
    assert {(item.value, item.low, item.high) for item in same.metrics.values()} == {(0, 0, 0)}
    assert {item.p_holm for item in same.metrics.values()} == {1.0}
    spread = report.scores[0].metrics["AP"]
    assert spread.high is not None and spread.low is not None


def test_the_seed_decides(files: Files) -> None:
    first, again = (score_files(request(files)) for _ in range(2))
    other = score_files(request(files, resampling=Resampling(200, seed=5)))
    assert first == again
    assert other.scores[0].metrics["AP"].value == first.scores[0].metrics["AP"].value
    assert other.scores[0].metrics["AP"].low != first.scores[0].metrics["AP"].low


def test_area_rule_moves_area_metrics(files: Files) -> None:
    by_annotation = score_files(request(files)).scores[0].metrics
    by_box = score_files(request(files, area_rule="box")).scores[0].metrics
    assert by_box["AP"].value != by_annotation["AP"].value


def test_no_predictions_score_zero(files: Files, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text("[]")
    report = score_files(request(files, empty, files[1], official=True))
    assert {item.value for item in report.scores[0].metrics.values()} == {0.0}
    assert set((report.scores[0].official or {}).values()) == {0.0}
    gain = report.differences[0].metrics["AP"].low
    assert gain is not None and gain > 0


def test_own_keypoints_from_yaml(files: Files, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    names = [f"k{index}" for index in range(17)]
    own.write_text(
        f"name: own\nkeypoints: {names}\nsigmas: {[0.2] * 17}\nflip_pairs: []\n".replace("'", "")
    )
    raw = json.loads(files[0].read_text())
    raw["categories"][0]["keypoints"] = names
    files[0].write_text(json.dumps(raw))
    wide = score_files(request(files, dataset=str(own), official=True)).scores[0]
    assert wide.official is not None
    assert wide.metrics["AP"].value == pytest.approx(wide.official["AP"], rel=0, abs=1e-10)
    narrow = score_files(request(files, dataset="coco")).scores[0].metrics["AP"].value
    assert narrow is not None and (wide.metrics["AP"].value or 0) > narrow


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"dataset": "crowdpose"}, DataError, "without a crowdIndex"),
        ({"dataset": "coca"}, UsageError, "coca"),
        ({"annotations": Path("none.json")}, DataError, "There is no annotation file"),
        ({"predictions": (Path("none.json"),)}, DataError, "There is no results file"),
    ],
)
def test_refusals(
    files: Files, changes: dict[str, Any], error: type[PosebenchError], message: str
) -> None:
    with pytest.raises(error, match=message):
        score_files(request(files, **changes))


def test_predictions_of_other_images(files: Files) -> None:
    rows = json.loads(files[1].read_text())
    rows[5]["image_id"] = 4711
    files[1].write_text(json.dumps(rows))
    with pytest.raises(EvaluationError, match="first: 4711"):
        score_files(request(files))


def test_the_command_prints_and_writes(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "out" / "scores.json"
    arguments = ["score", str(files[1]), str(files[2]), "--ann", str(files[0]), "--official"]
    result = CliRunner().invoke(
        app, [*arguments, "--json", str(out), "--replicates", "100", "--interval", "bca"]
    )
    assert result.exit_code == 0, result.output
    for part in ("B − A", "p (Holm)", "AP75", "BCa intervals", "pycocotools", "0.0e+00"):
        assert part in result.output
    document = json.loads(out.read_text())
    assert document["report"]["scores"][1]["metrics"]["AP"]["low"] is not None
    assert len(document["report"]["scores"][0]["sha256"]) == 64
    assert document["environment"]["packages"]["numpy"]


def test_real_files_of_two_networks(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "evaluator"
    pair = tuple(folder / f"coco_val250_dt_{name}.json" for name in "ab")
    report = score_files(ScoreRequest(pair, folder / "coco_val250_gt.json", official=True))
    for score in report.scores:
        for name, estimate in score.metrics.items():
            assert score.official is not None
            assert estimate.value == pytest.approx(score.official[name], rel=0, abs=1e-10)
    for estimate in report.differences[0].metrics.values():
        assert estimate.high is not None and estimate.high < 0


@NEEDS_XTCOCOTOOLS
def test_the_crowdpose_example_by_command(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "crowdpose"
    predictions, annotations = (
        str(folder / f"example_crowdpose_{name}.json") for name in ("preds", "val")
    )
    arguments = ["score", predictions, "--ann", annotations, "--dataset", "crowdpose"]
    result = CliRunner().invoke(app, [*arguments, "--official", "--replicates", "50"])
    assert result.exit_code == 0, result.output
    assert "0.78772159358793    0.78772159358793     0.0e+00" in result.output
    paper = CliRunner().invoke(
        app, [*arguments, "--official", "--crowd-split", "paper", "--replicates", "50"]
    )
    assert "AP(easy, 0.1/0.8)" in paper.output and "not reported" in paper.output
