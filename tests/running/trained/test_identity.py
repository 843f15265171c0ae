"""Which trainings are one and the same."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_run import edit_annotations, small_checkpoint
from tiny_runs import tiny_recipe

from posebench.datasets.keypoints import COCO
from posebench.files.records import mapping_from_record
from posebench.lab.training import TRAINING_VERSION
from posebench.networks.spec import CropSpec
from posebench.running.trained import identity
from posebench.running.trained.identity import data_sha256, training_key, training_keys
from posebench.suites.arms import Training
from posebench.suites.recipe import Initialisation
from posebench.suites.trained import TrainingDataEntry
from posebench.suites.training_data import FolderData, RenderedData, TrainingData

RECIPE = tiny_recipe("heatmap")


def test_names_do_not_count_and_settings_do() -> None:
    key = training_key(RECIPE, {})
    assert training_key(replace(RECIPE, name="other", pair="p"), {}) == key
    changed = [
        replace(RECIPE, seed=1),
        replace(RECIPE, evaluations=4),
        replace(RECIPE, data=RenderedData(scenes=9)),
        replace(RECIPE, optimisation=replace(RECIPE.optimisation, weight_decay=0.0)),
        replace(RECIPE, model=replace(RECIPE.model, crop=CropSpec(padding=1.0))),
        tiny_recipe("simcc"),
    ]
    assert len({key, *(training_key(each, {}) for each in changed)}) == 1 + len(changed)


def test_a_default_that_is_written_out_does_not_count() -> None:
    assert training_key(replace(RECIPE, augmentation=type(RECIPE.augmentation)()), {}) == (
        training_key(RECIPE, {})
    )


def test_folders_count_by_what_they_hold(people: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(people, copy)
    one, other = FolderData(str(people), split="val"), FolderData(str(copy), split="val")
    assert data_sha256(one) == data_sha256(other)
    assert data_sha256(replace(one, limit=2)) != data_sha256(one)
    image = sorted((copy / "val").iterdir())[0]
    pixels = image.read_bytes()
    image.write_bytes(pixels + b"\0")
    assert data_sha256(one) != data_sha256(other)
    image.write_bytes(pixels)
    assert data_sha256(one) == data_sha256(other)


def test_a_process_notices_labels_and_weights_that_change(people: Path, tmp_path: Path) -> None:
    shutil.copytree(people, tmp_path / "mine")
    mine = replace(RECIPE, data=FolderData(str(tmp_path / "mine"), split="val"))
    begun = tmp_path / "a.safetensors"
    small_checkpoint(begun)
    started = replace(mine, initialise=Initialisation(str(begun)))
    keys = [training_key(started, {})]

    def relabel(raw: Any) -> None:
        raw["annotations"][0]["keypoints"][0] += 1

    edit_annotations(tmp_path / "mine" / "annotations" / "person_keypoints_val.json", relabel)
    keys.append(training_key(started, {}))
    (tmp_path / "mine" / "keypoints.yaml").write_text(_as_yaml(0.5))
    keys.append(training_key(started, {}))
    (tmp_path / "mine" / "keypoints.yaml").write_text(_as_yaml(0.25))
    keys.append(training_key(started, {}))
    small_checkpoint(begun, seed=1)
    assert len({*keys, training_key(started, {})}) == 5


def _as_yaml(sigma: float) -> str:
    return yaml.safe_dump({**mapping_from_record(COCO), "sigmas": [sigma] * len(COCO)})


def test_initial_weights_count_by_content_or_by_their_own_training(tmp_path: Path) -> None:
    def started(path: Path) -> str:
        return training_key(replace(RECIPE, initialise=Initialisation(str(path))), {})

    small_checkpoint(tmp_path / "a.safetensors")
    shutil.copy(tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    small_checkpoint(tmp_path / "c.safetensors", seed=1)
    first = started(tmp_path / "a.safetensors")
    assert first == started(tmp_path / "b.safetensors") != started(tmp_path / "c.safetensors")
    stand_in = replace(RECIPE, initialise=Initialisation("arm:x"))
    keys = [training_key(stand_in, {"initialise": key}) for key in ("k", "l")]
    assert keys[0] != keys[1]


def test_trainings_of_an_older_way_are_trained_again(monkeypatch: pytest.MonkeyPatch) -> None:
    key = training_key(RECIPE, {})
    monkeypatch.setattr(identity, "TRAINING_VERSION", TRAINING_VERSION + 1)
    assert training_key(RECIPE, {}) != key


def test_a_key_outlives_fields_that_recipes_get(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was trained stays known: a new field must leave keys of recipes without it alone."""
    monkeypatch.setattr(identity, "data_sha256", lambda _data: "d")
    monkeypatch.setattr(identity, "TRAINING_VERSION", 1)
    keys = [training_key(tiny_recipe(kind), {})[:12] for kind in ("heatmap", "rle")]
    assert keys == ["fba038c7dd66", "52403fca400b"]


def test_data_are_hashed_once_for_all_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[TrainingData] = []

    def hashed(data: TrainingData) -> str:
        asked.append(data)
        return "d"

    monkeypatch.setattr(identity, "data_sha256", hashed)
    data = TrainingDataEntry("synthetic")
    trainings = [Training(f"s{n}", replace(RECIPE, seed=n), data, {}) for n in range(3)]
    assert len({*training_keys(tuple(trainings)).values()}) == 3
    assert asked == [RECIPE.data]
