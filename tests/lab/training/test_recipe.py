from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from posebench.datasets.requests import load_pose_dataset
from posebench.errors import SpecError
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.lab.training import Recipe, load_recipe
from posebench.networks.sizes import InputSize
from posebench.suites.recipe import Distillation, Initialisation, recipe_from_mapping
from posebench.suites.training_data import FolderData, RenderedData

MINIMAL = {
    "name": "one",
    "model": {
        "backbone": {"family": "resnet", "options": {"depth": 18}},
        "head": {"kind": "simcc"},
        "codec": {"kind": "simcc"},
        "input_size": "64x48",
        "keypoints": "coco",
    },
    "optimisation": {"samples": 100},
}


def written(tmp_path: Path, **changes: object) -> Path:
    """Write the minimal recipe with dotted keys changed."""
    raw = yaml.safe_load(yaml.safe_dump(MINIMAL))
    for dotted, value in changes.items():
        *parents, key = dotted.split("__")
        place = raw
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = value
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return path


def test_a_recipe_is_read_with_its_defaults(tmp_path):
    recipe = load_recipe(written(tmp_path))
    assert recipe.model.input_size == InputSize(64, 48)
    assert recipe.model.paradigm == "simcc"
    assert (recipe.seed, recipe.evaluations, recipe.steps) == (0, 10, 3)
    assert len(recipe.model.keypoints) == 17
    assert recipe.data == RenderedData("standard", 8000)
    assert recipe.input_sizes == (InputSize(64, 48),)


def folder_of_points(folder: Path) -> Path:
    """Write a folder with one labelled image's annotations, of a keypoint set of its own."""
    (folder / "annotations").mkdir(parents=True)
    (folder / "train").mkdir()
    points = {"name": "two", "keypoints": ["a", "b"], "sigmas": [0.1, 0.1], "flip_pairs": [[0, 1]]}
    (folder / "keypoints.yaml").write_text(yaml.safe_dump(points), encoding="utf-8")
    person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81}
    labels = {
        "images": [{"id": 1, "file_name": "a.png", "width": 20, "height": 20}],
        "annotations": [{**person, "keypoints": [2, 2, 2, 4, 4, 2], "num_keypoints": 2}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    file = folder / "annotations" / "person_keypoints_train.json"
    file.write_text(json.dumps(labels), encoding="utf-8")
    return folder


def test_files_are_relative_to_the_recipe_and_keypoints_those_of_the_data(tmp_path):
    folder_of_points(tmp_path / "points")
    (tmp_path / "start.pth").touch()
    path = written(tmp_path, data={"folder": "points"}, initialise={"checkpoint": "start.pth"})
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    del raw["model"]["keypoints"]
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    recipe = load_recipe(path)
    assert recipe.data == FolderData(str(tmp_path / "points"))
    assert recipe.initialise == Initialisation(str(tmp_path / "start.pth"))
    assert recipe.model.keypoints.keypoints == ("a", "b")
    assert record_from_mapping(Recipe, mapping_from_record(recipe), where="again") == recipe


def test_data_whose_keypoints_stand_in_another_file_can_be_read(tmp_path):
    folder = folder_of_points(tmp_path / "points")
    (folder / "keypoints.yaml").rename(tmp_path / "own.yaml")
    path = written(tmp_path, data={"folder": "points", "keypoints": "own.yaml"})
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    del raw["model"]["keypoints"]
    path.write_text(yaml.safe_dump(raw), encoding="utf-8")
    recipe = load_recipe(path)
    assert isinstance(recipe.data, FolderData)
    # The annotations alone do not say what their two keypoints are.
    dataset = load_pose_dataset(recipe.data.request(), lambda _done, _total: None)
    assert recipe.model.keypoints == dataset.keypoints
    assert dataset.keypoints.keypoints == ("a", "b")


def test_a_checkpoint_that_is_no_file_stays_a_name(tmp_path):
    recipe = load_recipe(written(tmp_path, distillation={"teacher": "simcc-l"}))
    assert recipe.distillation == Distillation("simcc-l", 0.5)


def test_a_teacher_answers_at_one_size(tmp_path):
    several = written(tmp_path, distillation={"teacher": "simcc-l"}, train_sizes=[1, 1.5])
    with pytest.raises(SpecError, match="one size"):
        load_recipe(several)


def test_recipes_of_the_first_version_are_read(tmp_path):
    recipe = load_recipe(written(tmp_path, optimisation__simcc_beta=8.0, pair="p"))
    assert (recipe.loss.beta, recipe.pair) == (8.0, "p")


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("optimisation__sampels", "samples"),
        ("augmentation__flip_probabilty", "flip_probability"),
        ("model__codec__splitratio", "split_ratio"),
        ("seeds", "seed"),
    ],
)
def test_an_unknown_key_names_the_nearest(tmp_path, key, nearest):
    with pytest.raises(SpecError, match=f"unknown key .*Did you mean '{nearest}'"):
        load_recipe(written(tmp_path, **{key: 1}))


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("name", "../escape", "letters"),
        ("name", "", "letters"),
        ("seed", -1, "seed"),
        ("evaluations", 0, "evaluations"),
        ("data__level", "standart", "Did you mean 'standard'"),
        ("data__scenes", 0, "scenes"),
        ("augmentation__scale", [1.2, 0.8], "scale"),
        ("augmentation__scale", [0.0, 0.8], "scale"),
        ("augmentation__rotation_degrees", -1, "rotation_degrees"),
        ("augmentation__flip_probability", 1.5, "flip_probability"),
        ("augmentation__contrast", float("nan"), "line 2: .nan is not"),
        ("optimisation__samples", 31, "one batch"),
        ("optimisation__samples", "many", "samples"),
        ("optimisation__batch_size", 1, "batch_size"),
        ("optimisation__learning_rate", 0, "learning_rate"),
        ("optimisation__learning_rate", float("inf"), ".inf is not"),
        ("optimisation__weight_decay", -0.1, "weight_decay"),
        ("optimisation__warmup", 1.0, "warmup"),
        ("optimisation__betas", [0.9, 1.0], "betas"),
        ("optimisation__precision", "fp64", "precision"),
        ("model__input_size", "64", "input size"),
        ("model__head__kind", 3, "head"),
        ("model__keypoints", "crowdpose", "17 keypoints"),
        ("loss__beta", 0, "beta"),
        ("data", {"folder": "d", "limit": 0}, "limit"),
        ("data", {"folder": "d", "splt": "train"}, "Did you mean 'split'"),
        ("data", {"folder": "d", "scenes": 3}, "unknown key 'data.scenes'"),
        ("train_sizes", [], "at least one"),
        ("train_sizes", [1, 1], "twice"),
        ("train_sizes", [0.1], "between"),
        ("test_sizes", [1.0], "itself"),
        ("initialise", {"checkpoint": "a", "part": "head"}, "part"),
        ("initialise", {"part": "whole"}, "checkpoint"),
        ("distillation", {"teacher": "a", "weight": 2}, "weight"),
        ("model", "simcc", "model"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(tmp_path, key, value, complaint):
    path = written(tmp_path, **{key: value})
    with pytest.raises(SpecError, match=complaint) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("folder", ["x" * 5000, "~nobody-of-this-name/people", "a\0b"])
def test_a_folder_that_no_name_could_be_is_no_file_of_ours(tmp_path: Path, folder: str) -> None:
    recipe = yaml.safe_load(written(tmp_path).read_text(encoding="utf-8"))
    recipe["data"] = {"folder": folder}
    read = recipe_from_mapping(recipe, where="here", folder=tmp_path)
    assert isinstance(read.data, FolderData) and read.data.folder == folder
