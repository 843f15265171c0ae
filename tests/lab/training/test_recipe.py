from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from posebench.errors import SpecError
from posebench.lab.training import load_recipe
from posebench.networks.sizes import InputSize

MINIMAL = {
    "name": "one",
    "pair": "p",
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
        ("augmentation__contrast", float("nan"), "contrast"),
        ("optimisation__samples", 31, "one batch"),
        ("optimisation__samples", "many", "samples"),
        ("optimisation__batch_size", 1, "batch_size"),
        ("optimisation__learning_rate", 0, "learning_rate"),
        ("optimisation__learning_rate", float("inf"), "learning_rate"),
        ("optimisation__weight_decay", -0.1, "weight_decay"),
        ("optimisation__warmup", 1.0, "warmup"),
        ("optimisation__betas", [0.9, 1.0], "betas"),
        ("optimisation__precision", "fp64", "precision"),
        ("model__input_size", "64", "input size"),
        ("model__head__kind", 3, "head"),
        ("model__keypoints", "crowdpose", "17 keypoints"),
        ("model__crop__udp", True, "classic"),
        ("model", "simcc", "model"),
    ],
)
def test_a_bad_value_is_refused_with_its_place(tmp_path, key, value, complaint):
    path = written(tmp_path, **{key: value})
    with pytest.raises(SpecError, match=complaint) as caught:
        load_recipe(path)
    assert str(path) in str(caught.value)
