from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tiny_runs import (
    StoppedError,
    constant_score,
    rendered_store,
    run,
    silent,
    stop_at,
    tiny_recipe,
    without_augmentation,
)

from posebench.checkpoints import load_checkpoint
from posebench.errors import DataError, TrainingError
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.lab.training import Recipe, TrainingOutcome, is_resumable, loop, steps, train
from posebench.lab.training.state import new_state

PARADIGMS = ("heatmap", "simcc", "regression", "rle")


def weights_of(outcome: TrainingOutcome) -> dict[str, torch.Tensor]:
    """Return the weights of the checkpoint that training ended with."""
    network: Any = load_checkpoint(outcome.checkpoint).network
    weights: dict[str, torch.Tensor] = network.state_dict()
    return weights


@pytest.fixture(scope="module")
def store():
    return rendered_store(8)


def curve_of(outcome):
    return json.loads(outcome.curve.read_text(encoding="utf-8"))["curve"]


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_a_tiny_model_learns(monkeypatch, store, tmp_path, paradigm):
    recipe = without_augmentation(tiny_recipe(paradigm, steps=48, evaluations=6))
    recipe = replace(recipe, optimisation=replace(recipe.optimisation, learning_rate=5e-3))
    curve = curve_of(run(monkeypatch, store, recipe, tmp_path))
    losses = [point["loss"] for point in curve]
    assert [point["samples"] for point in curve] == [64, 128, 192, 256, 320, 384]
    # A likelihood has no zero to be measured from.
    assert losses[-1] < (losses[0] - 1 if paradigm == "rle" else 0.7 * losses[0])
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("paradigm", PARADIGMS)
def test_a_stopped_run_ends_with_the_same_weights(monkeypatch, store, tmp_path, paradigm, caplog):
    recipe = tiny_recipe(paradigm)
    recipe = replace(recipe, optimisation=replace(recipe.optimisation, precision="bf16"))
    whole = run(monkeypatch, store, recipe, tmp_path / "whole")
    out = tmp_path / "stopped"
    for step in (6, 12):
        with pytest.raises(StoppedError):
            run(monkeypatch, store, recipe, out, progress=stop_at(step))
        assert is_resumable(recipe, out)
        assert not list(out.glob("*.safetensors"))
    steps = []
    outcome = run(
        monkeypatch,
        store,
        recipe,
        out,
        progress=lambda label, done, _total: steps.append(done) if label == "train" else None,
    )
    assert steps == [9, 10, 11, 12]
    assert caplog.text == ""
    assert not is_resumable(recipe, out)
    assert curve_of(outcome) == curve_of(whole)
    weights, expected = weights_of(outcome), weights_of(whole)
    for name, tensor in expected.items():
        assert torch.equal(weights[name], tensor), name


def test_a_run_stopped_while_it_evaluates_repeats_the_evaluation(monkeypatch, store, tmp_path):
    recipe = tiny_recipe("simcc", steps=4, evaluations=2)

    def interrupted(_model):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, store, recipe, tmp_path, evaluate=interrupted)
    assert not is_resumable(recipe, tmp_path)
    outcome = run(monkeypatch, store, recipe, tmp_path)
    assert [point["samples"] for point in curve_of(outcome)] == [16, 32]


@pytest.mark.parametrize(("steps", "evaluations"), [(12, 5), (7, 3), (3, 10), (10, 1)])
def test_the_recipe_is_evaluated_as_often_as_it_says(steps, evaluations):
    recipe = tiny_recipe("simcc", steps, evaluations)
    at = [step for step in range(1, steps + 1) if loop.is_evaluation(recipe, step)]
    assert len(at) == min(steps, evaluations)
    assert at[-1] == steps
    gaps = np.diff([0, *at])
    assert gaps.max() - gaps.min() <= 1


def test_the_checkpoint_carries_recipe_and_provenance(monkeypatch, store, tmp_path):
    recipe = tiny_recipe("heatmap", steps=2, evaluations=1)
    outcome = run(monkeypatch, store, recipe, tmp_path, evaluate=lambda _: {"AP": 0.5, "PCK": 1.0})
    with safe_open(outcome.checkpoint, framework="pt") as file:
        record = json.loads(file.metadata()["posebench"])
    provenance = record["provenance"]
    assert record_from_mapping(Recipe, provenance["recipe"], where="metadata") == recipe
    assert torch.__version__ in provenance["made_with"]
    assert provenance["cpu_seconds"] >= 0
    final = dict(provenance["final"])
    assert final.pop("loss") > 0
    assert final == {"samples": 16, "AP": 0.5, "PCK": 1.0}
    assert outcome.metrics == {"AP": 0.5, "PCK": 1.0}
    assert provenance["final"] == curve_of(outcome)[-1]
    checkpoint = load_checkpoint(outcome.checkpoint)
    assert checkpoint.spec == recipe.model
    assert checkpoint.provenance["recipe"] == mapping_from_record(recipe)


def test_averaged_weights_are_evaluated_and_written(monkeypatch, store, tmp_path):
    """One step from w0 to w1 with decay 1/10 must give 0.1 w0 + 0.9 w1."""
    recipe = tiny_recipe("simcc", steps=2, evaluations=2)
    averaged = []

    def evaluate(model):
        averaged.append({name: value.clone() for name, value in model.state_dict().items()})
        return {"AP": 0.0}

    with pytest.raises(StoppedError):
        run(monkeypatch, store, recipe, tmp_path, evaluate=evaluate, progress=stop_at(2))
    saved = torch.load(tmp_path / "tiny-simcc.state", weights_only=True)
    stopped = saved["model"]
    name = "head.mlp_head_x.weight"
    initial = new_state(recipe).model.state_dict()[name]
    expected = 0.9 * stopped[name] + 0.1 * initial
    assert not torch.equal(stopped[name], initial)
    torch.testing.assert_close(averaged[0][name], expected)
    outcome = run(monkeypatch, store, recipe, tmp_path, evaluate=evaluate)
    shipped = weights_of(outcome)
    for key, value in averaged[-1].items():
        stored = value.half().float() if value.ndim > 1 else value
        assert torch.equal(shipped[key], stored), key


def test_initial_weights_come_from_the_seed_alone():
    recipe = tiny_recipe("heatmap")
    one = new_state(recipe).model.state_dict()
    torch.manual_seed(12)
    same = new_state(recipe).model.state_dict()
    other = new_state(replace(recipe, seed=1)).model.state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    convolutions = [name for name in one if one[name].ndim == 4]
    assert convolutions
    assert not any(torch.equal(one[name], other[name]) for name in convolutions)


def test_models_of_a_pair_start_from_the_same_backbone():
    first, *others = (new_state(tiny_recipe(name)).model.state_dict() for name in PARADIGMS)
    backbone = [name for name in first if name.startswith("backbone.")]
    assert backbone
    assert all(torch.equal(first[name], other[name]) for name in backbone for other in others)


def test_a_loss_that_is_not_finite_ends_the_run(monkeypatch, store, tmp_path):
    recipe = tiny_recipe("simcc", steps=4, evaluations=4)

    def spoil(label, done, _total):
        if label == "train" and done == 2:
            monkeypatch.setattr(
                steps, "cut_batch", lambda *_: torch.full((8, 3, 64, 48), torch.nan)
            )

    with pytest.raises(TrainingError, match=r"tiny-simcc: the loss is nan at step 2") as caught:
        run(monkeypatch, store, recipe, tmp_path, progress=spoil)
    assert "learning_rate" in caught.value.hint
    assert is_resumable(recipe, tmp_path)


def stopped_run(monkeypatch, store, out):
    recipe = tiny_recipe("simcc", steps=4, evaluations=4)
    with pytest.raises(StoppedError):
        run(monkeypatch, store, recipe, out, progress=stop_at(2))
    return recipe, out / "tiny-simcc.state"


@pytest.mark.parametrize("change", ["seed", "model"])
def test_the_state_of_another_recipe_is_refused(monkeypatch, store, tmp_path, change):
    recipe, state = stopped_run(monkeypatch, store, tmp_path)
    before = state.read_bytes()
    heatmap = tiny_recipe("heatmap").model
    other = replace(recipe, seed=5) if change == "seed" else replace(recipe, model=heatmap)
    with pytest.raises(TrainingError, match="another recipe") as caught:
        run(monkeypatch, store, other, tmp_path)
    assert "Remove it" in caught.value.hint
    assert state.read_bytes() == before


def drop_weight(saved):
    saved["model"].popitem()


def drop_step(saved):
    del saved["step"]


def break_curve(saved):
    saved["curve"] = "[{"


@pytest.mark.parametrize("damage", [0, 100, 0.5, "text", drop_weight, drop_step, break_curve])
def test_a_damaged_state_is_refused(monkeypatch, store, tmp_path, damage):
    recipe, state = stopped_run(monkeypatch, store, tmp_path)
    if callable(damage):
        saved = torch.load(state, weights_only=True)
        damage(saved)
        torch.save(saved, state)
    elif damage == "text":
        state.write_text("not a state")
    else:
        whole = state.read_bytes()
        state.write_bytes(whole[: damage if isinstance(damage, int) else int(damage * len(whole))])
    with pytest.raises(TrainingError, match=r"tiny-simcc\.state.*damaged") as caught:
        run(monkeypatch, store, recipe, tmp_path)
    assert "Remove it" in caught.value.hint


class Executed:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a state file was executed')",))


def test_nothing_in_a_state_file_is_executed(tmp_path):
    torch.save({"recipe": Executed()}, tmp_path / "tiny-simcc.state")
    with pytest.raises(TrainingError, match="damaged"):
        train(tiny_recipe("simcc"), tmp_path, constant_score, silent)


def test_a_kill_while_the_state_is_written_leaves_the_one_before(monkeypatch, store, tmp_path):
    recipe, state = stopped_run(monkeypatch, store, tmp_path)
    before = state.read_bytes()

    write = Path.write_bytes

    def killed(path, content):
        if path.suffix != ".state":
            return write(path, content)
        write(path, b"half")
        raise StoppedError

    with monkeypatch.context() as patch, pytest.raises(StoppedError):
        patch.setattr(Path, "write_bytes", killed)
        run(monkeypatch, store, recipe, tmp_path)
    assert state.read_bytes() == before
    outcome = run(monkeypatch, store, recipe, tmp_path)
    assert [point["samples"] for point in curve_of(outcome)] == [8, 16, 24, 32]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(TrainingError, match="cannot be made a folder"):
        train(tiny_recipe("simcc"), tmp_path / "out", constant_score, silent)


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limit of size here")
def test_a_full_disk_is_named_and_the_last_state_stays(monkeypatch, store, tmp_path):
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    recipe = tiny_recipe("heatmap", steps=4, evaluations=2)
    with pytest.raises(StoppedError):
        run(monkeypatch, store, recipe, tmp_path, progress=stop_at(3))
    begun = (tmp_path / "tiny-heatmap.state").read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(
            DataError, match=r"tiny-heatmap.state cannot be written: File too large"
        ):
            run(monkeypatch, store, recipe, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "tiny-heatmap.state").read_bytes() == begun
