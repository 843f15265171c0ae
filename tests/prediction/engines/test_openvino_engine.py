"""Networks on OpenVINO, against the same network in torch."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_run import SIZE, small_model

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.graphs.exported import ExportedNetwork
from posebench.checkpoints.graphs.openvino import OpenvinoSession, Requests
from posebench.errors import UnsupportedExecutionError
from posebench.prediction.engines import openvino_engine
from posebench.prediction.engines.exporting import onnx_graph
from posebench.prediction.engines.openvino_engine import FixedBatches, openvino_network
from posebench.prediction.execution import Execution, Precision

pytest.importorskip("onnx")
openvino = pytest.importorskip("openvino")

CROPS = torch.randn(5, 3, 64, 48, generator=torch.Generator().manual_seed(0))
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))


def no_calibration() -> np.ndarray:
    raise AssertionError("only int8 is calibrated")


def on_openvino(paradigm: str, precision: Precision = "fp32", lanes: int = 1) -> ExportedNetwork:
    execution = Execution("openvino", precision)
    return openvino_network(small_model(paradigm), SIZE, execution, no_calibration, lanes)


def gap(outputs: tuple[torch.Tensor, ...], wanted: tuple[torch.Tensor, ...]) -> float:
    pairs = list(zip(outputs, wanted, strict=True))
    assert all(one.shape == two.shape and one.dtype == torch.float32 for one, two in pairs)
    return max(float((one - two).abs().max() / two.abs().max()) for one, two in pairs)


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
def test_outputs_equal_torch(paradigm: str) -> None:
    model, network = small_model(paradigm), on_openvino(paradigm)
    assert (network.spec, network.stride) == (model.spec, model.stride)
    assert network.fixed_size == SIZE
    with torch.inference_mode():
        for count in (1, 2, 5):
            assert gap(network(CROPS[:count]), model(CROPS[:count])) < 1e-5


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc"])
def test_crops_that_do_not_fill_a_batch_are_answered_as_in_a_full_one(paradigm: str) -> None:
    network = on_openvino(paradigm)
    many = torch.cat((CROPS, CROPS.flip(0), CROPS.flip(-1), CROPS.flip(-2)))
    whole = network(many)
    for count in (1, 2, 3, 7, 8, 9, 13):
        for first in (0, 5):
            part = slice(first, first + count)
            for one, other in zip(network(many[part]), whole, strict=True):
                torch.testing.assert_close(one, other[part], rtol=0, atol=0)


def test_a_batch_is_compiled_when_it_is_first_called_for(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[int] = []
    compute = openvino_engine._compute

    def counted(model: Any, *how: Any) -> Any:
        compiled.append(model.inputs[0].get_shape()[0])
        return compute(model, *how)

    monkeypatch.setattr(openvino_engine, "_compute", counted)
    network = on_openvino("simcc")
    assert compiled == [8]
    for count in (16, 1, 3, 20, 1):
        network(torch.zeros(count, 3, 64, 48))
    assert compiled == [8, 1, 4]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_more_threads_than_lanes_do_not_disturb_each_other(precision: Precision) -> None:
    try:
        network = on_openvino("simcc", precision, lanes=2)
    except UnsupportedExecutionError as error:
        pytest.skip(error.message)
    batches = [CROPS[:1], CROPS[1:3], CROPS, CROPS[2:]]
    alone = [network(batch) for batch in batches]
    same: list[bool] = []

    def lane(index: int) -> None:
        for _ in range(20):
            pairs = zip(network(batches[index]), alone[index], strict=True)
            same.append(all(torch.equal(one, two) for one, two in pairs))

    threads = [threading.Thread(target=lane, args=(index,)) for index in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 80


def test_the_number_of_lanes_changes_no_bit() -> None:
    one, three = on_openvino("heatmap", lanes=1), on_openvino("heatmap", lanes=3)
    assert torch.equal(one(CROPS)[0], three(CROPS)[0])


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
def test_half_precision_is_real_or_refused(paradigm: str, precision: Precision) -> None:
    name = {"bf16": "BF16", "fp16": "FP16"}[precision]
    if name not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(UnsupportedExecutionError, match="On this processor OpenVINO computes"):
            on_openvino(paradigm, precision)
        return
    model, network = small_model(paradigm), on_openvino(paradigm, precision)
    with torch.inference_mode():
        outputs = network(CROPS)
        step = torch.finfo(HALF[precision]).eps
        assert step / 100 < gap(outputs, model(CROPS)) < step * 20
    # The layers whose outputs are decoded are not rounded to it.
    assert not any(torch.equal(each.to(HALF[precision]).float(), each) for each in outputs)


def test_int8_is_near() -> None:
    pytest.importorskip("onnxruntime")
    model = small_model("simcc")
    network = openvino_network(model, SIZE, Execution("openvino", "int8"), CROPS.numpy, 1)
    assert isinstance(network.session, OpenvinoSession)
    assert isinstance(network.session.compute, FixedBatches)
    requests = network.session.compute.of(8)
    assert isinstance(requests, Requests)
    assert requests.computes_in("u8", "i8")
    with torch.inference_mode():
        assert 1e-4 < gap(network(CROPS), model(CROPS)) < 0.2


def test_a_file_runs_on_more_lanes(tmp_path: Path) -> None:
    """ONNX files and OpenVINO's own answer as the network that they were made from."""
    model = small_model("heatmap")
    (tmp_path / "net.onnx").write_bytes(onnx_graph(model, SIZE))
    openvino.save_model(
        openvino.Core().read_model(tmp_path / "net.onnx"), tmp_path / "net.xml", False
    )
    for name in ("net.onnx", "net.xml"):
        network: Any = load_checkpoint(tmp_path / name).network
        moved: Any = openvino_network(network, SIZE, Execution("openvino"), no_calibration, 2)
        assert moved.outputs == network.outputs
        with torch.inference_mode():
            assert gap(moved(CROPS), model(CROPS)) < 1e-5
        with pytest.raises(UnsupportedExecutionError, match="cannot be quantised"):
            openvino_network(network, SIZE, Execution("openvino", "int8"), no_calibration, 2)
