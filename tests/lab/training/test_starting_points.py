"""Runs that begin with another checkpoint: its weights, or its answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tiny_runs import rendered_store, run, tiny_recipe, without_augmentation

from posebench.checkpoints import load_checkpoint
from posebench.errors import TrainingError
from posebench.files.hashing import sha256_of
from posebench.lab.training.learning import Learner
from posebench.lab.training.plans import batch_plans
from posebench.lab.training.starting_points import Teacher
from posebench.lab.training.state import new_state
from posebench.lab.training.steps import host_step, output_shapes
from posebench.networks.sizes import InputSize
from posebench.networks.spec import HeadSpec
from posebench.suites.recipe import Distillation, Initialisation

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store():
    return rendered_store(3)


@pytest.fixture
def trained(monkeypatch, store, tmp_path):
    """Return the checkpoint of each paradigm after two steps from another seed."""

    def make(paradigm):
        recipe = replace(tiny_recipe(paradigm, steps=2, evaluations=1), seed=9)
        return run(monkeypatch, store, recipe, tmp_path / "first").checkpoint

    return make


def provenance_of(outcome):
    with safe_open(outcome.checkpoint, framework="pt") as file:
        return json.loads(file.metadata()["posebench"])["provenance"]


@pytest.mark.parametrize("part", ["whole", "backbone"])
def test_weights_are_those_of_the_checkpoint(trained, part):
    path = trained("simcc")
    recipe = tiny_recipe("simcc")
    state = new_state(replace(recipe, initialise=Initialisation(str(path), part)))
    network: Any = load_checkpoint(path).network
    source = network.state_dict()
    fresh = new_state(recipe).model.state_dict()
    for name, value in state.model.state_dict().items():
        taken = part == "whole" or name.startswith("backbone.")
        assert torch.equal(value, (source if taken else fresh)[name]), name
    assert torch.equal(
        state.average.state_dict()["backbone.conv1.weight"], source["backbone.conv1.weight"]
    )


def test_a_heatmap_backbone_starts_a_simcc_model_and_is_named(
    trained, monkeypatch, store, tmp_path
):
    path = trained("heatmap")
    start = Initialisation(str(path), "backbone")
    recipe = replace(tiny_recipe("simcc", steps=2, evaluations=1), initialise=start)
    provenance = provenance_of(run(monkeypatch, store, recipe, tmp_path / "second"))
    assert provenance["initialise"] == {"name": path.stem, "sha256": sha256_of(path)}
    assert provenance["recipe"]["initialise"]["checkpoint"] == path.name


def test_regression_starts_from_a_heatmap_backbone_and_its_flow_anew(trained):
    path = trained("rle")
    recipe = tiny_recipe("rle")
    whole = new_state(replace(recipe, initialise=Initialisation(str(path), "whole"))).model
    backbone = Initialisation(str(trained("heatmap")), "backbone")
    pretrained = new_state(replace(recipe, initialise=backbone)).model
    fresh = new_state(recipe).model.state_dict()
    network: Any = load_checkpoint(path).network
    for name, value in whole.state_dict().items():
        flow = name.startswith("head.loss_module.")
        assert torch.equal(value, fresh[name] if flow else network.state_dict()[name]), name
    for name, value in pretrained.state_dict().items():
        moved = not torch.equal(value, fresh[name])
        assert not moved or name.startswith("backbone."), name


def test_other_shapes_are_refused(trained):
    whole = Initialisation(str(trained("heatmap")))
    with pytest.raises(TrainingError, match=r"head\..* in the model") as caught:
        new_state(replace(tiny_recipe("simcc"), initialise=whole))
    assert "backbone" in caught.value.hint


def taught(path, paradigm, weight):
    recipe = tiny_recipe(paradigm, steps=2, evaluations=1)
    return replace(recipe, distillation=Distillation(str(path), weight))


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc"])
def test_the_loss_mixes_that_of_labels_and_that_of_the_teacher(trained, store, paradigm):
    path = trained(paradigm)
    losses = []
    for weight in (0.0, 0.25, 1.0):
        recipe = taught(path, paradigm, weight)
        state = new_state(recipe)
        learner = Learner(recipe, state, Teacher(recipe, CPU))
        step = host_step(recipe, store, learner, output_shapes(recipe, state.model))
        losses.append(float(step(next(batch_plans(store, recipe, 0)))))
    labels, mixed, teacher = losses
    assert labels != teacher
    assert mixed == pytest.approx(0.75 * labels + 0.25 * teacher, rel=1e-5)


def test_a_model_taught_by_itself_has_nothing_to_learn(trained):
    path = trained("simcc")
    recipe = replace(taught(path, "simcc", 1.0), initialise=Initialisation(str(path)))
    teacher = Teacher(recipe, CPU)
    crops = torch.zeros(2, 3, 64, 48)
    answers = teacher.answers(crops)
    loss = teacher.loss(answers, answers, torch.ones(2, 17), recipe.loss)
    assert float(loss) == pytest.approx(0, abs=1e-5)


def test_divergence_from_a_teacher_is_its_closed_form(trained):
    path = trained("simcc")
    recipe = taught(path, "simcc", 1.0)
    rng = np.random.default_rng(0)
    one, other = (rng.normal(size=(2, 17, 96)), rng.normal(size=(2, 17, 96)))
    beta = recipe.loss.beta
    p, q = (each / each.sum(axis=-1, keepdims=True) for each in np.exp([other * beta, one * beta]))
    expected = 2 * (p * np.log(p / q)).sum(axis=-1).mean()
    outputs, answers = (tuple(torch.from_numpy(each) for each in (x, x)) for x in (one, other))
    loss = Teacher(recipe, CPU).loss(outputs, answers, torch.ones(2, 17), recipe.loss)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("differs", ["paradigm", "input size", "crop"])
def test_a_teacher_with_other_answers_is_refused(trained, differs):
    recipe = taught(trained("simcc"), "heatmap" if differs == "paradigm" else "simcc", 0.5)
    model = recipe.model
    if differs == "input size":
        model = replace(model, input_size=InputSize(96, 64))
    if differs == "crop":
        model = replace(model, crop=replace(model.crop, udp=True))
    with pytest.raises(TrainingError, match=differs):
        Teacher(replace(recipe, model=model), CPU)


def test_a_teacher_with_other_maps_is_refused(trained, monkeypatch, store, tmp_path):
    recipe = taught(trained("heatmap"), "heatmap", 0.5)
    coarse = replace(recipe.model, head=HeadSpec("heatmap"))
    with pytest.raises(TrainingError, match="outputs of the teacher tiny-heatmap are of shape"):
        run(monkeypatch, store, replace(recipe, model=coarse), tmp_path / "second")


def test_a_taught_model_learns_and_names_its_teacher(trained, monkeypatch, store, tmp_path):
    path = trained("simcc")
    recipe = without_augmentation(taught(path, "simcc", 0.5))
    provenance = provenance_of(run(monkeypatch, store, recipe, tmp_path / "second"))
    assert provenance["teacher"] == {"name": path.stem, "sha256": sha256_of(path)}
