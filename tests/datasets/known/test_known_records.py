"""Every record of a public data set is whole, and its files are found where it says they lie."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.datasets.coco import ground_truth_instances, load_annotations, load_dataset
from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.datasets.known.record import known_dataset, known_names
from posebench.datasets.layout import locate
from posebench.datasets.requests import DataRequest, load_pose_dataset, record_of
from posebench.datasets.rules import LoadOptions
from posebench.errors import DataError, UsageError
from posebench.scoring.metrics import METRICS, scored_by

COUNT = {name: len(KEYPOINT_SETS[known_dataset(name).keypoints]) for name in known_names()}


def test_the_data_sets_that_people_evaluate_on_are_known() -> None:
    assert {
        "coco", "crowdpose", "coco-wholebody", "mpii", "aic", "ochuman", "humanart", "halpe26",
        "body8", "exlpose", "jhmdb", "ap10k", "animalpose", "300w", "wflw", "cofw", "aflw",
        "coco-wholebody-face", "coco-wholebody-hand", "onehand10k", "freihand",
    } == {*known_names()}  # fmt: skip


@pytest.mark.parametrize("name", known_names())
def test_a_record_is_whole(name: str) -> None:
    known = known_dataset(name)
    assert known.name == name
    assert known.keypoints in KEYPOINT_SETS
    assert (known.distances is not None) == (known.kind == "distance")
    assert all(recipe.name in METRICS for recipe in scored_by(known.kind, known.distances))
    assert scored_by(known.kind, known.distances)
    for text in (known.title, known.sigmas, known.boxes, known.licence, known.home, known.source):
        assert text and "\n" not in text.strip()
    assert known.home.startswith("http")
    sides = () if known.distances is None else (known.distances.face_size, known.distances.torso)
    names = KEYPOINT_SETS[known.keypoints].keypoints
    assert all(end in names for pair in sides if isinstance(pair, tuple) for end in pair)


@pytest.mark.parametrize("name", known_names())
def test_files_are_found_below_a_data_root(name: str, tmp_path: Path) -> None:
    layout = known_dataset(name).layout
    part = layout.splits.get("val", "val")
    words = {"split": part, "year": f"{part}2017"}
    for folder in layout.folders:
        annotations = tmp_path / folder / layout.annotations[0].format(**words)
        images = tmp_path / folder / layout.images[0].format(**words)
        annotations.parent.mkdir(parents=True, exist_ok=True)
        images.mkdir(parents=True, exist_ok=True)
        annotations.write_text("{}")
        for root in (tmp_path, tmp_path / folder):
            found = locate(name, root)
            assert found.annotations == annotations
            assert found.images.resolve() == images.resolve()
        annotations.unlink()


def test_what_is_not_there_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        locate("wflw", tmp_path, "test_blur")
    assert "annotations/face_landmarks_wflw_test_blur.json" in str(error.value.hint)
    with pytest.raises(UsageError, match="There is no data set 'wlfw'") as unknown:
        known_dataset("wlfw")
    assert "'wflw'" in str(unknown.value.hint)


def test_files_of_coco_and_crowdpose_tell_by_themselves() -> None:
    assert record_of("coco", None) is None and record_of("crowdpose", None) is None
    assert record_of("coco", "wflw") is known_dataset("wflw") is record_of("wflw", None)


def person(count: int, **more: Any) -> dict[str, Any]:
    """Return an annotation whose keypoints go along a line."""
    points = [[10 + 2 * i, 20 + i, 2] for i in range(count)]
    flat = [number for point in points for number in point]
    return {"id": 3, "image_id": 7, "category_id": 1, "iscrowd": 0, "bbox": [5, 6, 70, 80],
            "area": 900.0, "keypoints": flat, **more}  # fmt: skip


def written(folder: Path, *rows: dict[str, Any], **image: Any) -> Path:
    images = [{"id": 7, "file_name": "7.jpg", "width": 320, "height": 240, **image}]
    file = folder / "ann.json"
    categories = [{"id": 1, "name": "thing"}]
    file.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    return file


def loaded(name: str, folder: Path, *rows: dict[str, Any]) -> Any:
    file = written(folder, *rows)
    return load_dataset(file, folder, LoadOptions(known=known_dataset(name)))


def test_faces_have_the_box_of_their_centre_and_scale(tmp_path: Path) -> None:
    row = person(98, center=[100.0, 50.0], scale=1.5)
    found = ground_truth_instances(loaded("wflw", tmp_path, row))
    # 1.5 times 200 pixels around the centre, beyond the border too.
    assert found.bbox_xyxy.tolist() == [[-50, -100, 250, 200]]


def test_hands_fill_freihands_images_and_jhmdb_counts_from_1(tmp_path: Path) -> None:
    found = ground_truth_instances(loaded("freihand", tmp_path, person(21)))
    assert found.bbox_xyxy.tolist() == [[0, 0, 224, 224]]
    found = ground_truth_instances(loaded("jhmdb", tmp_path, person(15)))
    assert found.bbox_xyxy.tolist() == [[4, 5, 74, 85]]
    assert found.keypoints[0, 0].tolist() == [9, 19, 2]


def whole(**more: Any) -> dict[str, Any]:
    flat = person(133)["keypoints"]
    ends = {"keypoints": (0, 17), "foot_kpts": (17, 23), "face_kpts": (23, 91),
            "lefthand_kpts": (91, 112), "righthand_kpts": (112, 133)}  # fmt: skip
    parts = {name: flat[3 * a : 3 * b] for name, (a, b) in ends.items()}
    boxes = {"face_box": [9, 9, 30, 31], "lefthand_box": [1, 2, 30, 40],
             "righthand_box": [300, 200, 50, 60]}  # fmt: skip
    valid = dict.fromkeys(("face_valid", "lefthand_valid", "righthand_valid"), True)
    return {**person(17), **parts, **boxes, **valid, "num_keypoints": 17, **more}


def test_whole_bodies_are_read_in_parts_or_in_one(tmp_path: Path) -> None:
    expected = np.array(person(133)["keypoints"]).reshape(1, 133, 3)
    for row in (whole(), {**person(133), "num_keypoints": 17}):
        dataset = loaded("coco-wholebody", tmp_path, row)
        assert dataset.kind == "wholebody"
        np.testing.assert_array_equal(ground_truth_instances(dataset).keypoints, expected)
        assert not dataset.findings


def test_faces_and_hands_of_whole_bodies_are_instances_of_their_own(tmp_path: Path) -> None:
    rows = [whole(), whole(id=4, face_valid=False, lefthand_valid=False), whole(id=5, iscrowd=1)]
    faces = ground_truth_instances(loaded("coco-wholebody-face", tmp_path, *rows))
    assert faces.ids.tolist() == [3]
    assert faces.bbox_xyxy.tolist() == [[9, 9, 39, 40]]
    assert faces.keypoints[0, :, 0].tolist() == [10 + 2 * i for i in range(23, 91)]
    hands = ground_truth_instances(loaded("coco-wholebody-hand", tmp_path, *rows))
    # Numbered as MMPose does, and not cut at the border.
    assert hands.ids.tolist() == [0, 1, 2]
    assert hands.bbox_xyxy.tolist() == [[1, 2, 31, 42], *[[300, 200, 350, 260]] * 2]


def test_halpe_has_the_first_26_of_136(tmp_path: Path) -> None:
    dataset = loaded("halpe26", tmp_path, person(136, num_keypoints=17))
    assert len(dataset.keypoints) == 26
    assert dataset.persons[0]["num_keypoints"] == 26


def test_a_whole_body_scored_as_a_body_is_said(tmp_path: Path) -> None:
    dataset = load_annotations(written(tmp_path, whole()), tmp_path)
    assert (dataset.kind, dataset.keypoints.name) == ("coco", "coco")
    assert [each.kind for each in dataset.findings if each.kind == "parts-left-out"]


def test_a_crowd_index_alone_makes_no_crowdpose(tmp_path: Path) -> None:
    row = person(14)
    del row["area"]
    for index, kind in ((0.4, "crowdpose"), (0, "coco")):
        file = written(tmp_path, row, crowdIndex=index)
        dataset = load_annotations(file, tmp_path)
        assert (dataset.kind, dataset.area_rule) == (kind, "box")
    # Nor do more keypoints with a crowdIndex.
    file = written(tmp_path, person(17), crowdIndex=0.4)
    assert load_annotations(file, tmp_path).kind == "coco"


def test_a_file_is_read_as_a_record_says(tmp_path: Path) -> None:
    file = written(tmp_path, person(98, center=[100.0, 50.0], scale=1.0))
    request = DataRequest(str(file), images=tmp_path, record="wflw")
    dataset = load_pose_dataset(request, lambda _done, _total: None)
    assert (dataset.name, dataset.kind, dataset.known.name) == ("ann", "distance", "wflw")


def mpii(folder: Path) -> Path:
    """Write MPII's two files as MMPose has them."""
    scipy_io = pytest.importorskip("scipy.io", reason="needs the extra mpii")
    joints = [[100.0 + i, 50.0 + i] for i in range(16)]
    row = {"image": "0123.jpg", "joints": joints, "joints_vis": [1] * 15 + [0],
           "center": [110.0, 60.0], "scale": 0.5}  # fmt: skip
    file = folder / "mpii_val.json"
    file.write_text(json.dumps([row, {**row, "image": "0124.jpg"}]))
    corners = np.array([[[10.0, 20.0], [30.0, 40.0]], [[13.0, 26.0], [34.0, 48.0]]])
    scipy_io.savemat(str(folder / "mpii_gt_val.mat"), {"headboxes_src": corners})
    return file


def test_mpiis_persons_have_the_size_of_their_head(tmp_path: Path) -> None:
    file = mpii(tmp_path)
    dataset = load_dataset(file, tmp_path, LoadOptions(known=known_dataset("mpii")))
    # 0.6 of the diagonals (3, 4) and (6, 8).
    assert [row["head_size"] for row in dataset.persons] == pytest.approx([3.0, 6.0])
    assert [image.id for image in dataset.images] == [123, 124]
    found = ground_truth_instances(dataset)
    # 100 pixels around the centre, 7.5 further down, counted from 0.
    assert found.bbox_xyxy[0].tolist() == [59, 16.5, 159, 116.5]
    assert found.keypoints[0, 0].tolist() == [99, 49, 1]
    digest = dataset.annotations_sha256
    heads = tmp_path / "mpii_gt_val.mat"
    heads.write_bytes(heads.read_bytes().replace(b"MATLAB", b"Matlab"))
    again = load_dataset(file, tmp_path, LoadOptions(known=known_dataset("mpii")))
    assert again.annotations_sha256 != digest


@pytest.mark.parametrize("damage", ["missing", "count", "broken", "person"])
def test_head_boxes_that_cannot_be_used(damage: str, tmp_path: Path) -> None:
    file = mpii(tmp_path)
    heads, rows = tmp_path / "mpii_gt_val.mat", json.loads(file.read_text())
    if damage == "missing":
        heads.unlink()
    elif damage == "broken":
        heads.write_bytes(b"not a mat file")
    elif damage == "count":
        file.write_text(json.dumps(rows[:1]))
    else:
        rows[1].pop("scale")
        file.write_text(json.dumps(rows))
    said = {"missing": "there is no .*mpii_gt_val.mat", "count": "wanted",
            "broken": "cannot be read", "person": "Person 1 .* lacks scale"}[damage]  # fmt: skip
    with pytest.raises(DataError, match=said):
        load_dataset(file, tmp_path, LoadOptions(known=known_dataset("mpii")))


def struct(*rows: dict[str, Any]) -> Any:
    """Return a struct array as MATLAB has it; a field that a row lacks is an empty matrix."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    found = np.empty((1, len(rows)), dtype=[(name, object) for name in names])
    for place, row in enumerate(rows):
        for name in names:
            found[name][0, place] = row.get(name, np.zeros((0, 0)))
    return found


def released(x: float, **more: Any) -> dict[str, Any]:
    """Return a person of MPII's release: 15 joints, a head box of 30x40, and what else is said."""
    points = struct(*({"x": x + i, "y": 50.0 + i, "id": i, "is_visible": "1"} for i in range(15)))
    return {"x1": x, "y1": 10.0, "x2": x + 30, "y2": 50.0, "annopoints": struct({"point": points}),
            "scale": 0.5, "objpos": struct({"x": x + 10, "y": 60.0}), **more}  # fmt: skip


def release(folder: Path) -> Path:
    """Write images of one person, of two close ones, of none, and of the test part."""
    scipy_io = pytest.importorskip("scipy.io", reason="needs the extra mpii")
    apart, close = struct(released(100.0)), struct(released(200.0), released(210.0))
    unlabelled = struct({"scale": 1.0, "objpos": struct({"x": 5.0, "y": 5.0})})
    rects = [apart, close, np.zeros((0, 0)), unlabelled]
    annolist = struct(
        *(
            {"image": struct({"name": f"{place:05}.jpg"}), "annorect": rect}
            for place, rect in enumerate(rects, 1)
        )
    )
    alone = np.empty((4, 1), dtype=object)
    alone[:, 0] = [np.array([[1]]), np.array([[2]]), np.zeros((0, 0)), np.array([[1]])]
    content = {"annolist": annolist, "img_train": np.array([[1, 1, 1, 0]]), "single_person": alone}
    path = folder / "mpii_human_pose_v1_u12_1.mat"
    scipy_io.savemat(str(path), {"RELEASE": struct(content)})
    return path


def test_mpiis_release_is_read(tmp_path: Path) -> None:
    options = LoadOptions(known=known_dataset("mpii"))
    dataset = load_dataset(release(tmp_path), tmp_path, options)
    assert [image.path.name for image in dataset.images] == ["00001.jpg", "00002.jpg"]
    assert [row["head_size"] for row in dataset.persons] == [30.0, 30.0]
    found = ground_truth_instances(dataset)
    assert found.keypoints[:, :2].tolist() == [[[99, 49, 1], [100, 50, 1]],
                                               [[209, 49, 1], [210, 50, 1]]]  # fmt: skip
    assert found.keypoints[0, 15, 2] == 0
    assert found.bbox_xyxy[0].tolist() == [59, 16.5, 159, 116.5]
    (finding,) = [each for each in dataset.findings if each.kind == "split-unknown"]
    assert "all 2 images" in str(finding)


def test_mpiis_release_tells_head_boxes_of_mmposes_persons(tmp_path: Path) -> None:
    release(tmp_path)
    joints = [[210.0 + i, 50.0 + i] for i in range(15)] + [[-1.0, -1.0]]
    row = {"image": "00002.jpg", "joints": joints, "joints_vis": [1] * 15 + [0],
           "center": [220.0, 60.0], "scale": 0.5}  # fmt: skip
    (tmp_path / "annotations").mkdir()
    file = tmp_path / "annotations" / "mpii_val.json"
    file.write_text(json.dumps([row]))
    options = LoadOptions(known=known_dataset("mpii"))
    assert [each["head_size"] for each in load_dataset(file, tmp_path, options).persons] == [30.0]
    file.write_text(json.dumps([{**row, "image": "00001.jpg"}]))
    with pytest.raises(DataError, match="no person with the joints of person 0"):
        load_dataset(file, tmp_path, options)


def test_other_mat_files_are_refused(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io", reason="needs the extra mpii")
    path, options = tmp_path / "x.mat", LoadOptions(known=known_dataset("mpii"))
    for content, said in (
        ({"other": 1}, "with RELEASE"),
        ({"RELEASE": 1}, "is not MPII's release"),
        ({"RELEASE": struct({"annolist": struct({"image": 1}), "img_train": 1})}, "is not MPII"),
    ):
        scipy_io.savemat(str(path), content)
        with pytest.raises(DataError, match=said):
            load_dataset(path, tmp_path, options)
    with pytest.raises(DataError, match=r"is a \.mat file"):
        load_dataset(path, tmp_path, LoadOptions())
