"""Images and boxes that do not fit their annotations: the right AP, or what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from small_run import edit_annotations

AveragePrecision = Callable[..., float]


@pytest.fixture
def reference(average_precision: AveragePrecision, twelve_scenes: Path) -> float:
    return average_precision("heatmap-s", "--dataset", twelve_scenes)


def pictures(folder: Path) -> list[Path]:
    return sorted((folder / "val").glob("*.png"))


def said_everywhere(run: Any, scenes: Path, tmp_path: Path, finding: str) -> None:
    """Check that eval, run and data check show a finding."""
    suite = tmp_path / "suite.yaml"
    suite.write_text(
        "name: n\ndescription: d\ncheckpoints: [heatmap-s]\nscoring: {replicates: 0}\n"
        f"datasets: [{json.dumps(str(scenes))}]\n"
    )
    for command in (
        ("eval", "heatmap-s", "--dataset", scenes, "--replicates", 0),
        ("run", suite, "--out", tmp_path / "run"),
        ("data", "check", scenes),
    ):
        done = run(*command)
        assert finding in done.out + done.err, command[0]


def test_20_reference(run: Any, reference: float, twelve_scenes: Path) -> None:
    assert reference == pytest.approx(53.6, abs=2)
    done = run("eval", "heatmap-s", "--dataset", twelve_scenes, "--replicates", 0)
    assert "warning" not in done.out
    assert run("data", "check", twelve_scenes).code == 0


def test_21_images_of_half_size(
    run: Any, average_precision: AveragePrecision, scenes: Path, tmp_path: Path, reference: float
) -> None:
    for path in pictures(scenes):
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), None, fx=0.5, fy=0.5))
    ask = ("heatmap-s", "--dataset", scenes)
    said_everywhere(run, scenes, tmp_path, "Images whose size is not the annotated one")
    refused = run("eval", *ask)
    assert refused.code == 2 and "--allow-resized" in refused.err
    assert average_precision(*ask, "--allow-resized") == pytest.approx(reference, abs=8)


def test_23_an_orientation_that_keeps_the_size(
    run: Any, average_precision: AveragePrecision, scenes: Path, tmp_path: Path, reference: float
) -> None:
    turned = Image.Exif()
    turned[0x0112] = 3
    for path in pictures(scenes):
        image = Image.open(path)
        image.load()
        image.save(path, exif=turned)
    said_everywhere(run, scenes, tmp_path, "[images-orientation]")
    ask = ("heatmap-s", "--dataset", scenes)
    assert average_precision(*ask) < 5
    assert average_precision(*ask, "--exif", "ignore") == pytest.approx(reference, abs=1e-9)


def test_24_every_second_box_is_zero(
    run: Any, scenes: Path, annotation_file: Path, tmp_path: Path
) -> None:
    def clear(raw: Any) -> None:
        for row in raw["annotations"][::2]:
            row["bbox"] = [0, 0, 0, 0]

    edit_annotations(annotation_file, clear)
    finding = "Persons whose `bbox` has no area: annotation 1,"
    said_everywhere(run, scenes, tmp_path, finding)
    quick = ("--repeats", 1, "--seconds", 0.01, "--warmup", 0, "--batch-sizes", 1)
    assert finding in run("bench", "heatmap-s", "--dataset", scenes, *quick).out


def test_25_boxes_as_corners(run: Any, scenes: Path, annotation_file: Path, tmp_path: Path) -> None:
    def to_corners(raw: Any) -> None:
        for row in raw["annotations"]:
            x, y, width, height = row["bbox"]
            row["bbox"] = [x, y, x + width, y + height]

    edit_annotations(annotation_file, to_corners)
    said_everywhere(run, scenes, tmp_path, "read as x1, y1, x2, y2 they do")


def test_26_no_area(
    run: Any,
    average_precision: AveragePrecision,
    scenes: Path,
    annotation_file: Path,
    tmp_path: Path,
) -> None:
    def drop(raw: Any) -> None:
        for row in raw["annotations"]:
            del row["area"]

    edit_annotations(annotation_file, drop)
    said_everywhere(run, scenes, tmp_path, "Persons whose `area` is missing")
    refused = run("eval", "heatmap-s", "--dataset", scenes)
    assert refused.code == 2 and "--area-rule box" in refused.err
    assert 50 < average_precision("heatmap-s", "--dataset", scenes, "--area-rule", "box") < 75
    assert run("data", "check", scenes, "--area-rule", "box").code == 0


def test_50_one_person_alone_in_a_size_range(run: Any, scenes: Path, annotation_file: Path) -> None:
    def keep(raw: Any) -> None:
        small = min(raw["annotations"], key=lambda row: row["area"])
        large = max(raw["annotations"], key=lambda row: row["area"])
        assert small["area"] < 96**2 < large["area"]
        raw["annotations"] = [small, large]

    edit_annotations(annotation_file, keep)
    done = run("data", "check", scenes)
    assert done.code == 0 and "ground truth as prediction: AP 100.0" in done.out


@pytest.mark.parametrize("name", ["x" * 5000 + ".png", "val/" * 1000 + "a.png"])
def test_57_a_file_name_of_5000_characters(
    run: Any, scenes: Path, annotation_file: Path, name: str
) -> None:
    edit_annotations(annotation_file, lambda raw: raw["images"][0].update(file_name=name))
    for command in (("data", "check"), ("eval", "heatmap-s", "--replicates", 0, "--dataset")):
        done = run(*command, scenes)
        assert done.code == 2
        said = done.out + done.err
        assert "1 of 12 image files are missing" in said
        assert len(said) < 3000


def test_58_an_image_of_another_size(run: Any, scenes: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(pictures(scenes)[3]), np.zeros((1, 1, 3), np.uint8))
    said_everywhere(run, scenes, tmp_path, "000000000004.png (file 1 wide, 1 high)")
    for more in ((), ("--allow-resized",)):
        assert run("eval", "heatmap-s", "--dataset", scenes, *more).code == 2
