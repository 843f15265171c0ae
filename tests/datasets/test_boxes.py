"""Detected boxes as MMPose lists them, filters, and malformed boxes files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.datasets.boxes import (
    box_nms,
    changed_boxes,
    detected_instances,
)
from posebench.datasets.choices import BoxChange, BoxFilter
from posebench.datasets.coco import PoseDataset, load_annotations
from posebench.errors import DataError, UsageError


@pytest.fixture
def dataset(tmp_path: Path) -> PoseDataset:
    raw = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 80} for i in (4, 3)],
        "annotations": [
            {
                "id": 1,
                "image_id": 3,
                "category_id": 1,
                "bbox": [0, 0, 9, 9],
                "area": 50,
                "keypoints": [1, 1, 2] * 17,
                "num_keypoints": 17,
            }
        ],
        "categories": [{"id": 1}],
    }
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(raw))
    return load_annotations(path, tmp_path)


def box(image: int, bbox: list[float], score: float = 0.5, category: int = 1) -> dict[str, Any]:
    return {"image_id": image, "bbox": bbox, "score": score, "category_id": category}


def write(folder: Path, value: Any) -> Path:
    path = folder / "boxes.json"
    path.write_text(json.dumps(value))
    return path


def test_file_order_running_ids_and_no_clipping(dataset: PoseDataset, tmp_path: Path) -> None:
    rows = [
        box(3, [-5.5, 2, 300, 20], 0.01),
        box(4, [1, 2, 3, 4], 0.9),
        box(3, [0, 0, 5, 5], 0.7, category=18),
        box(99, [0, 0, 5, 5]),
        box(3, [0, 0, 0, 5]),
        box(3, [0, 0, 0, 0]),
        box(3, [0, 0, 5, -1]),
    ]
    found = detected_instances(dataset, write(tmp_path, rows))
    assert found.image_index.tolist() == [1, 0, 1]
    assert found.ids.tolist() == [0, 1, 2]
    assert found.bbox_xyxy.tolist() == [[-5.5, 2, 294.5, 22], [1, 2, 4, 6], [0, 0, 0, 5]]
    assert found.bbox_scores.tolist() == np.array([0.01, 0.9, 0.5], np.float32).tolist()
    assert found.left_out == (
        "1 boxes of other categories",
        "1 boxes of images that are not in the data set",
        "2 boxes of no size",
    )


def test_real_boxes_are_all_listed(coco_mini: Path) -> None:
    annotations = coco_mini / "annotations" / "person_keypoints_val2017.json"
    boxes = coco_mini / "person_detection_results" / "rtmdet_nano.json"
    found = detected_instances(load_annotations(annotations, coco_mini / "val2017"), boxes)
    assert len(found) == 5286 and found.left_out == ()


def test_filters_keep_file_order(dataset: PoseDataset, tmp_path: Path) -> None:
    rows = [
        box(3, [0, 0, 10, 10], 0.6),
        box(3, [1, 0, 10, 10], 0.8),
        box(3, [50, 0, 10, 10], 0.3),
        box(4, [0, 0, 10, 10], 0.2),
        box(3, [70, 0, 10, 10], 0.7),
    ]
    path = write(tmp_path, rows)

    def kept(**options: Any) -> list[int]:
        found = detected_instances(dataset, path, BoxFilter(**options))
        return [int(each) for each in found.ids]

    assert kept() == [0, 1, 2, 3, 4]
    assert kept(min_score=0.3) == [0, 1, 2, 4]
    assert kept(nms_threshold=0.5) == [1, 2, 3, 4]
    assert kept(max_per_image=2) == [1, 3, 4]
    assert kept(min_score=0.25, nms_threshold=0.5, max_per_image=2) == [1, 4]
    left_out = detected_instances(dataset, path, BoxFilter(min_score=0.3)).left_out
    assert left_out == ("1 boxes dropped by the box filter",)


def test_box_nms_at_its_threshold() -> None:
    boxes = np.array(
        [[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4], [5, 5, 5, 5], [5, 5, 5, 5]], np.float32
    )
    assert box_nms(boxes, 0.5).tolist() == [0, 1, 3, 4]
    assert box_nms(boxes, 0.45).tolist() == [0, 2, 3, 4]


@pytest.mark.parametrize("options", [{"nms_threshold": 0}, {"max_per_image": 0}])
def test_impossible_filters(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        BoxFilter(**options)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"annotations": []}, "does not hold a list"),
        ([], "lists no box"),
        ([box(99, [0, 0, 5, 5])], "no box of category 1 .* for any of the 2 images"),
        ([box(3, [0, 0, 5, 5], category=2)], "no box of category 1"),
        ([box(3, [0, 0, 5, 5]), box(3, [0, 0, float("nan"), 5])], "entry 1"),
        ([box(3, [0, 0, 5])], "entry 0"),
        ([box(3, [0, 0, 5, True])], "entry 0"),
        ([box(3, [0, 0, 5, 5]), box(3, [0, 0, 5, 5], score=1e39)], "entry 1"),
        ([box(3, [0, 0, 5, 5]), box(True, [0, 0, 5, 5])], "entry 1"),
        ([box(2**63, [0, 0, 5, 5])], "64 bits: entry 0"),
        ([{"image_id": 3, "category_id": 1, "bbox": [0, 0, 5, 5]}], "entry 0"),
        ([7], "entry 0"),
    ],
)
def test_bad_files(dataset: PoseDataset, tmp_path: Path, rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        detected_instances(dataset, write(tmp_path, rows))


def test_boxes_are_moved_by_their_own_sides_then_scaled_about_their_centres() -> None:
    boxes = np.array([[10, 20, 50, 100], [0, 0, 8, 4]], dtype=np.float32)
    moved = changed_boxes(boxes, BoxChange((0.25, -0.5), 1.5))
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved, [[10, -40, 70, 80], [0, -3, 12, 3]])
    assert changed_boxes(boxes, BoxChange()) is boxes


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (BoxChange(), ""),
        (BoxChange((0.25, 0.0)), "shift 0.25 0"),
        (BoxChange((-0.1, 0.2), 1.5), "shift -0.1 0.2 scale 1.5"),
        (BoxChange(scale=0.8), "scale 0.8"),
    ],
)
def test_a_change_of_boxes_says_what_it_is(change: BoxChange, text: str) -> None:
    assert str(change) == text


@pytest.mark.parametrize(
    ("shift", "scale", "said"),
    [
        ((2.0, 0.0), 1.0, "shift of (2, 0) is more than 1 sides"),
        ((0.0, float("nan")), 1.0, "shift of (0, nan)"),
        ((0.0, 0.0), 0.0, "scale of 0 does not lie between 0.25 and 4"),
        ((0.0, 0.0), float("inf"), "scale of inf"),
    ],
)
def test_a_change_that_leaves_no_person(
    shift: tuple[float, float], scale: float, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        BoxChange(shift, scale)
    assert said in str(caught.value)
