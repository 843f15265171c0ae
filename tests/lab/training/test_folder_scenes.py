"""Folders in COCO's layout as training data: kept small, keyed by content."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from tiny_runs import StoppedError, constant_score, silent, stop_at, tiny_recipe

from posebench.checkpoints import load_checkpoint
from posebench.datasets.keypoints import KeypointSet
from posebench.errors import TrainingError, UsageError
from posebench.lab.training import train
from posebench.lab.training.folder_scenes import FINEST, training_scenes
from posebench.lab.training.provenance import portable
from posebench.lab.training.validation import validation
from posebench.suites.training_data import FolderData

TWO = KeypointSet("two", ("left", "right", "top"), (0.1,) * 3, ((0, 1),))


def disc(image, x, y, colour):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    image[(columns - x) ** 2 + (rows - y) ** 2 <= 12**2] = colour


def write_folder(folder: Path, sizes=((150, 120), (1000, 800), (300, 400))) -> Path:
    """Write two splits of pictures with one person each, three coloured discs on them."""
    (folder / "annotations").mkdir(parents=True)
    points = {
        "name": "two",
        "keypoints": list(TWO.keypoints),
        "sigmas": list(TWO.sigmas),
        "flip_pairs": [["left", "right"]],
    }
    (folder / "keypoints.yaml").write_text(yaml.safe_dump(points), encoding="utf-8")
    for split in ("train", "val"):
        (folder / split).mkdir()
        images, annotations = [], []
        for index, (height, width) in enumerate(sizes):
            image = np.zeros((height, width, 3), dtype=np.uint8)
            places = [(0.6, 0.5), (0.4, 0.5), (0.5, 0.3)]
            keypoints = []
            for (right, down), colour in zip(
                places, ((250, 0, 0), (0, 250, 0), (0, 0, 250)), strict=True
            ):
                x, y = right * width, down * height
                disc(image, x, y, colour)
                keypoints += [x, y, 2]
            name = f"{index}.png"
            cv2.imwrite(str(folder / split / name), image)
            images.append({"id": index, "file_name": name, "width": width, "height": height})
            box = [0.2 * width, 0.1 * height, 0.6 * width, 0.8 * height]
            annotations.append(
                {
                    "id": index + 1,
                    "image_id": index,
                    "category_id": 1,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "num_keypoints": 3,
                    "keypoints": keypoints,
                }
            )
        labels = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "thing"}],
        }
        file = folder / "annotations" / f"person_keypoints_{split}.json"
        file.write_text(json.dumps(labels), encoding="utf-8")
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    return write_folder(tmp_path / "things")


def recipe_of(folder, paradigm="simcc", **changes):
    recipe = tiny_recipe(paradigm, steps=4, evaluations=2)
    model = replace(recipe.model, keypoints=TWO)
    return replace(recipe, model=model, data=FolderData(str(folder)), **changes)


def test_images_are_kept_at_most_so_fine_and_keypoints_stay_on_what_they_label(folder):
    recipe = recipe_of(folder)
    store = training_scenes(recipe, silent_two)
    assert len(store) == 3
    padded = 1.25 * (store.bbox_xyxy[:, 3] - store.bbox_xyxy[:, 1])
    finest = FINEST * recipe.model.input_size.height
    assert store.shapes[0].tolist() == [150, 120]
    assert store.shapes[1, 0] < 300
    assert (padded <= finest * 1.35).all()
    for person in range(3):
        image = store.image(person).astype(float)
        for channel, (x, y, flag) in enumerate(store.keypoints[person]):
            share = image[..., channel]
            rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
            centre = np.array([(columns * share).sum(), (rows * share).sum()]) / share.sum()
            np.testing.assert_allclose(centre, (x, y), atol=0.3)
            assert flag == 2


def silent_two(_done, _total):
    return


def test_scenes_are_decoded_once_and_again_if_an_image_changes(folder):
    recipe = recipe_of(folder)
    first = training_scenes(recipe, silent_two)
    again = training_scenes(recipe, lambda *_: pytest.fail("decoded again"))
    assert first.sha256 == again.sha256
    cv2.imwrite(str(folder / "train" / "0.png"), np.full((150, 120, 3), 9, dtype=np.uint8))
    changed = training_scenes(recipe, silent_two)
    assert changed.sha256 != first.sha256
    assert changed.image(0).max() == 9


def test_a_limit_keeps_the_first_images(folder):
    recipe = recipe_of(folder)
    store = training_scenes(replace(recipe, data=FolderData(str(folder), limit=2)), silent_two)
    assert len(store) == 2
    assert store.sha256 != training_scenes(recipe, silent_two).sha256


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc"])
def test_a_folder_trains_with_its_own_keypoints(folder, paradigm, tmp_path):
    recipe = recipe_of(folder, paradigm)
    score = validation(recipe, silent)
    outcome = train(recipe, tmp_path / "out", score, silent)
    assert set(outcome.metrics) == {"AP", "PCK@0.1"}
    curve = json.loads(outcome.curve.read_text(encoding="utf-8"))
    assert curve["recipe"]["data"] == {"folder": "things", "split": "train", "limit": None}
    assert [point["validation"] for point in curve["curve"]] == ["val", "val"]
    assert load_checkpoint(outcome.checkpoint).provenance["final"]["validation"] == "val"


def test_scores_name_their_split_and_a_run_that_changes_it_warns(folder, tmp_path, caplog):
    recipe = recipe_of(folder)
    with pytest.raises(StoppedError):
        train(recipe, tmp_path, constant_score, stop_at(3))
    other = replace(recipe, data=replace(recipe.data, validation="train"))
    outcome = train(other, tmp_path, constant_score, silent)
    assert "scored on the split val before it was stopped, and goes on with train" in caplog.text
    curve = json.loads(outcome.curve.read_text(encoding="utf-8"))["curve"]
    assert [point["validation"] for point in curve] == ["val", "train"]
    assert outcome.metrics == {"AP": 0.25}
    caplog.clear()
    with pytest.raises(StoppedError):
        train(other, tmp_path, constant_score, stop_at(3))
    train(other, tmp_path, constant_score, silent)
    assert caplog.text == ""


def test_no_path_of_this_machine_is_written(folder):
    assert str(folder.parent) not in json.dumps(portable(recipe_of(folder)))


def test_keypoints_that_the_data_do_not_label_are_refused(folder, tmp_path):
    recipe = replace(tiny_recipe("simcc"), data=FolderData(str(folder)))
    with pytest.raises(TrainingError, match="17 keypoints") as caught:
        train(recipe, tmp_path / "out", constant_score, silent)
    assert "Leave out" in caught.value.hint


def test_one_of_several_categories_is_trained_on(folder):
    file = folder / "annotations" / "person_keypoints_train.json"
    labels = json.loads(file.read_text(encoding="utf-8"))
    labels["categories"].append({"id": 2, "name": "other"})
    labels["annotations"][0]["category_id"] = 2
    file.write_text(json.dumps(labels), encoding="utf-8")
    recipe = recipe_of(folder)
    with pytest.raises(UsageError, match="keypoints of 2 categories") as refused:
        training_scenes(recipe, silent_two)
    assert "suites and recipes have `category`" in str(refused.value.hint)
    stores = [
        training_scenes(replace(recipe, data=replace(recipe.data, category=each)), silent_two)
        for each in (1, "other")
    ]
    assert [len(store) for store in stores] == [2, 1]
    assert stores[0].sha256 != stores[1].sha256
    assert portable(recipe)["data"].keys() == {"folder", "split", "limit"}
