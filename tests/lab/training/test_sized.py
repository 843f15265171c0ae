"""Training at several sizes, and the checkpoints with BatchNorm's statistics of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tiny_runs import rendered_store, run, tiny_recipe, without_augmentation

from posebench.checkpoints import load_checkpoint
from posebench.errors import TrainingError
from posebench.lab.training import reestimate_batchnorm, sized
from posebench.lab.training.batches import cut_batch
from posebench.lab.training.plans import batch_plans
from posebench.lab.training.state import new_state
from posebench.networks.policies import apply_policy
from posebench.networks.sizes import InputSize

SQUARE, LARGE = InputSize(64, 64), InputSize(96, 96)


@pytest.fixture(scope="module")
def store():
    return rendered_store(4)


def square_recipe(paradigm, **changes):
    recipe = tiny_recipe(paradigm, steps=4, evaluations=1)
    return replace(recipe, model=replace(recipe.model, input_size=SQUARE), **changes)


def weights_of(checkpoint):
    network: Any = checkpoint.network
    return network.state_dict()


def test_several_sizes_are_trained_at_and_each_test_size_has_a_checkpoint(
    monkeypatch, store, tmp_path
):
    recipe = square_recipe("heatmap", train_sizes=(0.75, 1.0, 1.5), test_sizes=(1.5, 0.5))
    outcome = run(monkeypatch, store, recipe, tmp_path)
    assert set(outcome.at_sizes) == {LARGE, InputSize(32, 32)}
    assert outcome.at_sizes[LARGE].name == "tiny-heatmap@96x96.safetensors"
    own, large = (load_checkpoint(path) for path in (outcome.checkpoint, outcome.at_sizes[LARGE]))
    assert (own.spec.input_size, large.spec.input_size) == (SQUARE, LARGE)
    assert large.provenance["batchnorm_of"] == "96x96"
    weights, others = weights_of(own), weights_of(large)
    for name, value in weights.items():
        same = torch.equal(value, others[name])
        assert same != ("running_" in name or "num_batches" in name), name


def test_statistics_are_those_of_the_crops_at_the_size(monkeypatch, store):
    """The first layer's mean over all crops, computed at once, is what is stored."""
    recipe = square_recipe("heatmap")
    monkeypatch.setattr(sized, "training_scenes", lambda _recipe, _progress: store)
    model: Any = new_state(recipe).average
    found: Any = reestimate_batchnorm(model, recipe, LARGE, crops=32)
    at_size = replace(recipe, train_sizes=(1.5,))
    crops = torch.cat(
        [cut_batch(store, plan, recipe.model.crop) for plan in batch_plans(store, at_size, 0)]
    )
    with torch.no_grad():
        features = model.backbone.conv1(crops)
    expected = features.mean(dim=(0, 2, 3))
    norm = found.backbone.bn1
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-4, atol=1e-5)
    assert norm.momentum == model.backbone.bn1.momentum
    assert not found.training
    assert float(model.backbone.bn1.running_mean.abs().max()) == 0


def test_a_size_locked_head_is_interpolated(monkeypatch, store):
    recipe = square_recipe("simcc")
    monkeypatch.setattr(sized, "training_scenes", lambda _recipe, _progress: store)
    model = new_state(recipe).average
    found = reestimate_batchnorm(model, recipe, LARGE, crops=16)
    expected: Any = apply_policy(model, LARGE, "interpolate").network
    assert found.spec.input_size == LARGE
    for name, value in expected.head.state_dict().items():
        assert torch.equal(found.head.state_dict()[name], value), name
    assert found(torch.zeros(1, 3, 96, 96))[0].shape == (1, 17, 192)


def test_a_size_that_is_no_multiple_of_the_stride_is_refused(monkeypatch, store, tmp_path):
    recipe = square_recipe("heatmap", train_sizes=(1.0, 1.1))
    with pytest.raises(TrainingError, match="70x70 of train_sizes is no multiple"):
        run(monkeypatch, store, recipe, tmp_path)
    with pytest.raises(TrainingError, match="no multiple of the stride 16"):
        reestimate_batchnorm(new_state(recipe).average, recipe, InputSize(70, 70))


def test_a_head_of_one_size_is_refused_before_training(monkeypatch, store, tmp_path):
    recipe = without_augmentation(square_recipe("simcc", train_sizes=(1.0, 1.5)))
    with pytest.raises(TrainingError, match="cannot run at 96x96") as caught:
        run(monkeypatch, store, recipe, tmp_path)
    assert "any size" in caught.value.hint
