from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_runs import silent, tiny_recipe

from posebench.datasets.requests import DataRequest, load_pose_dataset
from posebench.datasets.synthetic import write_dataset
from posebench.errors import TrainingError
from posebench.lab.training import validation as evaluation
from posebench.lab.training.provenance import portable
from posebench.lab.training.state import new_state
from posebench.lab.training.validation import validation
from posebench.suites.training_data import FolderData


@pytest.fixture
def score(monkeypatch, tmp_path):
    """Return the validation of a tiny recipe on three scenes in place of the embedded ones."""
    asked = []

    def three_scenes(request, progress):
        asked.append(request.dataset)
        write_dataset(tmp_path, split="val", level="standard", count=3)
        return load_pose_dataset(DataRequest(dataset=str(tmp_path)), progress)

    monkeypatch.setattr(evaluation, "load_pose_dataset", three_scenes)
    scorer = validation(tiny_recipe("heatmap"), silent)
    assert asked == ["synthetic"]
    return scorer


def test_an_untrained_model_scores_between_0_and_1(score):
    metrics = score(new_state(tiny_recipe("heatmap")).average)
    assert list(metrics) == ["AP", "PCK@0.1"]
    assert all(0 <= value < 0.5 and math.isfinite(value) for value in metrics.values())


def test_a_folder_may_call_its_validation_otherwise(people: Path, tmp_path: Path) -> None:
    shutil.copytree(people, tmp_path / "mine")
    folder = tmp_path / "mine" / "annotations"
    (folder / "person_keypoints_val.json").rename(folder / "dev.json")
    (tmp_path / "mine" / "val").rename(tmp_path / "mine" / "dev")
    data = FolderData(str(tmp_path / "mine"), split="dev")
    recipe = replace(tiny_recipe("heatmap"), data=data)
    with pytest.raises(TrainingError, match=r"'val' of .*mine while it trains") as refused:
        validation(recipe, silent)
    assert "Name another split as `validation`" in str(refused.value.hint)
    named = replace(recipe, data=replace(data, validation="dev"))
    assert validation(named, silent)(new_state(recipe).average)["AP"] >= 0
    # Where a model is scored does not make it another training.
    assert portable(named) == portable(recipe)


def test_a_model_with_nan_weights_is_an_error(score):
    model: Any = new_state(tiny_recipe("heatmap")).average
    with torch.no_grad():
        model.head.final_layer.weight.fill_(torch.nan)
    with pytest.raises(TrainingError, match="tiny-heatmap cannot be evaluated"):
        score(model)
