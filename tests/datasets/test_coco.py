"""Loading COCO-format files, the instance list of ground truth, and clear errors for bad files."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.datasets.coco import (
    annotation_area,
    ground_truth_instances,
    load_annotations,
)
from posebench.datasets.keypoints import COCO, CROWDPOSE, KeypointSet
from posebench.datasets.requests import limit_images
from posebench.errors import DataError, UsageError

PIXELS = {"width": 100, "height": 80}


def person(number: int, image: int = 1, **changes: Any) -> dict[str, Any]:
    row = {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [10, 20, 30, 40],
        "area": 700.0,
        "iscrowd": 0,
        "keypoints": [20, 30, 2] * 16 + [0, 0, 0],
        "num_keypoints": 16,
    }
    return {**row, **changes}


def coco(*persons: dict[str, Any]) -> dict[str, Any]:
    return {
        "images": [{"id": i, "file_name": f"{i}.png", **PIXELS} for i in (2, 1)],
        "annotations": list(persons) or [person(7), person(5, image=2)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
    }


def write(folder: Path, value: Any) -> Path:
    path = folder / "annotations.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_sound_file_is_read_in_its_own_image_order(tmp_path: Path) -> None:
    dataset = load_annotations(write(tmp_path, coco()), tmp_path / "images")
    assert [image.id for image in dataset.images] == [2, 1]
    assert dataset.images[0].path == tmp_path / "images" / "2.png"
    assert (dataset.keypoints, dataset.kind, dataset.area_rule) == (COCO, "coco", "annotation")
    instances = ground_truth_instances(dataset)
    assert instances.ids.tolist() == [5, 7]
    assert instances.image_index.tolist() == [0, 1]
    assert instances.bbox_xyxy.tolist() == [[10, 20, 40, 60]] * 2
    assert instances.keypoints is not None and instances.keypoints.shape == (2, 17, 3)


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"iscrowd": 1}, False),
        ({"num_keypoints": 0}, False),
        ({"bbox": [120, 20, 30, 40]}, False),
        ({"bbox": [10, 20, 0, 40]}, False),
        ({"keypoints": [0, 0, 2] * 17}, False),
        ({"keypoints": [-3, 4, 0] * 17}, True),
    ],
)
def test_the_filter_is_that_of_mmpose(tmp_path: Path, change: dict[str, Any], kept: bool) -> None:
    path = write(tmp_path, coco(person(1), person(2, **change)))
    ids = ground_truth_instances(load_annotations(path, tmp_path)).ids.tolist()
    assert ids == ([1, 2] if kept else [1])


def test_a_missing_count_is_taken_from_the_flags(tmp_path: Path) -> None:
    labelled, unlabelled = person(1), person(2, keypoints=[5, 5, 0] * 17)
    del labelled["num_keypoints"], unlabelled["num_keypoints"]
    path = write(tmp_path, coco(labelled, unlabelled))
    assert ground_truth_instances(load_annotations(path, tmp_path)).ids.tolist() == [1]


def test_boxes_are_clipped_to_the_last_pixel_in_float32(tmp_path: Path) -> None:
    path = write(tmp_path, coco(person(1, bbox=[-5.3, 10.1, 200, 20.25])))
    box = ground_truth_instances(load_annotations(path, tmp_path)).bbox_xyxy[0]
    assert box.dtype == np.float32
    assert box.tolist() == np.array([0, 10.1, 99, 30.35], np.float32).tolist()


def test_real_coco_gives_the_instances_mmpose_lists(coco_mini: Path) -> None:
    path = coco_mini / "annotations" / "person_keypoints_val2017.json"
    dataset = load_annotations(path, coco_mini / "val2017")
    assert (len(dataset.images), len(dataset.persons)) == (79, 118)
    assert len(ground_truth_instances(dataset)) == 68


def test_crowdpose_is_recognised_and_takes_its_area_from_the_box(tmp_path: Path) -> None:
    raw = coco(person(1, keypoints=[20, 30, 2] * 14, num_keypoints=14))
    del raw["annotations"][0]["area"]
    raw["categories"][0]["keypoints"] = [*CROWDPOSE.keypoints[:12], "head", "neck"]
    for image in raw["images"]:
        image["crowdIndex"] = 0.5
    dataset = load_annotations(write(tmp_path, raw), tmp_path)
    assert (dataset.kind, dataset.keypoints) == ("crowdpose", CROWDPOSE)
    assert annotation_area(dataset.persons[0], dataset.area_rule) == pytest.approx(636.0)


def test_ones_own_keypoints_are_taken_and_not_guessed(tmp_path: Path) -> None:
    own = KeypointSet("own", ("a", "b"), (0.1, 0.1), ((0, 1),))
    raw = coco(person(1, keypoints=[20, 30, 2, 25, 35, 2], num_keypoints=2))
    raw["categories"][0]["keypoints"] = ["a", "b"]
    path = write(tmp_path, raw)
    assert load_annotations(path, tmp_path, keypoints=own).keypoints is own
    with pytest.raises(DataError, match="2 keypoints per person"):
        load_annotations(path, tmp_path)


def test_the_first_images_alone(tmp_path: Path) -> None:
    dataset = load_annotations(write(tmp_path, coco()), tmp_path)
    first = limit_images(dataset, 1)
    assert [image.id for image in first.images] == [2]
    assert [row["id"] for row in first.persons] == [5]
    assert len(dataset.raw["images"]) == 2
    assert limit_images(dataset, 99).images == dataset.images
    with pytest.raises(UsageError):
        limit_images(dataset, 0)


def _without(key: str) -> dict[str, Any]:
    row = person(2)
    del row[key]
    return row


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (_without("bbox"), "`bbox`"),
        (_without("area"), "`area`"),
        (_without("keypoints"), "without `keypoints`"),
        (person(2, keypoints=[1, 2, 2] * 14), "not 3 x 17 values"),
        (person(2, keypoints=[float("nan"), 2, 2] + [1, 1, 2] * 16), "not finite"),
        (person(2, keypoints=["1", 2, 2] + [1, 1, 2] * 16), "not finite"),
        (person(2, bbox=[1, 2, float("inf"), 4]), "`bbox`"),
        (person(2, bbox="1 2 3 4"), "`bbox`"),
        (person(2, area=-1), "`area`"),
        (person(2, num_keypoints="3"), "`num_keypoints`"),
        (person(2, image=77), "image 77"),
        (person("2"), "integer id"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_person_is_named(tmp_path: Path, bad: dict[str, Any], message: str) -> None:
    path = write(tmp_path, coco(person(1), bad))
    with pytest.raises(DataError) as caught:
        load_annotations(path, tmp_path)
    assert message in caught.value.message
    assert "2" in caught.value.message and str(path) in caught.value.message


def _change(where: str, index: int, **values: Any) -> dict[str, Any]:
    raw = copy.deepcopy(coco())
    raw[where][index].update(values)
    return raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (_change("images", 0, id=1), "ids used more than once: 1"),
        (_change("annotations", 0, id=5), "ids used more than once: 5"),
        (_change("images", 0, file_name=None), "without a file_name: image 2"),
        (_change("images", 0, width=0), "width and height"),
        (_change("images", 0, id="2"), "integer id (of 64 bits): '2'"),
        (_change("categories", 0, keypoints=list(COCO.keypoints[::-1])), "no built-in set"),
        ({"images": [], "annotations": []}, "lists no images"),
        ({"images": [{}]}, "no list 'annotations'"),
        ([{"image_id": 1, "score": 1}], "detected boxes"),
        (3, "not a COCO annotation file"),
        ("", "is empty"),
        ("{'a': 1} and more text", "not valid JSON"),
        ({**coco(), "images": [1]}, "1 entries are not JSON objects"),
    ],
)
def test_a_bad_file_is_reported(tmp_path: Path, raw: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        load_annotations(write(tmp_path, raw), tmp_path, keypoints=_set_for(message))
    assert message in caught.value.message


def _set_for(message: str) -> KeypointSet | None:
    """Name the keypoints, unless the case is about finding them."""
    return None if "built-in" in message else COCO


def test_keypoints_in_another_order_are_an_error(tmp_path: Path) -> None:
    raw = _change("categories", 0, keypoints=list(COCO.keypoints[::-1]))
    with pytest.raises(DataError, match="another order"):
        load_annotations(write(tmp_path, raw), tmp_path, keypoints=COCO)


@pytest.mark.parametrize("share", [0.1, 0.33, 0.5, 0.75, 0.9, 0.999])
def test_a_cut_off_file_is_said_to_be_cut_off(tmp_path: Path, share: float) -> None:
    text = json.dumps({**coco(), "info": {"note": "a text with ünïcode, true and 12.5"}})
    cut = text[: int(len(text) * share)]
    with pytest.raises(DataError, match=f"is cut off: it ends after {len(cut.encode())} bytes"):
        load_annotations(write(tmp_path, cut), tmp_path)


def test_a_missing_and_a_binary_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no annotation file"):
        load_annotations(tmp_path / "nothing.json", tmp_path)
    path = tmp_path / "binary.json"
    path.write_bytes(b"\x1f\x8b\x08\xff")
    with pytest.raises(DataError, match="not JSON text"):
        load_annotations(path, tmp_path)
    with pytest.raises(DataError, match="is a folder, not a file"):
        load_annotations(tmp_path, tmp_path)
