"""Results as other tools write them: each layout gives the numbers of the same COCO results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import posebench
from posebench.errors import DataError
from posebench.scoring.formats.folders import OPENPOSE_ORDERS

Row = dict[str, Any]
# As ultralytics 8.3 (`PoseValidator.pred_to_json`), Detectron2 0.6 (`instances_to_coco_json`),
# AlphaPose (`write_json`), openpifpaf 0.13 (`--json-output`), OpenPose 1.7 (`--write_json`) and
# MMPose 1.3.2 (`--pred-out-dir`) write them.


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Return annotations of 30 persons in 12 images, whose ids their file names do not tell."""
    rng = np.random.default_rng(0)
    images = [
        {"id": 700 + index, "file_name": f"val/{index + 1:06d}.jpg", "width": 640, "height": 480}
        for index in range(12)
    ]
    annotations = []
    for index in range(30):
        corner = rng.uniform(20, 200, 2)
        points = corner + rng.uniform(0, 120, (17, 2))
        keypoints = np.concatenate([points, np.full((17, 1), 2)], axis=1)
        annotations.append(
            {
                "id": index + 1,
                "image_id": 700 + index % 12,
                "category_id": 1,
                "keypoints": keypoints.reshape(-1).tolist(),
                "num_keypoints": 17,
                "bbox": [*corner.tolist(), 120.0, 120.0],
                "area": 9000.0,
                "iscrowd": 0,
            }
        )
    path = tmp_path / "gt.json"
    categories = [{"id": 1, "name": "person"}]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return path


@pytest.fixture
def rows(truth: Path) -> list[Row]:
    """Return sound COCO results: the persons, moved at random, with the mean score of each."""
    rng = np.random.default_rng(1)
    found = []
    for person in json.loads(truth.read_text())["annotations"]:
        points = np.array(person["keypoints"]).reshape(17, 3)
        points[:, :2] += rng.normal(0, rng.uniform(1, 12), (17, 2))
        points[:, 2] = rng.random(17)
        found.append(
            {
                "image_id": person["image_id"],
                "category_id": 1,
                "keypoints": points.reshape(-1).tolist(),
                "score": float(points[:, 2].mean()),
            }
        )
    return found


def name_of(row: Row) -> str:
    return f"{row['image_id'] - 699:06d}"


def nested(row: Row, width: int = 3) -> list[list[float]]:
    numbers = row["keypoints"]
    return [numbers[start : start + width] for start in range(0, len(numbers), 3)]


def ultralytics(row: Row) -> Row:
    name = name_of(row)
    return {**row, "image_id": int(name), "file_name": f"{name}.jpg", "bbox": [1, 1, 99, 99]}


def older_ultralytics(row: Row) -> Row:
    return {**row, "image_id": int(name_of(row)), "category_id": 0, "bbox": [1, 1, 99, 99]}


def detectron2(row: Row) -> Row:
    path = f"datasets/val/{name_of(row)}.jpg"
    return {**row, "image_id": path, "category_id": 0, "bbox": [1, 1, 99, 99]}


def alphapose(row: Row) -> Row:
    return {**row, "image_id": f"{name_of(row)}.jpg", "box": [1, 1, 99, 99], "idx": [0.0]}


def bottom_up(row: Row) -> Row:
    """Nested keypoints without a score for the person."""
    return {"image_id": row["image_id"], "category_id": 1, "keypoints": nested(row)}


def quoted(row: Row) -> Row:
    return {**row, "image_id": str(row["image_id"])}


def boxed(row: Row) -> Row:
    return {**row, "bbox": [1, 1, 99, 99]}


def ap_of(truth: Path, path: Path, **options: Any) -> tuple[dict[str, Any], Any]:
    scores = posebench.score(path, annotations=truth, replicates=0, **options)
    (score,) = scores.report.scores
    return {name: estimate.value for name, estimate in score.metrics.items()}, score


def written(folder: Path, rows: list[Row], name: str = "dt.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize(
    ("change", "same", "read_as", "said"),
    [
        (ultralytics, boxed, "ultralytics' predictions.json", "file name (30)"),
        (older_ultralytics, boxed, "Detectron2's results", "number in the file name (30)"),
        (detectron2, boxed, "Detectron2's results", "count from 0, or are missing"),
        (alphapose, dict, "AlphaPose's results", "file name (30)"),
        (bottom_up, dict, "COCO results", "mean of the keypoints' scores (30)"),
        (quoted, dict, "COCO results", "file name (30)"),
    ],
)
def test_other_layouts_give_the_same_numbers(
    truth: Path, rows: list[Row], tmp_path: Path, change: Any, same: Any, read_as: str, said: str
) -> None:
    wanted, plain = ap_of(truth, written(tmp_path, [same(row) for row in rows]))
    assert 0.2 < wanted["AP"] < 0.9 and plain.format == "COCO results"
    assert not [line for line in plain.findings if "adapted" in line]
    found, score = ap_of(truth, written(tmp_path, [change(row) for row in rows], "other.json"))
    assert found == pytest.approx(wanted, abs=1e-12)
    assert score.format == read_as
    assert said in " ".join(score.findings)


def test_names_that_the_tool_chose_are_not_needed(
    truth: Path, rows: list[Row], tmp_path: Path
) -> None:
    wanted, _ = ap_of(truth, written(tmp_path, [boxed(row) for row in rows]))
    path = written(tmp_path, [older_ultralytics(row) for row in rows], "other.json")
    found, score = ap_of(truth, path, format="ultralytics")
    assert found == pytest.approx(wanted) and score.format == "ultralytics' predictions.json"


def test_exactly_coco_refuses_what_auto_reads(truth: Path, rows: list[Row], tmp_path: Path) -> None:
    for change in (bottom_up, quoted, alphapose):
        path = written(tmp_path, [change(row) for row in rows])
        with pytest.raises(DataError, match="cannot be used"):
            ap_of(truth, path, format="coco")


def per_person(folder: Path, rows: list[Row], ending: str, of: Any) -> Path:
    """Write a file for each image, as `of` makes it from the image's rows."""
    folder.mkdir()
    for name in {name_of(row) for row in rows}:
        own = [row for row in rows if name_of(row) == name]
        (folder / f"{name}{ending}").write_text(json.dumps(of(own)))
    return folder


def openpose(rows: list[Row]) -> Any:
    people = []
    for row in rows:
        points = np.zeros((25, 3))
        points[list(OPENPOSE_ORDERS[25])] = np.array(row["keypoints"]).reshape(17, 3)
        people.append({"person_id": [-1], "pose_keypoints_2d": points.reshape(-1).tolist()})
    return {"version": 1.3, "people": people}


def openpifpaf(rows: list[Row]) -> Any:
    return [
        {"keypoints": r["keypoints"], "bbox": [1, 1, 9, 9], "score": r["score"], "category_id": 1}
        for r in rows
    ]


def mmpose(rows: list[Row]) -> Any:
    return [
        {
            "keypoints": nested(row, 2),
            "keypoint_scores": row["keypoints"][2::3],
            "bbox": [[1, 1, 99, 99]],
            "bbox_score": row["score"],
        }
        for row in rows
    ]


@pytest.mark.parametrize(
    ("of", "ending"),
    [
        (openpose, "_keypoints.json"),
        (openpifpaf, ".jpg.predictions.json"),
        (mmpose, ".json"),
    ],
)
def test_a_folder_with_a_file_for_each_image(
    truth: Path, rows: list[Row], tmp_path: Path, of: Any, ending: str
) -> None:
    same = boxed if of is openpifpaf else dict
    sized = [{**same(row), **({"bbox": [1, 1, 9, 9]} if same is boxed else {})} for row in rows]
    wanted, _ = ap_of(truth, written(tmp_path, sized))
    folder = per_person(tmp_path / "results", rows, ending, of)
    found, score = ap_of(truth, folder)
    assert found == pytest.approx(wanted, abs=1e-12)
    assert score.format == "a folder with a file for each image"


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({}, "holds no list of persons"),
        ([1], "holds no list of persons"),
        ({"people": [{"pose_keypoints_2d": [1, 2, 3]}]}, "BODY_25"),
    ],
)
def test_folders_of_something_else(truth: Path, tmp_path: Path, held: Any, said: str) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    with pytest.raises(DataError, match=r"without \.json files"):
        ap_of(truth, folder)
    (folder / "000001.json").write_text(json.dumps(held))
    with pytest.raises(DataError, match=said):
        ap_of(truth, folder)
    with pytest.raises(DataError, match="is a folder"):
        ap_of(truth, folder, format="detectron2")
    with pytest.raises(DataError, match="is no folder"):
        ap_of(truth, folder / "000001.json", format="per-image")


def test_a_score_that_one_result_lacks_is_a_fault(
    truth: Path, rows: list[Row], tmp_path: Path
) -> None:
    del rows[3]["score"]
    with pytest.raises(DataError, match="`score` is missing: entry 3"):
        ap_of(truth, written(tmp_path, rows))
    rows[3]["score"], rows[4]["keypoints"] = 0.5, rows[4]["keypoints"][:34]
    with pytest.raises(DataError, match="34 numbers, not 51: entry 4"):
        ap_of(truth, written(tmp_path, rows))


def test_a_score_that_only_the_first_result_lacks_is_a_fault(
    truth: Path, rows: list[Row], tmp_path: Path
) -> None:
    whole = rows[0]
    rows[0] = {key: value for key, value in whole.items() if key != "score"}
    with pytest.raises(DataError, match="Only 29 of 30 results have a score"):
        ap_of(truth, written(tmp_path, rows))
    rows[0] = {**whole, "keypoints": nested(whole, 2)}
    with pytest.raises(DataError, match="Only 29 of 30 results have a score of each keypoint"):
        ap_of(truth, written(tmp_path, rows))


def test_a_name_that_no_image_has_is_a_fault(truth: Path, rows: list[Row], tmp_path: Path) -> None:
    path = written(tmp_path, [{**alphapose(row), "image_id": "none.jpg"} for row in rows])
    with pytest.raises(DataError, match="`image_id` is text"):
        ap_of(truth, path)


def test_keypoints_without_scores_are_warned_of(
    truth: Path, rows: list[Row], tmp_path: Path
) -> None:
    path = written(tmp_path, [{**row, "keypoints": nested(row, 2)} for row in rows])
    found, score = ap_of(truth, path)
    assert found == pytest.approx(ap_of(truth, written(tmp_path, rows, "b.json"))[0])
    assert any(
        line.startswith("warning: Results with keypoints without scores, taken to score 1 (30)")
        for line in score.findings
    )


def test_the_official_evaluator_gets_what_was_read(
    truth: Path, rows: list[Row], tmp_path: Path
) -> None:
    path = written(tmp_path, [alphapose(row) for row in rows])
    found, score = ap_of(truth, path, official=True)
    assert score.official == pytest.approx(found, abs=1e-10)


def test_the_command_says_what_it_took_a_file_for(
    run: Callable[..., Any], truth: Path, rows: list[Row], tmp_path: Path
) -> None:
    path = written(tmp_path, [alphapose(row) for row in rows])
    for command in ("score", "diagnose"):
        done = run(command, path, "--ann", truth, "--replicates", 5)
        assert done.code == 0 and "image ids found by file name (30)" in done.out
        done = run(command, path, "--ann", truth, "--format", "coco")
        assert done.code == 2 and "is text, not a whole number" in done.err
        done = run(command, path, "--ann", truth, "--format", "alpha")
        assert done.code == 2 and "Did you mean 'alphapose'?" in done.err
    assert "read as AlphaPose's results" in run("score", path, "--ann", truth).out
