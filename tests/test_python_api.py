"""What `import posebench` offers: the same numbers and the same words as the command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from small_run import small_checkpoint
from small_store import made_up_table, result, run_folder

import posebench
from posebench.datasets import load_annotations
from posebench.errors import CheckpointError, DataError, PosebenchError, UsageError
from posebench.judging import judge_run
from posebench.reporting.notebook import EvaluatedRun
from posebench.results import read_run
from posebench.suites.claims import Claim


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("checkpoint") / "heatmap.safetensors")


@pytest.fixture(scope="module")
def evaluated(
    people: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> EvaluatedRun:
    out = tmp_path_factory.mktemp("runs") / "run"
    return posebench.evaluate(checkpoint, people, out=out, scoring={"replicates": 20})


def test_importing_loads_nothing_heavy() -> None:
    heavy = ("torch", "pandas", "numpy", "cv2", "pydantic", "yaml")
    code = f"import sys, posebench; print(sorted({{*{heavy}}} & {{*sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_model_predicts_what_a_run_predicts(
    people: Path, checkpoint: Path, evaluated: EvaluatedRun
) -> None:
    model = posebench.load(checkpoint)
    (cell,) = evaluated.run.cells
    kept = evaluated.run.predictions(cell)
    for image in load_annotations(next(people.rglob("*.json")), next(people.glob("val*"))).images:
        rows = np.flatnonzero(kept.image_ids == image.id)
        by_path = model.predict(image.path, kept.bbox_xyxy[rows])
        pixels = cv2.imread(str(image.path))
        by_pixels = model.predict(pixels, kept.bbox_xyxy[rows].tolist())
        for keypoints, scores in (by_path, by_pixels):
            np.testing.assert_allclose(keypoints, kept.keypoints[rows], atol=1e-4)
            np.testing.assert_allclose(scores, kept.keypoint_scores[rows], atol=1e-5)
    assert repr(model) == "<Model heatmap: heatmap, ResNet-18(w=4)/stage3, 64x48, 17 keypoints>"
    assert model.keypoints.keypoints[0] == "nose"


def test_boxes_of_an_image_do_not_move_one_another(checkpoint: Path) -> None:
    model = posebench.load(str(checkpoint), engine="eager")
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    boxes = [[x, 5, x + 30, 80] for x in range(0, 80, 8)]
    keypoints, scores = model.predict(image, boxes, flip=False)
    assert (keypoints.shape, scores.shape) == ((10, 17, 2), (10, 17))
    alone, _ = model.predict(image, boxes[9:], flip=False)
    np.testing.assert_allclose(keypoints[9:], alone, atol=1e-3)
    whole, _ = model.predict(image, flip=False)
    np.testing.assert_array_equal(whole, model.predict(image, [[0, 0, 119, 89]], flip=False)[0])
    nobody, no_scores = model.predict(image, [])
    assert (nobody.shape, no_scores.shape) == ((0, 17, 2), (0, 17))
    larger, _ = model.predict(image, boxes, size="96x64", decoder="argmax")
    assert larger.shape == (10, 17, 2)


@pytest.mark.parametrize(
    ("image", "boxes", "options", "said"),
    [
        (np.zeros((4, 4), np.uint8), None, {}, r"shape \(4, 4\)"),
        (np.zeros((4, 4, 3)), None, {}, "array of float64"),
        ("none.jpg", None, {}, "There is no image none.jpg"),
        (np.zeros((4, 4, 3), np.uint8), [[1, 2, 3]], {}, r"shape \(1, 3\)"),
        (np.zeros((4, 4, 3), np.uint8), [[3, 3, 1, 1]], {}, "Box 0 .* is empty"),
        (np.zeros((4, 4, 3), np.uint8), [["a"]], {}, "no array of numbers"),
        (np.zeros((4, 4, 3), np.uint8), None, {"size": "65x48"}, "multiples of"),
        (np.zeros((4, 4, 3), np.uint8), None, {"size": "big"}, "big"),
        (np.zeros((4, 4, 3), np.uint8), None, {"decoder": "direct"}, "no direct decoder"),
    ],
)
def test_what_cannot_be_predicted_is_said(
    checkpoint: Path, image: Any, boxes: Any, options: Any, said: str
) -> None:
    with pytest.raises(PosebenchError, match=said):
        posebench.load(checkpoint).predict(image, boxes, **options)


def test_int8_needs_a_data_set(checkpoint: Path) -> None:
    with pytest.raises(PosebenchError, match="int8"):
        posebench.load(checkpoint, precision="int8")


def test_a_run_is_a_table_and_the_command_line_s_text(
    run: Callable[..., Any], people: Path, checkpoint: Path, evaluated: EvaluatedRun
) -> None:
    table = evaluated.table()
    assert table.checkpoint.tolist() == ["heatmap"] and table.status.tolist() == ["ok"]
    page = evaluated._repr_html_()
    assert page.startswith("<table>") and "PCK@0.1" in page
    printed = run("eval", checkpoint, "--dataset", people, "--replicates", 20).out
    without_speed = [line.rpartition("  ")[0] for line in printed.splitlines()]
    assert [line.rpartition("  ")[0] for line in str(evaluated).splitlines()] == without_speed
    again = posebench.load_results(evaluated.folder, evaluated.folder)
    assert again.run.tolist() == [str(evaluated.folder)] * 2
    assert again.AP.tolist() == [table.AP[0]] * 2


def test_without_a_folder_the_run_lasts_as_long_as_the_program(
    people: Path, checkpoint: Path
) -> None:
    made = posebench.evaluate(
        [checkpoint], {"name": str(people), "limit": 1}, sizes=["native", "32x32"],
        scoring={"replicates": 0},
    )  # fmt: skip
    assert made.folder.is_dir() and len(made.table()) == 2
    code = (
        "import posebench\n"
        f"run = posebench.evaluate({str(checkpoint)!r}, {str(people)!r}, limit=1)\n"
        "print(run.folder)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not Path(done.stdout.strip()).exists()


def test_words_are_those_of_the_command_line(run: Callable[..., Any], people: Path) -> None:
    for call, command in (
        (lambda: posebench.load("none.pth"), ("inspect", "none.pth")),
        (lambda: posebench.evaluate("none.pth"), ("eval", "none.pth")),
        (lambda: posebench.verdicts("none"), ("claims", "none")),
        (lambda: posebench.load_results("none"), ("table", "none")),
        (lambda: posebench.score("a.json", annotations="b.json"),
         ("score", "a.json", "--ann", "b.json")),
    ):  # fmt: skip
        with pytest.raises(PosebenchError) as raised:
            call()
        said = run(*command).err
        assert raised.value.message in " ".join(said.split()).removeprefix("error: ")
    with pytest.raises(CheckpointError, match="There is no file"):
        posebench.load("none.pth")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"polices": "native"}, "no option 'polices'"),
        ({"policies": "natural"}, "policies"),
        ({"sizes": "64"}, "64"),
        ({"claims": "none"}, "no claim 'none'"),
        ({"trained": {}}, "no option 'trained'"),
    ],
)
def test_what_no_suite_can_say(checkpoint: Path, fields: Any, said: str) -> None:
    with pytest.raises(PosebenchError, match=said):
        posebench.evaluate(checkpoint, **fields)


def test_verdicts_of_a_run_in_any_form(tmp_path: Path) -> None:
    claim = Claim(
        "c", "s", treatment={"checkpoint": "simcc-s"}, control={"checkpoint": "heatmap-s"}
    )
    cells = {"a": result("heatmap-s", 0.5), "b": result("simcc-s", 0.7)}
    tables = {"a": made_up_table(0.5), "b": made_up_table(0.7)}
    folder = run_folder(tmp_path / "run", cells, tables, (claim,))
    kept = read_run(folder)
    found = judge_run(folder)
    assert [verdict.claim.id for verdict in found] == ["c"]
    for form in (folder, str(folder), kept, EvaluatedRun(kept)):
        assert posebench.verdicts(form) == found
    assert EvaluatedRun(kept).verdicts() == found


def test_scores_are_those_of_the_command(
    run: Callable[..., Any], people: Path, checkpoint: Path, tmp_path: Path
) -> None:
    annotations, results = next(people.rglob("*.json")), tmp_path / "dt.json"
    run("eval", checkpoint, "--dataset", people, "--replicates", 0, "--predictions", results)
    scores = posebench.score(results, results, annotations=annotations, replicates=20)
    assert (
        str(scores) == run("score", results, results, "--ann", annotations, "--replicates", 20).out
    )
    table = scores.table()
    assert len(table) == 2 * len(scores.report.scores[0].metrics)
    assert (table.difference.dropna() == 0).all() and len(table.difference.dropna())
    page = scores._repr_html_()
    heads = re.findall(r'<th scope="col">(.*?)</th>', page)
    assert heads == ["points", "A", "B", "B − A", "p (Holm)"]
    assert "+0.0" in page
    with pytest.raises(UsageError, match="no option 'replicate'"):
        posebench.score(results, annotations=annotations, replicate=20)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="format 'yolo' is not known"):
        posebench.score(results, annotations=annotations, format="yolo")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no results file"):
        posebench.score(annotations=annotations)
    assert json.loads(results.read_text())
    with pytest.raises(DataError):
        posebench.score(annotations, annotations=annotations)
