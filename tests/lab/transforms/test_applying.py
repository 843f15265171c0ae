"""Transforms of networks: which part moves, which stays, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import SPECS, make_crops, make_model
from small_onnx import save_heatmap
from torch import Tensor

from posebench.checkpoints import load_checkpoint
from posebench.errors import UnsupportedExecutionError
from posebench.lab.transforms import (
    check_transform,
    with_quantised_activations,
    with_transformed_weights,
)
from posebench.lab.transforms.layers import weighted_layers
from posebench.networks.heads import HEADS
from posebench.networks.policies import apply_policy
from posebench.networks.sizes import InputSize
from posebench.prediction.engines import execute, optimise
from posebench.prediction.execution import Execution, Parallelism
from posebench.suites.transforms import IDENTITY, parse_transform

LARGER = InputSize(128, 96)
# Regression compares with no learned vectors.
WITHOUT_VECTORS = ("regression", "rle")


def no_calibration() -> Any:
    raise AssertionError("only int8 is calibrated")


def moved(model: Any, text: str) -> set[str]:
    """Return the names of the parameters that a transform changes."""
    result: Any = with_transformed_weights(model, parse_transform(text))
    after = dict(result.named_parameters())
    return {name for name, value in model.named_parameters() if not torch.equal(value, after[name])}


def answers(cell: Any, crops: Tensor) -> tuple[Tensor, ...]:
    with torch.inference_mode():
        return tuple(cell(crops))


@pytest.mark.parametrize("kind", SPECS)
def test_parts_are_the_layers_they_are_named_after(kind: str) -> None:
    model = make_model(kind)
    whole, body, head = (moved(model, f"{part}w3") for part in ("", "backbone-", "head-"))
    assert body == {name for name in whole if name.startswith("backbone.")}
    assert head == {name for name in whole if name.startswith("head.")}
    assert whole == body | head
    assert all(name.endswith(".weight") for name in whole)
    if kind in WITHOUT_VECTORS:
        with pytest.raises(UnsupportedExecutionError, match="answers of this network has no"):
            moved(model, "answers-w3")
        return
    rows = {
        "heatmap": {"head.final_layer.weight"},
        "simcc": {"head.mlp_head_x.weight", "head.mlp_head_y.weight"},
        "rtmcc": {"head.cls_x.weight", "head.cls_y.weight"},
    }
    assert moved(model, "answers-w3") == rows[kind]


def test_nothing_is_done_without_a_transform() -> None:
    model = make_model("simcc")
    cell = apply_policy(model, model.spec.input_size, "native")
    assert with_transformed_weights(model, IDENTITY) is model
    assert with_quantised_activations(cell, IDENTITY, make_crops()) is cell


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("text", ["tokens-a3", "a3", "answers-a3", "backbone-a3", "head-a3"])
def test_activations_of_a_part_are_rounded_in_that_cell_alone(kind: str, text: str) -> None:
    if kind in WITHOUT_VECTORS and text.startswith("answers"):
        pytest.skip("regression has no vectors to compare with")
    model, crops = make_model(kind), make_crops()
    cell = apply_policy(model, model.spec.input_size, "native")
    before = answers(cell, crops)
    rounded: Any = with_quantised_activations(cell, parse_transform(text), crops)
    found = answers(rounded, crops)
    assert not torch.allclose(found[0], before[0], atol=1e-5)
    assert torch.equal(answers(cell, crops)[0], before[0])
    finer: Any = with_quantised_activations(cell, parse_transform(text.replace("3", "8")), crops)
    assert gap(answers(finer, crops), before) < gap(found, before)


def gap(outputs: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> float:
    return max(float((one - two).abs().max()) for one, two in zip(outputs, wanted, strict=True))


def test_tokens_have_as_many_values_as_their_bits_allow() -> None:
    model, crops = make_model("heatmap"), make_crops()
    cell = apply_policy(model, model.spec.input_size, "native")
    rounded: Any = with_quantised_activations(cell, parse_transform("tokens-a2"), crops)
    read: list[Tensor] = []
    rounded.network.head.register_forward_pre_hook(lambda _head, inputs: read.append(inputs[0]))
    answers(rounded, crops)
    assert 2 <= len(read[0].unique()) <= 4


@pytest.mark.parametrize("policy", ["pool", "interpolate"])
@pytest.mark.parametrize("text", ["tokens-a4", "answers-a4", "head-a4"])
def test_activations_are_rounded_at_other_sizes(policy: Any, text: str) -> None:
    model = make_model("rtmcc")
    crops = torch.randn(
        2, 3, LARGER.height, LARGER.width, generator=torch.Generator().manual_seed(0)
    )
    cell = apply_policy(model, LARGER, policy)
    rounded = with_quantised_activations(cell, parse_transform(text), crops)
    assert not torch.allclose(answers(rounded, crops)[0], answers(cell, crops)[0], atol=1e-6)


@pytest.mark.parametrize("kind", SPECS)
def test_engines_of_torch_run_the_same_transformed_network(kind: str) -> None:
    model, crops = make_model(kind), make_crops()
    for text in ("w4", "w8a8", "prune-20-layer", "prune-30-channel"):
        transform, found = parse_transform(text), []
        network = with_transformed_weights(model, transform)
        for engine in ("eager", "torch"):
            execution = Execution(engine)
            cell = apply_policy(optimise(network, execution), model.spec.input_size, "native")
            cell = with_quantised_activations(cell, transform, crops)
            ready = execute(cell, execution, Parallelism(), no_calibration)
            found.append(answers(ready, crops))
        largest = max(float(output.abs().max()) for output in found[0])
        # A value beside the middle between two levels may go to either.
        assert gap(*found) < (0.1 if transform.activation_bits else 1e-4) * largest, text


@pytest.mark.parametrize(
    ("text", "execution", "policy", "reason"),
    [
        ("w8", Execution("torch", "bf16"), "native", "bf16 would round its values again"),
        ("tokens-a4", Execution("torch", "fp16"), "native", "fp16 would round"),
        ("w4", Execution("openvino", "int8"), "native", "int8 would round"),
        ("w4a8", Execution("onnxruntime"), "native", "does not round activations as w4a8"),
        ("a8", Execution("openvino"), "native", "does not round activations as a8"),
        ("w4", Execution(), "interpolate", "size-locked weights would lose what w4 made"),
        ("answers-w4", Execution(), "interpolate", "size-locked weights"),
        ("prune-50", Execution(), "interpolate", "size-locked weights"),
    ],
)
def test_what_would_not_be_honest_is_refused(
    text: str, execution: Execution, policy: Any, reason: str
) -> None:
    with pytest.raises(UnsupportedExecutionError, match=reason):
        check_transform(make_model("rtmcc"), parse_transform(text), execution, policy)


@pytest.mark.parametrize(
    ("text", "execution", "policy"),
    [
        ("none", Execution("torch", "bf16"), "native"),
        ("w4", Execution("openvino"), "native"),
        ("prune-50", Execution("torch", "bf16"), "native"),
        ("backbone-w4", Execution(), "interpolate"),
        ("tokens-a4", Execution(), "interpolate"),
        ("w4", Execution(), "pool"),
    ],
)
def test_what_is_honest_runs(text: str, execution: Execution, policy: Any) -> None:
    check_transform(make_model("rtmcc"), parse_transform(text), execution, policy)


def test_an_exported_file_and_a_head_without_answers_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    save_heatmap(tmp_path / "a.onnx", ("N", 3, 64, 48))
    exported = load_checkpoint(tmp_path / "a.onnx").network
    with pytest.raises(UnsupportedExecutionError, match="its weights are out of reach of w8"):
        check_transform(exported, parse_transform("w8"), Execution(), "native")
    check_transform(exported, IDENTITY, Execution(), "native")
    monkeypatch.setitem(HEADS, "heatmap", replace(HEADS["heatmap"], answer_layers=None))
    with pytest.raises(UnsupportedExecutionError, match="part answers of this network has no"):
        weighted_layers(make_model("heatmap"), "answers")


# torch warns of its own calls while it compiles.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.slow
def test_a_compiled_network_rounds_as_torch_does() -> None:
    model, crops, transform = make_model("simcc"), make_crops(), parse_transform("w4a8")
    network = with_transformed_weights(model, transform)
    found = []
    for engine in ("torch", "compile"):
        execution = Execution(engine)
        cell = apply_policy(optimise(network, execution), model.spec.input_size, "native")
        cell = with_quantised_activations(cell, transform, crops)
        found.append(answers(execute(cell, execution, Parallelism(), no_calibration), crops))
    assert gap(*found) < 0.02 * float(found[0][0].abs().max())
