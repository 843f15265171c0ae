"""`posebench data`: scenes written, data sets checked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

ANNOTATIONS = Path("annotations") / "person_keypoints_val.json"


def test_made_scenes_are_sound(run: Callable[..., Any], tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    done = run(
        "data", "make", "synthetic", "--out", tmp_path / "scenes", "--count", 2,
        "--contact-sheet", sheet,
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == [str(tmp_path / "scenes" / ANNOTATIONS), str(sheet)]
    assert cv2.imread(str(sheet)).shape[0] > 100
    done = run("data", "check", tmp_path / "scenes")
    assert (done.code, done.err) == (0, "")
    assert "sound" in done.out and "NOT sound" not in done.out
    assert "ground truth as prediction: AP 100.0 points" in done.out


def test_level_split_and_keypoints(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run(
        "data", "make", "synthetic", "--out", tmp_path, "--count", 1, "--split", "train",
        "--level", "crowd", "--keypoints", "crowdpose",
    )  # fmt: skip
    assert done.code == 0
    raw = json.loads(Path(done.out.strip()).read_text())
    assert (raw["info"]["level"], raw["info"]["split"]) == ("crowd", "train")
    assert len(raw["categories"][0]["keypoints"]) == 14
    assert "crowdIndex" in raw["images"][0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--split", "vall"], "Did you mean 'val'"),
        (["--level", "crowdd"], "Did you mean 'crowd'"),
        (["--keypoints", "coc"], "Did you mean 'coco'"),
        (["--count", "0"], "--count"),
    ],
)
def test_scenes_that_cannot_be_made(
    run: Callable[..., Any], tmp_path: Path, options: list[str], said: str
) -> None:
    done = run("data", "make", "synthetic", "--out", tmp_path / "out", *options)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("data", "make", "synthetic", "--out", tmp_path / "file", "--count", 1)
    assert done.code == 2
    assert "cannot be made" in done.err
    sheet = tmp_path / "file" / "sheet.png"
    out = tmp_path / "out"
    done = run("data", "make", "synthetic", "--out", out, "--count", 1, "--contact-sheet", sheet)
    assert done.code == 2
    assert str(sheet) in done.err


def test_data_that_is_not_sound(run: Callable[..., Any], people: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(people, tmp_path / "p")
    images = sorted((folder / "val").glob("*.[jp][pn]g"))
    images[0].unlink()
    images[1].write_bytes(images[1].read_bytes()[:2000])
    done = run("data", "check", folder)
    assert done.code == 2
    assert "NOT sound" in done.out
    assert images[0].name in done.out and images[1].name in done.out
    (folder / ANNOTATIONS).write_text("{")
    assert "cut off" in run("data", "check", folder / ANNOTATIONS).out


def test_check_takes_images_boxes_and_keypoints(
    run: Callable[..., Any], people: Path, tmp_path: Path
) -> None:
    annotations = shutil.copy(people / ANNOTATIONS, tmp_path / "own.json")
    boxes = tmp_path / "boxes.json"
    boxes.write_text(
        json.dumps([{"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "score": 0.5}])
    )
    done = run(
        "data", "check", annotations, "--images", people / "val", "--boxes", boxes,
        "--keypoints", "coco",
    )  # fmt: skip
    assert done.code == 0
    assert "4 images (4 files read)" in done.out
    assert "without a detected box" in done.out
    assert run("data", "check", tmp_path / "none").code == 2


def test_check_takes_area_rule_category_and_image_options(
    run: Callable[..., Any], people: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(people, tmp_path / "p")
    raw = json.loads((folder / ANNOTATIONS).read_text())
    for row in raw["annotations"]:
        del row["area"]
        row["category_id"] = 7
    raw["categories"][0] |= {"id": 7, "name": "cat"}
    (folder / ANNOTATIONS).write_text(json.dumps(raw))
    for path in (folder / "val").glob("*.[jp][pn]g"):
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), None, fx=0.5, fy=0.5))
    done = run("data", "check", folder)
    assert done.code == 2 and "--area-rule box" in done.out and "[area-missing]" in done.out
    done = run("data", "check", folder, "--area-rule", "box")
    assert done.code == 2 and "--allow-resized" in done.out
    options = ("--area-rule", "box", "--allow-resized", "--exif", "ignore", "--category", "cat")
    done = run("data", "check", folder, *options)
    assert done.code == 0 and "[images-resampled]" in done.out
    assert "'dog'" in run("data", "check", folder, "--category", "dog").err
    assert "Did you mean 'ignore'" in run("data", "check", folder, "--exif", "ignor").err
