"""Files with the last step's weights and their running average, as mmengine and timm write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import make_model

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.errors import CheckpointError, SpecError
from posebench.networks.model import PoseModel
from posebench.running.loading import checkpoint_facts

LAYER = "head.cls_x.weight"
LAST = torch.tensor(1.0)


def save(path: Path, averaged: str, last: str, **more: Any) -> torch.Tensor:
    """Write a network under `averaged` and its weights plus 1 under `last`; return one layer."""
    state = make_model("rtmcc").state_dict()
    later = {n: t + 1 if t.is_floating_point() else t for n, t in state.items()}
    torch.save({averaged: state, last: later, **more}, path)
    layer: torch.Tensor = state[LAYER]
    return layer


def layer_of(checkpoint: Checkpoint) -> torch.Tensor:
    assert isinstance(checkpoint.network, PoseModel)
    tensor: torch.Tensor = checkpoint.network.state_dict()[LAYER]
    return tensor


@pytest.mark.parametrize(
    ("averaged", "last", "framework"),
    [
        ("state_dict", "ema_state_dict", "mmengine"),
        ("state_dict_ema", "state_dict", "timm"),
        ("model_ema", "model", "timm"),
    ],
)
def test_the_average_is_loaded_and_spec_may_choose(
    averaged: str, last: str, framework: str, tmp_path: Path
) -> None:
    path, spec = tmp_path / "best.pth", tmp_path / "spec.yaml"
    layer = save(path, averaged, last, optimizer={"state": {}})
    checkpoint = load_checkpoint(path)
    assert torch.equal(layer_of(checkpoint), layer)
    (why,) = (why for field, value, why in checkpoint.evidence if field == "weights")
    assert why.startswith(f"{averaged}: {framework}")
    assert dict(checkpoint.report.dropped) == {
        f"the last step's weights, whose running average is {averaged}": (last,),
        "training state beside the weights": ("optimizer",),
    }
    spec.write_text("weights: last\n")
    other = load_checkpoint(path, spec)
    assert torch.equal(layer_of(other), layer + LAST)
    # The predictions of the two must not be confused, although the file and its hash are the same.
    assert "weights" not in (checkpoint_facts(checkpoint, "one").spec or {})
    assert (checkpoint_facts(other, "other").spec or {})["weights"] == "last"


def test_invalid_choices_are_refused(tmp_path: Path) -> None:
    path, spec = tmp_path / "best.pth", tmp_path / "spec.yaml"
    save(path, "state_dict_ema", "state_dict")
    spec.write_text("weights: best\n")
    with pytest.raises(SpecError, match="weights: best"):
        load_checkpoint(path, spec)
    torch.save(make_model("rtmcc").state_dict(), path)
    spec.write_text("weights: last\n")
    with pytest.raises(CheckpointError, match="one set of weights"):
        load_checkpoint(path, spec)


@pytest.mark.parametrize("key", ["ema", "swa_state_dict", "params_ema", "best", "model"])
def test_weights_beside_under_a_key_without_a_rule_are_asked_about(
    key: str, tmp_path: Path
) -> None:
    path, spec = tmp_path / "best.pth", tmp_path / "spec.yaml"
    layer = save(path, key, "state_dict", optimizer={"state": {}})
    with pytest.raises(CheckpointError, match=f"Beside state_dict .* under {key}") as caught:
        load_checkpoint(path)
    assert "weights: averaged" in str(caught.value.hint)
    spec.write_text("weights: averaged\n")
    assert torch.equal(layer_of(load_checkpoint(path, spec)), layer)
    spec.write_text("weights: last\n")
    assert torch.equal(layer_of(load_checkpoint(path, spec)), layer + LAST)


def test_an_average_inside_another_entry_is_seen(tmp_path: Path) -> None:
    path, state = tmp_path / "best.pth", make_model("rtmcc").state_dict()
    shadow = {name.replace(".", "_"): tensor for name, tensor in state.items() if tensor.ndim}
    torch.save({"state_dict": state, "ema": {"decay": 0.9, "shadow": shadow}}, path)
    with pytest.raises(CheckpointError, match=r"under ema\.shadow"):
        load_checkpoint(path)


def test_other_tensors_beside_the_weights_are_no_second_set(tmp_path: Path) -> None:
    path, state = tmp_path / "best.pth", make_model("rtmcc").state_dict()
    detector = {f"layer{n}.weight": torch.ones(9, 9) for n in range(len(state))}
    steps = {0: {"exp_avg": torch.ones(3)}}
    torch.save({"state_dict": state, "detector": detector, "optimizer": {"state": steps}}, path)
    assert torch.equal(layer_of(load_checkpoint(path)), state[LAYER])
