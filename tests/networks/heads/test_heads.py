"""Rules for every kind of head in `HEADS`, and for every published file's names and shapes."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import onnxruntime
import pytest
import torch
from key_lists import KEYS
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.native import save_checkpoint
from posebench.checkpoints.publishers.publisher import StateFile
from posebench.checkpoints.state_dicts import identify_state
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import CODECS, HeatmapCodec
from posebench.networks.costs import count_gflops
from posebench.networks.heads import (
    HEADS,
    LossSettings,
    head_options,
    map_grid,
    recognise_head,
    size_locked_layers,
)
from posebench.networks.heads.trained_size import find_trained_size
from posebench.networks.model import PoseModel, build_model
from posebench.networks.names import UNSTATED_DECODERS, Paradigm
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec, NeckSpec
from posebench.prediction.engines.exporting import INPUT, onnx_graph

SIZE = InputSize(128, 96)
BACKBONE = BackboneSpec("cspnext", {"deepen_factor": 0.167, "widen_factor": 0.125})
GAU = {"hidden_dims": 32, "s": 16}
DECONVS = {"deconv_channels": [8, 8], "deconv_kernels": [4, 3], "deconv_groups": [2, 1]}
# Examples of each kind that differ in the options that names and shapes tell.
EXAMPLES = (
    HeadSpec("heatmap"),
    HeadSpec("heatmap", {**DECONVS, "conv_channels": [6], "conv_kernels": [3]}),
    HeadSpec("simcc"),
    HeadSpec("simcc", {**DECONVS, "final_layer_kernel": 3}),
    HeadSpec("simcc", {"conv_channels": [6], "conv_kernels": [1]}),
    HeadSpec("simcc", {"channels_per_keypoint": 3}),
    HeadSpec("rtmcc", {"gau": GAU, "final_layer_kernel": 7}),
    HeadSpec("rtmcc", {"gau": {"hidden_dims": 32}, "attention": False}),
    HeadSpec("simcc-table", {"cells": [4, 3], "bins": [192, 256], "final_layer_kernel": 3}),
    HeadSpec("simcc-coordinates", {"channels": 16, "hidden": 24}),
    HeadSpec("simcc-marginal", {"channels": 4, "hidden": 16}),
    HeadSpec("simcc-pooling", {"attention_heads": 2, "channels": 16, "hidden": 24, "values": 32}),
    HeadSpec("heatmap-attention"),
    HeadSpec("heatmap-attention", {**DECONVS, "conv_channels": [12], "conv_kernels": [1]}),
    HeadSpec("rtmw", {"gau": GAU, "final_layer_kernel": 7}),
    HeadSpec("rle"),
    HeadSpec("regression"),
)
each_example = pytest.mark.parametrize("head", EXAMPLES, ids=lambda head: head.kind)


def small_model(head: HeadSpec) -> PoseModel:
    family = HEADS[head.kind]
    neck = NeckSpec(blocks=1) if family.neck else None
    model = build_model(ModelSpec(BACKBONE, head, family.codec(), SIZE, neck=neck))
    initialise(model, 0)
    return model.eval()


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def test_every_kind_and_every_codec_has_an_example() -> None:
    assert {head.kind for head in EXAMPLES} == set(HEADS)
    assert {family.codec.kind for family in HEADS.values()} <= set(CODECS)
    assert {codec.paradigm for codec in CODECS.values()} == set(get_args(Paradigm))
    stated = {kind for kind, codec in CODECS.items() if "decoder" in codec.__dataclass_fields__}
    assert {kind: codec().own_decoder for kind, codec in CODECS.items() if kind not in stated} == (
        UNSTATED_DECODERS
    )


@each_example
def test_a_head_is_recognised_by_its_own_names_and_shapes(head: HeadSpec) -> None:
    model = small_model(head)
    shapes = shapes_of(model.head)
    found = recognise_head(shapes, model.spec.backbone)
    assert found is not None and found.kind == head.kind
    size = find_trained_size(shapes, found, model.stride, None)
    told = {} if size is None else size.options
    assert head_options(HeadSpec(found.kind, {**found.options, **told})) == head_options(head)
    channels = head.options.get("channels_per_keypoint", 1)
    assert HEADS[head.kind].channels(shapes) == 17 * channels
    assert (size is None) == (not HEADS[head.kind].size_locked)
    if size is not None:
        assert (size.size, size.split_ratio) == (SIZE, 2.0)


@each_example
def test_size_locked_layers_are_those_whose_shapes_follow_the_size(head: HeadSpec) -> None:
    model = small_model(head)
    spec = ModelSpec(BACKBONE, head, model.spec.codec, InputSize(192, 160), neck=model.spec.neck)
    here, there = shapes_of(model.head), shapes_of(build_model(spec).head)
    moved = {name.rpartition(".")[0] for name in here if here[name] != there[name]}
    assert moved == {layer.name for layer in size_locked_layers(head)}


def has_maps(head: HeadSpec) -> bool:
    family = HEADS[head.kind]
    if family.neck is not None:
        return False
    return bool(size_locked_layers(head)) or family.codec is HeatmapCodec


@pytest.mark.parametrize("head", [*filter(has_maps, EXAMPLES)], ids=lambda head: head.kind)
def test_maps_have_the_planned_grid(head: HeadSpec) -> None:
    model: Any = small_model(head)
    with torch.no_grad():
        features = model.backbone(torch.zeros(1, 3, SIZE.height, SIZE.width))
        maps = model.head.maps(features) if size_locked_layers(head) else model.head(features)
    grid = map_grid(head, model.stride, SIZE)
    assert maps[0].shape[2:] == (grid.height, grid.width)


@each_example
def test_a_loss_falls_towards_the_targets(head: HeadSpec) -> None:
    model, family = small_model(head), HEADS[head.kind]
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        right = model(torch.randn(2, 3, SIZE.height, SIZE.width, generator=generator))
    # Behind coordinates a network answers with deviations, of which targets know nothing.
    targets = tuple(each[..., :2] for each in right) if head.kind == "rle" else right
    outputs = tuple((2 * each + 1).requires_grad_() for each in right)
    weight, settings = torch.ones(2, 17), LossSettings()
    loss = family.loss(outputs, targets, weight, settings)
    loss.backward()
    least = float(family.loss(right, targets, weight, settings))
    assert float(loss.detach()) > least
    assert least >= -1e-6 or head.kind == "rle"
    assert all(output.grad is not None and output.grad.isfinite().all() for output in outputs)


@each_example
def test_a_head_is_read_back_from_its_own_file_and_from_its_export(
    head: HeadSpec, tmp_path: Path
) -> None:
    model, crops = small_model(head), torch.randn(3, 3, SIZE.height, SIZE.width)
    path = tmp_path / "own.safetensors"
    save_checkpoint(path, model, {}, dtype=torch.float32)
    read = load_checkpoint(path)
    assert read.spec == model.spec
    assert (count_gflops(model, SIZE) or 0) > 0
    session = onnxruntime.InferenceSession(onnx_graph(model, SIZE))
    exported = session.run(None, {INPUT: crops.numpy()})
    with torch.inference_mode():
        for wanted, found, other in zip(model(crops), read.network(crops), exported, strict=True):
            assert torch.equal(wanted, found)
            torch.testing.assert_close(torch.from_numpy(other), wanted, rtol=1e-3, atol=1e-5)


@each_example
def test_initial_weights_come_from_the_seed_alone(head: HeadSpec) -> None:
    torch.manual_seed(1)
    one = small_model(head).state_dict()
    torch.manual_seed(2)
    other = small_model(head).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("path", sorted(KEYS.glob("*.txt.gz")), ids=lambda path: path.name)
def test_every_published_network_is_recognised(path: Path) -> None:
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    rows = (line.partition(" ") for line in lines)  # a name, and sides as 24x3x3x3
    shapes = {name: tuple(int(n) for n in sides.split("x") if n) for name, _, sides in rows}
    state = {name: SimpleNamespace(shape=shape) for name, shape in shapes.items()}
    found = {f.field: f.value for f in identify_state(StateFile(path.name, state, {}), ()).findings}
    marks = {"mlp_head_x": "simcc", "cls_x": "simcc", "head.fc.": "regression"}
    told = {marks[mark] for mark in marks for name in shapes if mark in name} or {"heatmap"}
    assert {HEADS[found["head.kind"]].codec.paradigm} == told
    assert (found["head.kind"] == "rle") == ("_rle" in path.name)
    assert found["codec.kind"] == HEADS[found["head.kind"]].codec.kind


@pytest.mark.slow
def test_operations_of_all_heads_are_counted_as_torch_counts_them() -> None:
    for each in EXAMPLES:
        model = small_model(each)
        theirs = FlopCounterMode(display=False)
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), theirs:
            model(torch.zeros(1, 3, SIZE.height, SIZE.width))
        assert count_gflops(model, SIZE) == theirs.get_total_flops() / 2e9
