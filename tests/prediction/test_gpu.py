"""What a GPU does, against the CPU on the same machine: `pytest -m gpu`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_run import SIZE, small_model

from posebench.datasets.coco import Instances, PoseDataset, ground_truth_instances, load_annotations
from posebench.networks.codecs import own_decoder
from posebench.networks.policies import apply_policy
from posebench.networks.sizes import InputSize
from posebench.prediction.crop_batches import CropRequest, crop_batches
from posebench.prediction.engines import execute, optimise
from posebench.prediction.engines.cuda_graphs import recorded
from posebench.prediction.execution import Execution, Parallelism, Precision
from posebench.prediction.kept.predictions import CachedFile
from posebench.prediction.predict import NetworkRun, predict
from posebench.prediction.predictions import Predictions
from posebench.prediction.segments import predict_in_segments

pytestmark = pytest.mark.gpu
GPU = "cuda:0"
Data = tuple[PoseDataset, Instances]
# Pixels of a 64x48 crop: other kernels sum in another order.
EXACT = 1e-2


@pytest.fixture
def data(people: Path) -> Data:
    path = people / "annotations" / "person_keypoints_val.json"
    dataset = load_annotations(path, people / "val")
    return dataset, ground_truth_instances(dataset)


def run_of(
    paradigm: str, device: str, precision: Precision = "fp32", engine: Any = "torch", **more: Any
) -> NetworkRun:
    execution = Execution(engine, precision, device)
    network = optimise(small_model(paradigm), execution)
    cell = execute(apply_policy(network, SIZE, "native"), execution, Parallelism(4), _no_crops)
    codec = cell.spec.codec
    return NetworkRun(cell, codec, SIZE, True, (own_decoder(codec),), device=device, **more)


def _no_crops() -> NDArray[Any]:
    raise AssertionError("only int8 needs crops")


def answers(run: NetworkRun, data: Data, parallelism: Parallelism) -> Predictions:
    ((outcome,),) = [
        own.values()
        for own in predict(
            {"": run}, *data, parallelism=parallelism, progress=lambda _: None
        ).values()
    ]
    assert outcome.failure is None, outcome.failure
    assert outcome.predictions is not None
    return outcome.predictions


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("size", [SIZE, InputSize(96, 80)], ids=str)
def test_crops_uploaded_and_cut_on_a_gpu_are_those_of_the_cpu(
    data: Data, udp: bool, size: InputSize
) -> None:
    request = CropRequest(size, SIZE, replace(small_model("heatmap").spec.crop, udp=udp))
    found = []
    for device, workers in (("cpu", 0), (GPU, 3)):
        parallelism = Parallelism(3, workers=workers)
        with crop_batches(
            *data, parallelism, requests=[request], device=torch.device(device)
        ) as batches:
            found.append(torch.cat([make().inputs(request)[0].cpu() for make in batches]))
    assert torch.equal(*found)


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_keypoints_are_those_of_the_cpu(data: Data, paradigm: str, precision: Precision) -> None:
    expected = answers(run_of(paradigm, "cpu"), data, Parallelism(4))
    found = answers(run_of(paradigm, GPU, precision), data, Parallelism(4, lanes=2, workers=2))
    moved = np.linalg.norm(found.keypoints - expected.keypoints, axis=-1)
    # Untrained networks answer with peaks that rounding moves; most stay where they are.
    assert np.median(moved) < (EXACT if precision == "fp32" else 1.0)


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc"])
@torch.inference_mode()
def test_a_graph_answers_as_the_network_bit_for_bit(paradigm: str) -> None:
    network = run_of(paradigm, GPU, "bf16").network
    crops = torch.randn(4, 3, *(SIZE.height, SIZE.width), device=GPU)
    graph = recorded(network, crops)
    for each in (crops, crops.flip(0), crops * 0.5):
        for one, other in zip(graph(each), network(each), strict=True):
            assert torch.equal(one, other)


def test_a_run_that_is_cut_off_goes_on_with_the_same_answers(
    data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posebench.prediction.segments._KEEP_EVERY", 0.0)
    monkeypatch.setattr("posebench.prediction.segments._FIRST_BATCHES", 1)
    run = run_of("simcc", GPU)
    file = CachedFile(tmp_path / "kept.npz", {"run": "gpu"})
    run = replace(run, files={run.decoders[0]: file})
    whole = answers(replace(run, files={}), data, Parallelism(4))
    done = 0

    def stop(count: int) -> None:
        nonlocal done
        done += count
        if done >= 8:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"parallelism": Parallelism(4)}
    with pytest.raises(KeyboardInterrupt):
        predict_in_segments({"": run}, *data, progress=stop, **options)
    counts: list[int] = []
    ((outcome,),) = [
        own.values()
        for own in predict_in_segments({"": run}, *data, progress=counts.append, **options).values()
    ]
    assert outcome.predictions is not None and counts[0] >= 4
    np.testing.assert_array_equal(outcome.predictions.keypoints, whole.keypoints)
