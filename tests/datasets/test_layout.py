"""Where data sets are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from posebench.datasets.layout import annotation_files, images_for, locate
from posebench.errors import DataError, UsageError


def make(root: Path, annotations: str, images: str) -> None:
    (root / annotations).parent.mkdir(parents=True, exist_ok=True)
    (root / annotations).write_text("{}")
    (root / images).mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("below", ["", "coco", "COCO"])
@pytest.mark.parametrize("images", ["val2017", "images/val2017"])
def test_coco(tmp_path: Path, below: str, images: str) -> None:
    root = tmp_path / below
    make(root, "annotations/person_keypoints_val2017.json", images)
    found = locate("coco", tmp_path)
    assert found.annotations == root / "annotations" / "person_keypoints_val2017.json"
    assert found.images == root / images


@pytest.mark.parametrize(
    ("annotations", "split"),
    [
        ("annotations/mmpose_crowdpose_val.json", "val"),
        ("annotations/mmpose_crowdpose_test.json", "test"),
        ("annotations/crowdpose_val.json", "val"),
        ("json/crowdpose_test.json", "test"),
    ],
)
def test_crowdpose(tmp_path: Path, annotations: str, split: str) -> None:
    make(tmp_path / "crowdpose", annotations, "images")
    found = locate("crowdpose", tmp_path, split)
    assert found.annotations == tmp_path / "crowdpose" / annotations
    assert found.images == tmp_path / "crowdpose" / "images"


def test_the_root_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "annotations/person_keypoints_val2017.json", "val2017")
    monkeypatch.setenv("POSEBENCH_DATA", str(tmp_path))
    assert locate("coco").images == tmp_path / "val2017"
    monkeypatch.delenv("POSEBENCH_DATA")
    with pytest.raises(UsageError, match="POSEBENCH_DATA"):
        locate("coco")


def test_a_folder_and_a_file_of_ones_own(tmp_path: Path) -> None:
    make(tmp_path, "annotations/person_keypoints_val.json", "val")
    file = tmp_path / "annotations" / "person_keypoints_val.json"
    assert locate(str(tmp_path)).images == tmp_path / "val"
    assert locate(str(file)).images == tmp_path / "val"
    assert locate(str(file), images=tmp_path).images == tmp_path
    assert annotation_files(tmp_path) == [file]
    lonely = tmp_path / "else" / "mine.json"
    make(tmp_path, "else/mine.json", "else")
    assert locate(str(lonely)).images == lonely.parent
    assert images_for(lonely) is None


def test_what_is_not_found_is_listed(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        locate("coco", tmp_path)
    assert str(tmp_path / "coco" / "annotations" / "person_keypoints_val2017.json") in str(
        caught.value
    )
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "person_keypoints_val2017.json").write_text("{}")
    with pytest.raises(DataError, match="No folder of images") as caught:
        locate("coco", tmp_path)
    assert str(tmp_path / "val2017") in str(caught.value)
    with pytest.raises(DataError, match="not a folder"):
        locate("coco", tmp_path / "nowhere")
    with pytest.raises(UsageError, match="crowdpose"):
        locate("crowdpoes", tmp_path)
