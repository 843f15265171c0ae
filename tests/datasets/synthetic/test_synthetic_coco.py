"""The files: pycocotools reads them, CrowdPose has its 14 keypoints and crowd index."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import coco

from posebench.datasets.keypoints import COCO, CROWDPOSE, KeypointSet
from posebench.datasets.synthetic import RENDERER_VERSION, SPLITS, render_scene, write_dataset
from posebench.errors import DataError, UsageError


def test_pycocotools_reads_the_files(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = write_dataset(
        tmp_path, split="val", count=3, progress=lambda done, total: seen.append((done, total))
    )
    assert path == tmp_path / "annotations" / "person_keypoints_val.json"
    assert seen == [(1, 3), (2, 3), (3, 3)]
    data = coco.COCO(str(path))
    assert min(data.imgs) == 1 and min(data.anns) == 1
    assert data.cats[1]["keypoints"] == list(COCO.keypoints)
    assert min(end for pair in data.cats[1]["skeleton"] for end in pair) == 1
    assert data.dataset["info"]["renderer_version"] == RENDERER_VERSION
    for number, record in data.imgs.items():
        image = cv2.imread(str(tmp_path / "val" / record["file_name"]))
        assert image is not None
        assert image.shape == (record["height"], record["width"], 3)
        scene = render_scene(SPLITS["val"].seed, number - 1, "standard")
        assert np.array_equal(image, scene.image)
        found = data.loadAnns(data.getAnnIds(imgIds=[number]))
        assert len(found) == len(scene.persons)
        for annotation, person in zip(found, scene.persons, strict=True):
            points = np.array(annotation["keypoints"]).reshape(17, 3)
            assert np.abs(points - person.keypoints).max() < 0.006
            assert annotation["num_keypoints"] == (points[:, 2] > 0).sum()
            assert annotation["iscrowd"] == 0
            assert annotation["bbox"] == list(person.bbox_xywh)


def test_crowdpose_variant(tmp_path: Path) -> None:
    path = write_dataset(tmp_path, split="val", level="crowd", count=2, keypoints=CROWDPOSE)
    data = json.loads(path.read_text())
    assert all(0 <= image["crowdIndex"] <= 1 for image in data["images"])
    assert data["categories"][0]["keypoints"] == list(CROWDPOSE.keypoints)
    assert {len(annotation["keypoints"]) for annotation in data["annotations"]} == {14 * 3}
    person = render_scene(SPLITS["val"].seed, 0, "crowd").persons[0]
    points = np.array(data["annotations"][0]["keypoints"]).reshape(14, 3)
    assert np.abs(points[:12] - person.keypoints[5:]).max() < 0.006
    assert np.abs(points[12:] - person.head_neck).max() < 0.006


def test_splits_differ() -> None:
    assert SPLITS["train"].seed != SPLITS["val"].seed


def test_unusable_arguments(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'train'"):
        write_dataset(tmp_path, split="trian")
    with pytest.raises(UsageError, match="Did you mean 'standard'"):
        write_dataset(tmp_path, split="val", level="standart")
    with pytest.raises(UsageError, match="empty"):
        write_dataset(tmp_path, split="val", count=0)
    tail = KeypointSet("tailed", ("nose", "tail"), (0.1, 0.1), ())
    with pytest.raises(UsageError, match="tail"):
        write_dataset(tmp_path, split="val", count=1, keypoints=tail)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        write_dataset(blocked, split="val", count=1)
