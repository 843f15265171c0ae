from __future__ import annotations

import pytest
import yaml
from tiny_runs import constant_score, rendered_store, tiny_recipe
from typer.testing import CliRunner

from posebench.cli import app
from posebench.files.records import mapping_from_record
from posebench.lab.training import loop, validation as evaluation
from posebench.networks.model import PoseModel


@pytest.fixture
def recipe_file(tmp_path, monkeypatch):
    """Write a recipe of four steps that trains on two scenes and is not really evaluated."""
    store = rendered_store(2)
    monkeypatch.setattr(loop, "training_scenes", lambda _recipe, _progress: store)
    monkeypatch.setattr(evaluation, "validation", lambda _recipe, _report: constant_score)
    path = tmp_path / "recipe.yaml"
    recipe = tiny_recipe("simcc", steps=4, evaluations=2)
    path.write_text(yaml.safe_dump(mapping_from_record(recipe)), encoding="utf-8")
    return path


def train(recipe_file, *options):
    out = str(recipe_file.parent / "out")
    return CliRunner().invoke(app, ["train", str(recipe_file), "--out", out, *options])


def interrupt_evaluation(monkeypatch, number):
    count = 0

    def score(_model: PoseModel) -> dict[str, float]:
        nonlocal count
        count += 1
        if count == number:
            raise KeyboardInterrupt
        return {"AP": 0.25}

    monkeypatch.setattr(evaluation, "validation", lambda _recipe, _report: score)


def test_it_says_where_the_checkpoint_is(recipe_file):
    result = train(recipe_file, "--threads", "1")
    assert result.exit_code == 0
    assert "tiny-simcc.safetensors: AP 25.0 (points)" in result.stdout
    assert (recipe_file.parent / "out" / "tiny-simcc.curve.json").is_file()


def test_ctrl_c_says_that_the_run_can_go_on(recipe_file, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_evaluation(patch, 2)
        stopped = train(recipe_file)
    assert stopped.exit_code == 3
    assert "goes on from its last evaluation" in stopped.stderr
    assert train(recipe_file).exit_code == 0


def test_ctrl_c_before_the_first_evaluation_keeps_nothing(recipe_file, monkeypatch):
    interrupt_evaluation(monkeypatch, 1)
    stopped = train(recipe_file)
    assert stopped.exit_code == 3
    assert "starts afresh" in stopped.stderr
