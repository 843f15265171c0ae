"""Exports to ONNX: kept, made again when damaged, refused when they answer otherwise."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_run import SIZE, small_model
from torch import Tensor, nn

from posebench.errors import MissingExtraError, UnsupportedExecutionError
from posebench.networks.model import PoseModel
from posebench.prediction.engines import exporting
from posebench.prediction.engines.exporting import cached_graph, onnx_graph, require
from posebench.prediction.engines.onnxruntime_engine import onnxruntime_network
from posebench.prediction.execution import Execution

onnx = pytest.importorskip("onnx")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "exports"


def test_any_number_of_crops_of_one_size_goes_in() -> None:
    graph = onnx.load(io.BytesIO(onnx_graph(small_model("simcc"), SIZE))).graph
    (crops,) = graph.input
    axes = [axis.dim_param or axis.dim_value for axis in crops.type.tensor_type.shape.dim]
    assert axes == ["N", 3, SIZE.height, SIZE.width]
    assert len(graph.output) == 2
    assert "BatchNormalization" not in {node.op_type for node in graph.node}


def test_an_export_is_kept(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = onnx_graph(small_model("heatmap"), SIZE)
    monkeypatch.setattr(exporting, "_export", None)  # to be called no more
    assert onnx_graph(small_model("heatmap"), SIZE) == made
    assert len(list(cache.iterdir())) == 1


def test_other_weights_and_structures_have_their_own_export(cache: Path) -> None:
    one, other = small_model("heatmap"), small_model("heatmap", seed=1)
    folded: Any = small_model("heatmap")
    folded.backbone.bn1 = nn.Identity()
    graphs = {onnx_graph(network, SIZE) for network in (one, other, folded)}
    assert len(graphs) == len(list(cache.iterdir())) == 3


def test_a_damaged_export_is_made_again(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = cached_graph({"of": "a test"}, lambda: b"graph")
    (file,) = cache.iterdir()
    for damage in (b"", file.read_bytes()[:-1], b"\0" + file.read_bytes()[1:]):
        file.write_bytes(damage)
        assert cached_graph({"of": "a test"}, lambda: b"graph") == made
        assert cached_graph({"of": "a test"}, lambda: b"not asked for") == made
    assert "made again" in caplog.text


def test_an_error_without_words_is_named_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(torch.onnx, "export", refuse)
    with pytest.raises(UnsupportedExecutionError, match="exported to ONNX: AssertionError"):
        onnx_graph(small_model("heatmap"), SIZE)


def test_an_export_that_cannot_be_kept_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "file"))
    assert cached_graph({"of": "a test"}, lambda: b"graph") == b"graph"
    assert "not kept" in caplog.text


class BatchInGraph(nn.Module):
    """A head whose answers depend on the number of crops, which tracing turns into a constant."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x.mean(dim=(2, 3), keepdim=True).repeat(1, 6, 4, 4)[:, :17] + float(len(x)),)


class Unexportable(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (torch.special.bessel_j0(x),)


def with_head(head: nn.Module) -> PoseModel:
    model = small_model("heatmap")
    return PoseModel(model.spec, model.backbone, head).eval()


def test_an_export_that_answers_otherwise_is_refused() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(UnsupportedExecutionError, match=r"differ from its network's by"):
        onnxruntime_network(with_head(BatchInGraph()), SIZE, Execution(), lambda: np.zeros(0))


def test_a_network_that_cannot_be_exported_is_refused() -> None:
    with pytest.raises(UnsupportedExecutionError, match=r"to ONNX: .*bessel"):
        onnx_graph(with_head(Unexportable()), SIZE)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> Any:
        return None if name == "onnx" else object()

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    with pytest.raises(MissingExtraError, match=r'"posebench-pose\[onnx\]"'):
        require("onnx", extra="onnx")
