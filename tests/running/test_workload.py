"""The data of a run, and the protocol it implies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import edit_annotations

from posebench.datasets import requests
from posebench.datasets.choices import BoxChange, BoxFilter
from posebench.datasets.keypoints import CROWDPOSE
from posebench.datasets.requests import DataRequest
from posebench.datasets.synthetic import write_dataset
from posebench.errors import DataError, EvaluationError, UsageError
from posebench.files.hashing import sha256_of
from posebench.running.workload import Workload, load_workload
from posebench.scoring import official
from posebench.scoring.evaluate import ScoreChecks, ScoringOptions


def load(*, official: bool = False, **request: Any) -> Workload:
    checks = ScoreChecks(official=official)
    return load_workload(DataRequest(**request), ScoringOptions(), lambda *_: None, checks)


def write_boxes(path: Path, folder: Path, **changes: Any) -> Path:
    """Write the ground-truth boxes as detections, and one box of a cat."""
    raw = json.loads((folder / "annotations" / "person_keypoints_val.json").read_text())
    rows = [
        {"image_id": a["image_id"], "category_id": 1, "bbox": a["bbox"], "score": 0.9, **changes}
        for a in raw["annotations"]
    ]
    path.write_text(json.dumps([*rows, {**rows[0], "category_id": 17}]))
    return path


def test_ground_truth(people: Path) -> None:
    found = load(dataset=str(people))
    annotations = people / "annotations" / "person_keypoints_val.json"
    protocol = found.protocol
    assert (protocol.dataset, protocol.images) == (people.name, 4)
    assert protocol.annotations_sha256 == sha256_of(annotations)
    assert protocol.instances == len(found.instances) == len(found.dataset.persons)
    assert (protocol.boxes, protocol.boxes_sha256, protocol.min_box_score) == ("gt", None, None)
    assert (protocol.keypoints, protocol.area_rule) == ("coco", "annotation")
    assert protocol.evaluator == "posebench, COCO rules"


def test_the_name_of_a_folder_given_as_a_dot(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(people)
    assert load(dataset=".").protocol.dataset == people.name


def test_detected_boxes_and_their_filters(people: Path, tmp_path: Path) -> None:
    boxes = write_boxes(tmp_path / "faster.json", people)
    box_filter = BoxFilter(min_score=0.5, nms_threshold=0.7, max_per_image=1)
    found = load(dataset=str(people), boxes=str(boxes), box_filter=box_filter)
    protocol = found.protocol
    assert (protocol.boxes, protocol.boxes_sha256) == ("faster", sha256_of(boxes))
    assert (protocol.min_box_score, protocol.box_nms, protocol.max_boxes) == (0.5, 0.7, 1)
    assert protocol.instances == 4
    assert "1 boxes of other categories" in protocol.boxes_left_out


def test_boxes_may_be_moved_and_scaled(people: Path, tmp_path: Path) -> None:
    own = load(dataset=str(people))
    change = BoxChange((0.25, 0.25), 1.5)
    moved = load(dataset=str(people), box_change=change)
    assert (own.protocol.boxes, own.protocol.box_scale) == ("gt", 1.0)
    assert moved.protocol.boxes == "gt shift 0.25 0.25 scale 1.5"
    assert (moved.protocol.box_shift, moved.protocol.box_scale) == ((0.25, 0.25), 1.5)
    assert moved.protocol.boxes_sha256 is None
    sides = own.instances.bbox_xyxy[:, 2:] - own.instances.bbox_xyxy[:, :2]
    np.testing.assert_allclose(moved.instances.bbox_xyxy[:, :2], own.instances.bbox_xyxy[:, :2])
    np.testing.assert_allclose(
        moved.instances.bbox_xyxy[:, 2:], own.instances.bbox_xyxy[:, 2:] + sides / 2, atol=1e-4
    )
    # What is kept is known by its boxes, and findings are on those that were given.
    assert moved.inputs_sha256 != own.inputs_sha256
    assert moved.findings == own.findings
    boxes = write_boxes(tmp_path / "faster.json", people)
    detected = load(dataset=str(people), boxes=str(boxes), box_change=BoxChange(scale=0.5))
    assert detected.protocol.boxes == "faster scale 0.5"
    assert detected.protocol.boxes_sha256 == sha256_of(boxes)


@pytest.mark.parametrize(
    "box_filter",
    [BoxFilter(min_score=0.1), BoxFilter(nms_threshold=0.5), BoxFilter(max_per_image=1)],
)
def test_box_filters_need_detected_boxes(people: Path, box_filter: BoxFilter) -> None:
    with pytest.raises(UsageError, match="detected boxes"):
        load(dataset=str(people), box_filter=box_filter)


def test_no_box_left(people: Path, tmp_path: Path) -> None:
    boxes = write_boxes(tmp_path / "b.json", people)
    for score in (0.95, float("nan")):
        with pytest.raises(DataError, match=r"is left.*dropped by the box filter"):
            load(dataset=str(people), boxes=str(boxes), box_filter=BoxFilter(min_score=score))
    other = write_boxes(tmp_path / "other.json", people, image_id=999)
    with pytest.raises(DataError, match=r"other\.json has no box of category 1 .* any of the 4"):
        load(dataset=str(people), boxes=str(other))
    with pytest.raises(DataError, match="no boxes file"):
        load(dataset=str(people), boxes=str(tmp_path / "none.json"))


def test_limit(people: Path) -> None:
    found = load(dataset=str(people), limit=2)
    assert found.protocol.images == 2
    assert found.protocol.instances < load(dataset=str(people)).protocol.instances
    with pytest.raises(UsageError, match="limit of 0"):
        load(dataset=str(people), limit=0)


@pytest.mark.parametrize(
    ("dataset", "said"),
    [("synthetc", "Did you mean 'synthetic'"), ("cocoo", "Did you mean 'coco'"), ("/no", "Valid:")],
)
def test_unknown_data_sets_name_the_nearest(dataset: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        load(dataset=dataset)
    assert "synthetic-crowd" in str(caught.value)


def test_own_keypoints_move_the_sigmas(people: Path, tmp_path: Path) -> None:
    names = json.loads((people / "annotations" / "person_keypoints_val.json").read_text())[
        "categories"
    ][0]["keypoints"]
    own = {"name": "mine", "keypoints": names, "sigmas": [0.5] * 17, "flip_pairs": []}
    (tmp_path / "mine.yaml").write_text(json.dumps(own))
    protocol = load(dataset=str(people), keypoints=str(tmp_path / "mine.yaml")).protocol
    assert (protocol.keypoints, protocol.sigmas) == ("mine", (0.5,) * 17)


def test_images_elsewhere_and_images_missing(people: Path, tmp_path: Path) -> None:
    annotations = tmp_path / "own.json"
    shutil.copy(people / "annotations" / "person_keypoints_val.json", annotations)
    found = load(dataset=str(annotations), images=people / "val")
    assert found.protocol.dataset == "own"
    with pytest.raises(DataError, match=r"4 of 4 image files are missing"):
        load(dataset=str(annotations))


def test_annotations_that_are_cut_off(people: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(people, tmp_path / "p")
    path = folder / "annotations" / "person_keypoints_val.json"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="cut off"):
        load(dataset=str(folder))


def test_synthetic_scenes_are_rendered_once_into_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path))
    calls: list[str] = []

    def two_scenes(out: Path, **options: Any) -> Path:
        calls.append(options["level"])
        return write_dataset(out, count=2, **options)

    monkeypatch.setattr(requests, "write_dataset", two_scenes)
    assert [load(dataset="synthetic-crowd").protocol.images for _ in range(2)] == [2, 2]
    assert calls == ["crowd"]
    with pytest.raises(UsageError, match="'vla'"):
        load(dataset="synthetic", split="vla")
    assert len(list(tmp_path.glob("synthetic-*"))) == 1


def test_the_official_evaluator_is_asked_for_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_dataset(tmp_path, split="val", count=1, level="crowd", keypoints=CROWDPOSE)

    def missing() -> None:
        raise EvaluationError("needs xtcocotools")

    monkeypatch.setattr(official, "crowdpose_evaluator", missing)
    with pytest.raises(EvaluationError, match="xtcocotools"):
        load(dataset=str(tmp_path), official=True)
    assert load(dataset=str(tmp_path)).protocol.evaluator == "posebench, CrowdPose rules"
    edit_annotations(
        tmp_path / "annotations" / "person_keypoints_val.json",
        lambda raw: [image.pop("crowdIndex") for image in raw["images"]],
    )
    assert load(dataset=str(tmp_path), official=True).dataset.kind == "coco"
