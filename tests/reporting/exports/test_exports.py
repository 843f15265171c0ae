"""Runs handed on: what each form holds is what the run holds."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from small_run import small_checkpoint
from small_store import result, run_folder

import posebench
from posebench.errors import DataError, UsageError
from posebench.reporting.exports import EXPORTS, ExportRequest, export_run
from posebench.results import Run, read_run


@pytest.fixture(scope="module")
def evaluated(people: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("exported")
    files = [
        small_checkpoint(folder / f"{name}.safetensors", name) for name in ("heatmap", "simcc")
    ]
    run = posebench.evaluate(
        files, people, out=folder / "run", sizes=["native", "32x32"], scoring={"replicates": 20}
    )
    return run.run


def written(run: Run, form: str, out: Path) -> list[Path]:
    lines = export_run(ExportRequest(run.folder, form, out))
    assert lines[-1] == "1 of 4 cells have no numbers and are left out."
    return sorted(out.iterdir())


def test_a_model_card_has_every_score_with_its_interval(evaluated: Run, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    cards = written(evaluated, "model-index", tmp_path / "cards")
    assert [path.name for path in cards] == ["heatmap.md", "simcc.md"]
    card = hub.ModelCard.load(cards[0])
    assert card.data.model_name == "heatmap"
    cells = [cell for cell in evaluated.cells if cell.result.checkpoint.name == "heatmap"]
    assert len(cells) == 2
    for cell in cells:
        found = {
            each.metric_type: each
            for each in card.data.eval_results
            if each.dataset_args["size"] == str(cell.result.size)
        }
        wanted = {key: value for key, value in cell.result.metrics.items() if value is not None}
        assert found.keys() == wanted.keys()
        assert found["AP"].metric_value == pytest.approx(100 * wanted["AP"], abs=0.005)
        low = cell.result.intervals.low["AP"]
        assert found["AP"].metric_args["low"] == pytest.approx(100 * low, abs=0.005)
        assert found["AP"].task_type == "keypoint-detection"
        assert found["AP"].dataset_split == "val"
        assert found["AP"].dataset_args["protocol.flip_test"] is cell.result.protocol.flip_test


def test_a_submission_scores_as_the_cell_did(evaluated: Run, people: Path, tmp_path: Path) -> None:
    files = written(evaluated, "coco-submission", tmp_path / "out")
    assert len(files) == 6
    scores = [cell.result.metrics["AP"] for cell in evaluated.cells if cell.result.metrics]
    again = []
    for path in (path for path in files if path.suffix == ".json"):
        assert path.name.startswith("person_keypoints_people")
        assert path.name.endswith("_results.json")
        rows = json.loads(path.read_text())
        assert {tuple(row) for row in rows} == {("image_id", "category_id", "keypoints", "score")}
        with zipfile.ZipFile(path.with_suffix(".zip")) as archive:
            assert archive.namelist() == [path.name]
            assert json.loads(archive.read(path.name)) == rows
        report = posebench.score(
            path, annotations=next(people.rglob("*.json")), replicates=0, format="coco"
        ).report
        again.append(report.scores[0].metrics["AP"].value)
    assert sorted(again) == pytest.approx(sorted(scores), abs=1e-12)


def test_coco_s_test_set_is_named(evaluated: Run) -> None:
    from posebench.reporting.exports.coco_submission import testset_of

    assert testset_of("coco", "val") == "val2017"
    assert testset_of("coco", "test-dev2017") == "test-dev2017"
    assert testset_of("my set", "val") == "my-set"
    assert testset_of("coco", None) == "coco"


def test_fiftyone_gets_a_sound_coco_file(evaluated: Run, people: Path, tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    files = written(evaluated, "fiftyone", tmp_path / "out")
    assert len(files) == 3
    for path in files:
        coco = COCO(str(path))
        (category,) = coco.loadCats(coco.getCatIds())
        assert category["name"] == "person" and len(category["keypoints"]) == 17
        for row in coco.loadAnns(coco.getAnnIds()):
            points = np.array(row["keypoints"]).reshape(17, 3)
            assert (points[:, 2] == 2).all() and len(row["keypoint_scores"]) == 17
            image = coco.imgs[row["image_id"]]
            assert any(people.rglob(image["file_name"])) and image["width"] > 0
            assert 0 <= row["score"] <= 1 and len(row["bbox"]) == 4
        numbers = json.loads(path.read_text())["info"]["numbers"]
        assert numbers["AP low"] <= numbers["AP"] <= numbers["AP high"]


def test_what_cannot_be_handed_on(run: Callable[..., Any], evaluated: Run, tmp_path: Path) -> None:
    failed = run_folder(tmp_path / "failed", {"a": result(ap=None)})
    with pytest.raises(DataError, match="No cell of"):
        export_run(ExportRequest(failed, "model-index", tmp_path / "x"))
    without = run_folder(tmp_path / "without", {"a": result()})
    with pytest.raises(DataError, match="were not kept"):
        export_run(ExportRequest(without, "coco-submission", tmp_path / "x"))
    with pytest.raises(DataError, match="which are not there"):
        export_run(ExportRequest(without, "fiftyone", tmp_path / "x"))
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot be a folder"):
        export_run(ExportRequest(evaluated.folder, "model-index", tmp_path / "file"))
    done = run("export", evaluated.folder, "--format", "model_index")
    assert done.code == 2 and "Did you mean 'model-index'?" in done.err
    done = run("export", evaluated.folder, "--format", "fiftyone")
    assert done.code == 2 and "--out" in done.err
    done = run("export", evaluated.folder, "--format", "model-index", "--out", tmp_path / "cards")
    assert done.code == 0 and "heatmap.md: 2 results" in done.out


@pytest.mark.parametrize("library", ["wandb", "mlflow"])
def test_a_missing_library_is_said(evaluated: Run, library: str) -> None:
    code = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from posebench.cli import main\n"
        f"main(['export', {str(evaluated.folder)!r}, '--format', {library!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f'pip install "posebench-pose[{library}]"' in done.stderr


def has(*names: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in names)


def exported_by(run: Run, form: str, out: Path, **variables: str) -> None:
    """Run the command in a process of its own: these libraries set up the one they are used in."""
    import os

    arguments = ("export", run.folder, "--format", form, "--out", out, "--project", "poses")
    done = subprocess.run(
        [sys.executable, "-m", "posebench", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **variables},
    )
    assert done.returncode == 0, done.stderr
    assert "1 of 4 cells have no numbers" in done.stdout


@pytest.mark.skipif(not has("wandb"), reason="needs the extra `wandb`")
def test_weights_and_biases_keeps_runs_offline(evaluated: Run, tmp_path: Path) -> None:
    exported_by(evaluated, "wandb", tmp_path / "out", WANDB_MODE="offline", WANDB_SILENT="true")
    kept = sorted((tmp_path / "out" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(kept) == 3
    assert all(b"PCK@0.1" in path.read_bytes() for path in kept)


@pytest.mark.skipif(not has("mlflow", "sqlalchemy"), reason="needs the extra `mlflow`")
def test_mlflow_tracks_in_a_folder(evaluated: Run, tmp_path: Path) -> None:
    exported_by(evaluated, "mlflow", tmp_path / "out")
    with sqlite3.connect(tmp_path / "out" / "mlflow.db") as database:
        tracked = database.execute(
            "select runs.name, metrics.value from runs join metrics using (run_uuid) "
            "where metrics.key = 'AP' and runs.status = 'FINISHED'"
        ).fetchall()
        names = {name for (name,) in database.execute("select name from experiments")}
    database.close()
    cells = {cell.id: cell.result.metrics for cell in evaluated.cells if cell.result.metrics}
    assert {name: value / 100 for name, value in tracked} == pytest.approx(
        {name: metrics["AP"] for name, metrics in cells.items()}, abs=1e-6
    )
    assert "poses" in names


def test_every_form_says_what_it_is() -> None:
    assert all(form.says for form in EXPORTS.values())


def test_the_front_matter_is_plain_yaml(evaluated: Run, tmp_path: Path) -> None:
    for path in written(evaluated, "model-index", tmp_path / "cards"):
        text = path.read_text(encoding="utf-8")
        assert text.startswith("---\n") and text.endswith("---\n")
        assert yaml.safe_load(text.split("---\n")[1])["pipeline_tag"] == "keypoint-detection"
    assert read_run(evaluated.folder).missing == ()
