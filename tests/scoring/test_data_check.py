"""The data check finds what is wrong, and a perfect model scores 1.0 on what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from posebench.datasets.keypoints import COCO
from posebench.datasets.rules import LoadOptions
from posebench.errors import DataError
from posebench.scoring.data_check import CheckOptions, CheckReport, check_dataset, check_path


def person(number: int, left: float = 10.0, **changes: Any) -> dict[str, Any]:
    points = np.c_[left + np.arange(17), 20 + 2 * np.arange(17), np.full(17, 2)]
    row = {
        "id": number,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [left, 20, 30, 40],
        "area": 1100.0,
        "num_keypoints": 17,
        "keypoints": points.ravel().tolist(),
    }
    return {**row, **changes}


def write(folder: Path, *persons: dict[str, Any], **changes: Any) -> Path:
    """Write a data set of one image, 200 wide and 80 high, and return its annotation file."""
    raw = {
        "images": [{"id": 1, "file_name": "one.png", "width": 200, "height": 80}],
        "annotations": list(persons) or [person(1), person(2, left=120.0)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
        **changes,
    }
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "val").mkdir(exist_ok=True)
    cv2.imwrite(str(folder / "val" / "one.png"), np.zeros((80, 200, 3), np.uint8))
    path = folder / "annotations" / "person_keypoints_val.json"
    path.write_text(json.dumps(raw))
    return path


def told(report: CheckReport, level: str) -> str:
    return "\n".join(str(item) for item in report.findings if item.level == level)


def test_a_sound_folder_scores_one(tmp_path: Path) -> None:
    path = write(tmp_path)
    (report,) = check_path(tmp_path)
    assert (report.annotations, report.images) == (path, tmp_path / "val")
    assert report.sound and report.findings == ()
    assert (report.image_count, report.person_count, report.instance_count) == (1, 2, 2)
    assert report.images_read == 1
    assert report.oracle is not None and report.oracle.values["AP"] == 1.0


def test_real_coco_is_sound(coco_mini: Path) -> None:
    boxes = coco_mini / "person_detection_results" / "rtmdet_nano.json"
    (report,) = check_path(coco_mini, CheckOptions(boxes=boxes))
    assert report.sound and report.images_read == 79 and report.instance_count == 68
    assert report.oracle is not None and set(report.oracle.values.values()) == {1.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: {"id": 2}, "Annotation ids used more than once: 2"),
        (lambda row: {"image_id": 5}, "annotation 1 (image 5)"),
        (lambda row: {"area": -4}, "`area`"),
        (lambda row: {"area": "4"}, "`area`"),
        (lambda row: {"keypoints": row["keypoints"][:42]}, "not 3 x 17 values"),
        (lambda row: {"keypoints": [float("inf"), *row["keypoints"][1:]]}, "not finite"),
    ],
)
def test_errors(
    tmp_path: Path, change: Callable[[dict[str, Any]], dict[str, Any]], message: str
) -> None:
    row = person(1)
    report = check_dataset(write(tmp_path, {**row, **change(row)}, person(2, left=120.0)))
    assert not report.sound and report.oracle is None
    assert message in told(report, "error")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (person(1, num_keypoints=5), "not the number of visibility flags"),
        (person(1, bbox=[10, 20, 0, 40]), "`bbox` has no area"),
        (person(1, bbox=[900, 20, 30, 40]), "`bbox` lies outside"),
        (person(1, left=-5.0), "keypoints outside the image"),
        (person(1, keypoints=[10, 30, 3] * 17), "visibility flags other than"),
    ],
)
def test_warnings(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    report = check_dataset(write(tmp_path, row, person(2, left=120.0)))
    assert message in told(report, "warning")
    assert "annotation 1" in told(report, "warning")


def test_persons_that_no_box_leads_to_lower_the_oracle(tmp_path: Path) -> None:
    outside = person(1, bbox=[900, 20, 30, 40])
    report = check_dataset(write(tmp_path, outside, person(2, left=120.0)))
    assert not report.sound
    assert report.oracle is not None and report.oracle.values["AP"] < 1.0
    assert "scores AP 0.5" in told(report, "error")


def test_crowded_images_lower_the_oracle(tmp_path: Path) -> None:
    rows = [person(i, left=10.0 + 5 * i) for i in range(1, 23)]
    report = check_dataset(write(tmp_path, *rows))
    assert "an image has 22 persons and evaluators take 20" in told(report, "error")


def test_names_and_categories(tmp_path: Path) -> None:
    swapped = [{"id": 1, "keypoints": list(COCO.keypoints[::-1])}]
    report = check_dataset(
        write(tmp_path, categories=swapped), CheckOptions(load=LoadOptions(keypoints=COCO))
    )
    assert "in another order" in told(report, "error")
    report = check_dataset(
        write(tmp_path, person(1), person(2, left=120.0), person(3, category_id=9))
    )
    assert report.sound
    assert "Categories with keypoints that are not evaluated: category 9 (1 times)" in told(
        report, "warning"
    )
    report = check_dataset(write(tmp_path, categories=[]))
    assert "does not list category 1" in told(report, "warning")


def test_annotation_zero_is_only_a_note(tmp_path: Path) -> None:
    report = check_dataset(write(tmp_path, person(0), person(2, left=120.0)))
    assert report.sound and "Annotation id 0" in told(report, "note")
    assert report.oracle is not None and report.oracle.values["AP"] == 1.0


def test_duplicated_persons_are_noted(tmp_path: Path) -> None:
    report = check_dataset(write(tmp_path, person(1), person(2)))
    assert "OKS-NMS takes 1 of 2 persons" in told(report, "note")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((200, 80), "width and height are swapped: one.png (file 80 wide, 200 high)"),
        ((80, 100), "size is not the annotated one: one.png"),
    ],
)
def test_image_sizes(tmp_path: Path, shape: tuple[int, int], message: str) -> None:
    path = write(tmp_path)
    cv2.imwrite(str(tmp_path / "val" / "one.png"), np.zeros((*shape, 3), np.uint8))
    report = check_dataset(path)
    assert not report.sound and message in told(report, "error")


def test_missing_and_unreadable_images(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "val" / "one.png").write_bytes(b"no image")
    assert "cannot be decoded" in told(check_dataset(path), "error")
    (tmp_path / "val" / "one.png").unlink()
    assert "1 of 1 image files are missing" in told(check_dataset(path), "error")
    (tmp_path / "val").rmdir()
    report = check_dataset(path)
    assert report.sound and "not checked" in told(report, "note")


def test_boxes(tmp_path: Path) -> None:
    path, boxes = write(tmp_path), tmp_path / "boxes.json"
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    boxes.write_text(json.dumps([box, {**box, "image_id": 7}]))
    report = check_dataset(path, CheckOptions(boxes=boxes))
    assert report.sound and "1 boxes of images that are not" in told(report, "note")
    boxes.write_text(json.dumps([{**box, "image_id": 7}]))
    assert "no box of category 1" in told(check_dataset(path, CheckOptions(boxes=boxes)), "error")


def test_images_without_boxes(tmp_path: Path) -> None:
    two = [{"id": i, "file_name": "one.png", "width": 200, "height": 80} for i in (1, 2)]
    path = write(tmp_path, person(1), person(2, image_id=2), images=two)
    boxes = tmp_path / "boxes.json"
    box = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    boxes.write_text(json.dumps([box]))
    warned = told(check_dataset(path, CheckOptions(boxes=boxes)), "warning")
    assert "without a detected box: image 2" in warned
    assert "listed more than once, under several ids: one.png" in warned


def test_broken_files_are_findings_and_missing_ones_errors(tmp_path: Path) -> None:
    path = write(tmp_path)
    whole = path.read_text()
    path.write_text(whole[:-40])
    (report,) = check_path(path)
    assert not report.sound and "is cut off" in told(report, "error")
    path.write_text("[]")
    assert "not a COCO annotation file" in told(check_dataset(path), "error")
    with pytest.raises(DataError, match="no file or folder"):
        check_path(tmp_path / "nothing")
    with pytest.raises(DataError, match="No annotation files"):
        check_path(tmp_path / "val")


DIRT: tuple[Any, ...] = (None, "x", -1, 2.5, float("nan"), [], {}, [None] * 4, [1, 2, 3, 4], True)


def test_a_person_that_is_dirty_in_every_way_crashes_nothing(tmp_path: Path) -> None:
    # Ids are renumbered, True is 1, and two are simply other sound values.
    harmless: list[tuple[str, Any]] = [("id", -1), ("iscrowd", True), ("category_id", True)]
    harmless += [("bbox", [1, 2, 3, 4]), ("area", 2.5)]
    for key in person(1):
        for value in DIRT:
            dirty = {**person(1), key: value}
            report = check_dataset(write(tmp_path, dirty, person(2, left=120.0)))
            if (key, value) not in harmless:
                assert report.findings, f"{key} = {value!r} went unnoticed"


def test_images_and_lists_that_are_dirty_crash_nothing(tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "one.png", "width": 200, "height": 80}
    for value in DIRT:
        for key in image:
            report = check_dataset(write(tmp_path, images=[{**image, key: value}]))
            assert report.findings, f"image {key} = {value!r} went unnoticed"
        for key in ("images", "annotations", "categories"):
            report = check_dataset(write(tmp_path, **{key: value}))
            assert report.findings, f"{key} = {value!r} went unnoticed"
