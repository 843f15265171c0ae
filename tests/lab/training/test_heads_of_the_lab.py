"""Heads, losses and bins of the lab, trained end to end at toy size."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_runs import SIZE, rendered_store, run, tiny_recipe, without_augmentation

from posebench.checkpoints import load_checkpoint
from posebench.errors import SpecError
from posebench.lab.training import Recipe
from posebench.lab.training.bins import with_its_bins
from posebench.networks.codecs import SimccCodec
from posebench.networks.heads import LossSettings
from posebench.networks.policies import apply_policy
from posebench.networks.sizes import InputSize
from posebench.networks.spec import HeadSpec

LARGER = InputSize(128, 96)
SIZE_FREE = ("simcc-table", "simcc-coordinates", "simcc-marginal", "simcc-pooling")
DECONVS = {"deconv_channels": [8, 8], "deconv_kernels": [4, 4]}
SIMCC_HEADS = (
    *map(HeadSpec, SIZE_FREE),
    HeadSpec("simcc", {"conv_channels": [8], "conv_kernels": [1]}),
    HeadSpec("rtmcc", {"gau": {"hidden_dims": 32, "s": 16}}),
    HeadSpec("rtmcc", {"gau": {"hidden_dims": 32}, "attention": False}),
)
HEADS = (*SIMCC_HEADS, HeadSpec("heatmap-attention", DECONVS))


@pytest.fixture(scope="module")
def store():
    return rendered_store(8)


def recipe_of(head: HeadSpec, steps: int = 24, **changes: Any) -> Recipe:
    recipe = tiny_recipe("heatmap" if head.kind.startswith("heatmap") else "simcc", steps, 4)
    recipe = without_augmentation(replace(recipe, **changes))
    return replace(
        recipe,
        model=replace(recipe.model, head=head),
        optimisation=replace(recipe.optimisation, learning_rate=5e-3),
    )


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.kind)
def test_every_head_learns(monkeypatch, store, tmp_path, head) -> None:
    outcome = run(monkeypatch, store, recipe_of(head), tmp_path)
    curve = json.loads(outcome.curve.read_text(encoding="utf-8"))["curve"]
    losses = [point["loss"] for point in curve]
    assert losses[-1] < 0.95 * losses[0]
    assert load_checkpoint(outcome.checkpoint).spec.head.kind == head.kind


@pytest.mark.parametrize(
    "settings",
    [
        LossSettings(targets="one-hot", beta=1.0),
        LossSettings(targets="one-hot", smoothing=0.1),
        LossSettings(targets="one-hot", focal=2.0),
        LossSettings(targets="gaussian"),
    ],
    ids=str,
)
def test_every_loss_is_learned(monkeypatch, store, tmp_path, settings) -> None:
    recipe = recipe_of(HeadSpec("simcc"), loss=settings)
    outcome = run(monkeypatch, store, recipe, tmp_path)
    written = json.loads(outcome.curve.read_text(encoding="utf-8"))
    losses = [point["loss"] for point in written["curve"]]
    assert losses[-1] < 0.95 * losses[0]
    assert written["recipe"]["loss"]["targets"] == settings.targets


@pytest.mark.parametrize("kind", SIZE_FREE)
def test_heads_for_any_size_train_at_several(monkeypatch, store, tmp_path, kind) -> None:
    recipe = recipe_of(HeadSpec(kind), steps=6, train_sizes=(1.0, 2.0), test_sizes=(2.0,))
    outcome = run(monkeypatch, store, recipe, tmp_path)
    own, sized = (load_checkpoint(path) for path in (outcome.checkpoint, outcome.at_sizes[LARGER]))
    assert (own.spec.input_size, sized.spec.input_size) == (SIZE, LARGER)
    # BatchNorm's statistics apart they are one network.
    networks: list[Any] = [own.network, sized.network]
    mine, other = (network.head.state_dict() for network in networks)
    assert all(torch.equal(mine[name], other[name]) for name in mine)
    for checkpoint in (own, sized):
        outputs = apply_policy(checkpoint.network, LARGER, "native")(torch.zeros(1, 3, 128, 96))
        assert [each.shape[-1] for each in outputs] == [192, 256]


def test_bins_lie_at_quantiles_of_the_training_coordinates(monkeypatch, store, tmp_path) -> None:
    recipe = recipe_of(HeadSpec("simcc"), steps=6, bins="quantiles")
    outcome = run(monkeypatch, store, recipe, tmp_path)
    codec = load_checkpoint(outcome.checkpoint).spec.codec
    placed = with_its_bins(recipe, store)
    assert codec == placed.model.codec
    assert isinstance(codec, SimccCodec) and codec.positions is not None
    assert codec.bins(SIZE) == (96, 128)
    gaps = np.diff(codec.positions[1])
    assert gaps.max() > 3 * np.median(gaps)
    assert with_its_bins(replace(recipe, bins="even"), store).model == recipe.model
    with pytest.raises(SpecError, match="only a SimCC codec"):
        replace(tiny_recipe("heatmap"), bins="quantiles")
