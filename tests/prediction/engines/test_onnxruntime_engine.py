"""Networks on onnxruntime, against the same network in torch."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from small_run import SIZE, small_model

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.errors import UnsupportedExecutionError
from posebench.networks.policies import apply_policy
from posebench.networks.sizes import InputSize
from posebench.prediction.engines.exporting import onnx_graph
from posebench.prediction.engines.onnxruntime_engine import onnxruntime_network
from posebench.prediction.execution import Execution, Precision

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CROPS = torch.randn(5, 3, 64, 48, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))


def no_calibration() -> np.ndarray:
    raise AssertionError("only int8 is calibrated")


def gap(outputs: tuple[torch.Tensor, ...], wanted: tuple[torch.Tensor, ...]) -> float:
    pairs = list(zip(outputs, wanted, strict=True))
    assert all(one.shape == two.shape and one.dtype == torch.float32 for one, two in pairs)
    return max(float((one - two).abs().max() / two.abs().max()) for one, two in pairs)


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
def test_outputs_equal_torch(paradigm: str) -> None:
    model = small_model(paradigm)
    network = onnxruntime_network(model, SIZE, Execution("onnxruntime"), no_calibration)
    assert (network.spec, network.stride) == (model.spec, model.stride)
    assert network.fixed_size == SIZE
    with torch.inference_mode():
        for count in (1, 2, 5):
            assert gap(network(CROPS[:count]), model(CROPS[:count])) < 1e-5


@pytest.mark.parametrize("policy", ["pool", "interpolate"])
def test_a_network_made_for_another_size_is_exported_for_that(policy: str) -> None:
    size = InputSize(96, 80)
    cell = apply_policy(small_model("simcc"), size, policy)  # type: ignore[arg-type]
    network = onnxruntime_network(cell.network, size, Execution("onnxruntime"), no_calibration)
    crops = torch.randn(3, 3, 96, 80, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert gap(network(crops), cell(crops)) < 1e-5


def test_lanes_do_not_disturb_each_other() -> None:
    network = onnxruntime_network(
        small_model("simcc"), SIZE, Execution("onnxruntime"), no_calibration
    )
    batches = [CROPS[:1], CROPS[1:3], CROPS]
    alone = [network(batch) for batch in batches]
    same: list[bool] = []

    def lane(index: int) -> None:
        for _ in range(20):
            pairs = zip(network(batches[index]), alone[index], strict=True)
            same.append(all(torch.equal(one, two) for one, two in pairs))

    threads = [threading.Thread(target=lane, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 60


def test_int8_is_near() -> None:
    model = small_model("heatmap")
    execution = Execution("onnxruntime", "int8")
    network = onnxruntime_network(model, SIZE, execution, CROPS.numpy)
    with torch.inference_mode():
        # 8 bits over 20 layers; 0 would be another precision than said.
        assert 1e-4 < gap(network(CROPS), model(CROPS)) < 0.2


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_precision_it_would_not_compute_in_is_refused(precision: Precision) -> None:
    with pytest.raises(UnsupportedExecutionError, match=f"computes {precision} networks in fp32"):
        onnxruntime_network(
            small_model("simcc"), SIZE, Execution("onnxruntime", precision), no_calibration
        )


def test_an_onnx_file_runs_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_graph(small_model("heatmap"), SIZE))
    network = load_checkpoint(path).network
    assert isinstance(network, ExportedNetwork)
    assert onnxruntime_network(network, SIZE, Execution(), no_calibration) is network
    with pytest.raises(UnsupportedExecutionError, match="as they are"):
        onnxruntime_network(network, SIZE, Execution(None, "int8"), no_calibration)
