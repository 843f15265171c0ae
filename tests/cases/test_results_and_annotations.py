"""Annotations and results as people have them: the evaluators' own number, or what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzed_files import pycocotools_says

from posebench.datasets.keypoints import COCO

REFERENCE = 0.47473461053451
Score = Callable[..., Any]


@pytest.fixture
def score(run: Any, files: Any, tmp_path: Path) -> Score:
    """Return a function that scores the files as they are; gives its words and its AP."""

    def command(*options: object, official: bool = True) -> tuple[Any, float]:
        out = tmp_path / "scores.json"
        ask = ("score", files.write()[0], "--ann", tmp_path / "gt.json", "--replicates", 0)
        both = ("--official",) if official else ()
        done = run(*ask, "--json", out, *both, *options)
        assert done.code == 0, done
        (scores,) = json.loads(out.read_text())["report"]["scores"]
        values = [each["value"] for each in scores["metrics"].values()]
        if official:
            theirs = pycocotools_says(files.annotations, files.results)
            assert theirs is not None
            assert [-1 if value is None else value for value in values] == pytest.approx(
                theirs, abs=1e-12
            )
        return done, values[0]

    return command


@pytest.fixture
def refused(run: Any, files: Any) -> Score:
    """Return a function that says how each command refuses the files, which must be exit 2."""

    def commands(*options: object) -> list[str]:
        results, annotations = files.write()
        said = []
        for command in ("score", "diagnose"):
            done = run(command, results, "--ann", annotations, *options)
            assert done.code == 2, done
            said.append(done.err)
        return said

    return commands


def test_00_reference(score: Score) -> None:
    done, found = score()
    assert found == pytest.approx(REFERENCE, abs=1e-12)
    assert "warning" not in done.out and "note:" not in done.out


def test_01_areas_of_zero_are_refused_with_a_remedy(
    score: Score, refused: Score, files: Any
) -> None:
    for row in files.annotations["annotations"]:
        row["area"] = 0
    for said in refused():
        assert "The areas of 22 of 22 labelled persons are not square pixels" in said
        assert "--area-rule box" in said
    done, by_box = score("--area-rule", "box", official=False)
    assert 0.4 < by_box < 0.7 and "warning" not in done.out


def test_03_areas_larger_than_boxes_are_said_by_every_command(
    run: Any, score: Score, files: Any, twelve_scenes: Path, tmp_path: Path
) -> None:
    for row in files.annotations["annotations"]:
        row["area"] = 1280 * 960
    done, found = score()
    # pycocotools says so too; what cannot be is said, and how to get a number that means something.
    assert found == 1.0
    boxes = (row["bbox"] for row in files.annotations["annotations"])
    times = np.median([1280 * 960 / (width * height) for _, _, width, height in boxes])
    said = f"whose `area` is larger than their `bbox`, {times:.3g} times in the median"
    assert said in done.out and "--area-rule box" in done.out and "[area-above-box]" in done.out
    results, annotations = files.write()
    assert said in run("data", "check", annotations).out
    diagnosed = run("diagnose", results, "--ann", annotations, "--replicates", 2)
    assert said in diagnosed.out
    ask = ("--dataset", annotations, "--images", twelve_scenes / "val")
    assert said in run("eval", "heatmap-s", *ask, "--replicates", 0).out


def test_04_results_of_a_category_that_nobody_has(score: Score, refused: Score, files: Any) -> None:
    for row in files.results:
        row["category_id"] = 0
    for said in refused("--format", "coco"):
        assert "they have category_id 0, the annotations 1 (person)" in said
    # Tools that count categories from 0 write such files: read as theirs, which is said.
    done, found = score(official=False)
    assert found == pytest.approx(REFERENCE, abs=1e-12)
    assert "category ids that count from 0" in done.out and "[results-adapted]" in done.out


def test_05_categories_that_begin_at_0(score: Score, files: Any) -> None:
    files.annotations["categories"][0]["id"] = 0
    for row in (*files.annotations["annotations"], *files.results):
        row["category_id"] = 0
    assert score()[1] == pytest.approx(REFERENCE, abs=1e-12)


def test_06_two_categories_are_averaged_as_pycocotools_does(score: Score, files: Any) -> None:
    files.annotations["categories"].append(
        {**files.annotations["categories"][0], "id": 2, "name": "other"}
    )
    for row in files.annotations["annotations"][1::2]:
        row["category_id"] = 2
    done, found = score()
    assert "Annotated categories without results: 2 (other)" in done.out
    rows = {line.split()[0]: line.split()[-1] for line in done.out.splitlines() if line.strip()}
    assert rows["2"] == "0.0" and float(rows["mean"]) == pytest.approx(100 * found, abs=0.05)
    alone = score("--category", "person", official=False)[1]
    assert found == pytest.approx(alone / 2, abs=1e-12)


def test_07_keypoints_as_fractions_of_the_image(score: Score, files: Any) -> None:
    sizes = {each["id"]: (each["width"], each["height"]) for each in files.annotations["images"]}
    for row in files.results:
        for axis in (0, 1):
            side = sizes[row["image_id"]][axis]
            row["keypoints"][axis::3] = [value / side for value in row["keypoints"][axis::3]]
    done, found = score()
    assert found < 0.01
    assert "with keypoints read as fractions of the image, by 0.7" in done.out


def test_08_boxes_of_negative_width(refused: Score, files: Any) -> None:
    for row in files.results:
        x, y, width, height = row["bbox"]
        row["bbox"] = [x + width, y, -width, height]
    for said in refused():
        assert "Results with a `bbox` of negative width or height" in said


def test_10_image_ids_beyond_64_bits(run: Any, refused: Score, files: Any) -> None:
    for row in files.annotations["images"]:
        row["id"] += 2**63
    for row in (*files.annotations["annotations"], *files.results):
        row["image_id"] += 2**63
    for said in refused():
        assert "Images without an integer id (of 64 bits): 9223372036854775809" in said
    checked = run("data", "check", files.folder / "gt.json")
    assert checked.code == 2 and "integer id (of 64 bits)" in checked.out


def test_13_file_names_in_place_of_image_ids(score: Score, refused: Score, files: Any) -> None:
    names = {each["id"]: each["file_name"] for each in files.annotations["images"]}
    for row in files.results:
        row["image_id"] = names[row["image_id"]]
    for said in refused("--format", "coco"):
        assert "Results whose `image_id` is text" in said
        assert "'000000000001.png' is the file_name of image 1: write that image's id" in said
    done, found = score(official=False)
    assert found == pytest.approx(REFERENCE, abs=1e-12)
    assert "[results-adapted]" in done.out


@pytest.mark.parametrize("option", [(), ("--dataset", "coco")])
def test_14_more_names_than_keypoints(score: Score, files: Any, option: tuple[str, ...]) -> None:
    files.annotations["categories"][0]["keypoints"] += ["extra_a", "extra_b", "extra_c", "extra_d"]
    done, found = score(*option)
    assert found == pytest.approx(REFERENCE, abs=1e-12)
    assert "The category names 21 keypoints, annotations have 17" in done.out


def test_15_names_in_another_spelling(score: Score, files: Any) -> None:
    (category,) = files.annotations["categories"]
    category["keypoints"] = [name.replace("_", " ").title() for name in category["keypoints"]]
    assert score()[1] == pytest.approx(REFERENCE, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda raw: raw["categories"][0].update(id=[1]), 0, "`categories` does not list category"),
        (lambda raw: raw["categories"][0].update(id={"a": 1}), 0, "`categories` does not list"),
        (lambda raw: raw["annotations"][0].update(id=10**39), 2, "Annotations without an integer"),
        (lambda raw: raw["images"][0].update(width=64 * 10**19), 2, "without a positive width"),
        (lambda raw: raw["annotations"][0].update(num_keypoints=10**39), 2, "num_keypoints"),
        (lambda raw: raw["annotations"][0].update(area=10**400), 2, "area"),
    ],
)  # fmt: skip
def test_56_values_of_every_type(
    run: Any, files: Any, change: Callable[[Any], None], code: int, said: str
) -> None:
    change(files.annotations)
    results, annotations = files.write()
    checked = run("data", "check", annotations)
    assert checked.code == code and said in checked.out, checked
    scored = run("score", results, "--ann", annotations, "--replicates", 0)
    assert scored.code == code, scored
    assert run("diagnose", results, "--ann", annotations, "--replicates", 2).code == code


OPENPOSE = [0, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]


def triplets(row: Any) -> list[list[float]]:
    return [row["keypoints"][start : start + 3] for start in range(0, 51, 3)]


def reordered(row: Any, order: Sequence[int]) -> list[float]:
    return [value for place in order for value in triplets(row)[place]]


def moved(row: Any, scale: float, corner: Sequence[float]) -> list[float]:
    x, y = corner
    return [v for a, b, c in triplets(row) for v in (scale * (a - x), scale * (b - y), c)]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: moved(row, 0.5, (0, 0)), "read as 2.02 times as large, by 0.7"),
        (lambda row: moved(row, 1, row["bbox"][:2]), "the corner of their person's box, by 0.7"),
        (lambda row: reordered(row, COCO.flip_indices), "left and right exchanged, by 0.7"),
        (lambda row: reordered(row, OPENPOSE), "nose, right_shoulder, right_elbow, right_wrist"),
    ],
)
def test_results_that_resemble_people_in_another_reading(
    score: Score, files: Any, change: Callable[[Any], list[float]], said: str
) -> None:
    for row in files.results:
        row["keypoints"] = change(row)
    done, found = score()
    assert found < 0.05 and said in done.out and "[results-reading]" in done.out


def test_annotated_keypoints_that_are_offsets_from_their_box(score: Score, files: Any) -> None:
    for row in files.annotations["annotations"]:
        row["keypoints"] = moved(row, 1, row["bbox"][:2])
    assert "read as offsets from the corner of their box, 100% do" in score()[0].out


def test_areas_that_are_square_roots(score: Score, files: Any) -> None:
    for row in files.annotations["annotations"]:
        row["area"] = row["area"] ** 0.5
    done, found = score()
    assert found < 0.01 and "is 0.004 of their `bbox` in the median" in done.out


def test_flags_that_are_all_zero(score: Score, files: Any) -> None:
    for row in files.annotations["annotations"]:
        row["keypoints"][2::3] = [0] * 17
    done, found = score()
    assert found > 0.9 and "No keypoint of 22 persons has a flag above 0" in done.out


def test_results_in_an_object_or_in_lines(run: Any, files: Any) -> None:
    results, annotations = files.write()
    for text, said in (
        (json.dumps({"info": {}, "annotations": files.results}), "stands under `annotations`"),
        ("\n".join(map(json.dumps, files.results)), "It looks like JSON Lines"),
    ):
        results.write_text(text)
        done = run("score", results, "--ann", annotations)
        assert done.code == 2 and said in done.err
