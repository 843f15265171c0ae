"""int8 graphs: what is quantised, and what stays in float."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import SIZE, small_model

from posebench.errors import UnsupportedExecutionError
from posebench.prediction.engines import quantising
from posebench.prediction.engines.exporting import onnx_graph
from posebench.prediction.engines.quantising import quantised

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CROPS = np.random.default_rng(0).normal(size=(3, 3, 64, 48)).astype(np.float32)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))


def weighted(graph: Any) -> dict[str, list[str]]:
    """Return, for each weighted layer, the operations that made its inputs."""
    makers = {name: node.op_type for node in graph.node for name in node.output}
    return {
        node.output[0]: [makers.get(name, "weights") for name in node.input[:2]]
        for node in graph.node
        if node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")
    }


@pytest.mark.parametrize(("paradigm", "outputs"), [("heatmap", 1), ("simcc", 2)])
def test_all_but_the_output_layers_are_quantised(paradigm: str, outputs: int) -> None:
    source = onnx_graph(small_model(paradigm), SIZE)
    layers = weighted(onnx.load(io.BytesIO(quantised(source, lambda: CROPS))).graph)
    assert len(layers) == len(weighted(onnx.load(io.BytesIO(source)).graph))
    in_float = [made for made in layers.values() if made != ["DequantizeLinear"] * 2]
    assert len(in_float) == outputs
    assert all(made[1] != "DequantizeLinear" for made in in_float)


def test_weights_have_a_scale_for_each_output_channel() -> None:
    graph = onnx.load(
        io.BytesIO(quantised(onnx_graph(small_model("heatmap"), SIZE), lambda: CROPS))
    ).graph
    weights = {each.name: each for each in graph.initializer}
    scales = [
        (weights[node.input[0]].dims[0], list(weights[node.input[1]].dims))
        for node in graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in weights
        and len(weights[node.input[0]].dims) == 4
    ]
    assert scales
    assert sum(dims == [channels] for channels, dims in scales) > len(scales) / 2


def test_it_is_kept_for_the_same_crops(monkeypatch: pytest.MonkeyPatch) -> None:
    source = onnx_graph(small_model("heatmap"), SIZE)
    made = quantised(source, lambda: CROPS)
    assert quantised(source, lambda: CROPS * 2) != made
    monkeypatch.setattr(quantising, "_quantise", None)  # to be called no more
    assert quantised(source, lambda: CROPS) == made


def test_what_cannot_be_quantised_is_refused() -> None:
    with pytest.raises(UnsupportedExecutionError, match="cannot be quantised"):
        quantised(b"no graph", lambda: CROPS)
