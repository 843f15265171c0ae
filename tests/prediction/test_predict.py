"""Loop 1 against crops made one by one, whatever the batches; failures that stay in their cell."""

from __future__ import annotations

import itertools
import shutil
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_run import SIZE, small_model

from posebench.datasets.coco import Instances, PoseDataset, ground_truth_instances, load_annotations
from posebench.datasets.images.files import dataset_image
from posebench.datasets.images.reading import read_image
from posebench.errors import DataError, EvaluationError
from posebench.networks.codecs import Decoder, decode_by, own_decoder
from posebench.networks.policies import CellNetwork, Policy, apply_policy
from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec
from posebench.prediction import crop_batches as crops_module
from posebench.prediction.crop_batches import CropBatch, image_order
from posebench.prediction.crops import crop_image, cut_crops, normalise
from posebench.prediction.decoding import WaitingOutputs
from posebench.prediction.device_crops import UploadedImages, normalise_tensor
from posebench.prediction.devices import Uploader
from posebench.prediction.execution import Parallelism
from posebench.prediction.flip import predict_outputs
from posebench.prediction.geometry import boxes_to_center_scale, input_to_image
from posebench.prediction.predict import NetworkRun, Outcome, predict

OTHER = InputSize(96, 80)


def load(folder: Path) -> tuple[PoseDataset, Instances]:
    path = folder / "annotations" / "person_keypoints_val.json"
    dataset = load_annotations(path, folder / "val")
    return dataset, ground_truth_instances(dataset)


def cell_of(
    paradigm: str, size: InputSize = SIZE, policy: Policy = "native", flip_test: bool = True
) -> NetworkRun:
    network = apply_policy(small_model(paradigm), size, policy)
    codec = network.spec.codec
    return NetworkRun(network, codec, size, flip_test, (own_decoder(codec),))


def run(
    cells: list[NetworkRun], data: tuple[PoseDataset, Instances], batch_size: int = 32
) -> list[Outcome]:
    runs = dict(enumerate(cells))
    outcomes = predict(runs, *data, parallelism=Parallelism(batch_size), progress=lambda _: None)
    return [outcomes[key][run.decoders[0]] for key, run in runs.items()]


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("batch_size", [1, 5, 32])
def test_neither_lanes_nor_workers_move_a_bit(people: Path, batch_size: int) -> None:
    data = load(people)
    cells = [cell_of("heatmap"), cell_of("simcc"), cell_of("simcc", OTHER, "resample")]

    def numbers(lanes: int, workers: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        parallelism = Parallelism(batch_size, lanes, workers)
        runs = dict(enumerate(cells))
        outcomes = predict(runs, *data, parallelism=parallelism, progress=lambda _: None)
        both = [outcomes[key][run.decoders[0]] for key, run in runs.items()]
        found = [outcome.predictions for outcome in both if outcome.predictions is not None]
        assert len(found) == len(cells)
        return [(each.keypoints, each.keypoint_scores) for each in found]

    plain = numbers(1, 0)
    for lanes, workers in itertools.product((1, 2, 3), (0, 1, 4)):
        for one, other in zip(plain, numbers(lanes, workers), strict=True):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])


def broken(failure: Exception, after: int = 0) -> NetworkRun:
    """Return a cell whose network fails at its call number `after`."""
    cell = cell_of("heatmap", flip_test=False)
    calls = 0

    def network(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        nonlocal calls
        calls += 1
        if calls > after:
            raise failure
        return cell.network(x)

    return replace(cell, network=_Wrapped(cell.network, network))  # type: ignore[arg-type]


class _Wrapped:
    """A cell's network with another forward pass."""

    def __init__(self, network: CellNetwork, forward: Any) -> None:
        self.spec, self.input_size, self.output_size = (
            network.spec,
            network.input_size,
            network.output_size,
        )
        self.flips_apart = False
        self._forward = forward

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs: tuple[torch.Tensor, ...] = self._forward(x)
        return outputs


def one_by_one(
    cell: NetworkRun, dataset: PoseDataset, instances: Instances
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Predict every instance in a batch of its own, at the cell's own size."""
    keypoints, scores = [], []
    for row in range(len(instances)):
        spec = cell.network.spec
        image = read_image(dataset.images[int(instances.image_index[row])].path)
        box = instances.bbox_xyxy[row : row + 1]
        center, scale = boxes_to_center_scale(box, cell.size, spec.crop.padding)
        crop = crop_image(image, center[0], scale[0], cell.size, udp=spec.crop.udp)
        with torch.inference_mode():
            x = torch.from_numpy(normalise(crop[None], spec.crop))
            outputs = predict_outputs(cell.network, x, cell.flip_test)
        decoded = cell.codec.decode(tuple(o.numpy() for o in outputs), cell.size)
        keypoints.append(input_to_image(decoded.keypoints, center, scale, cell.size)[0])
        scores.append(decoded.scores[0])
    return np.stack(keypoints), np.stack(scores)


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
def test_batches_do_not_matter(people: Path, paradigm: str) -> None:
    data = load(people)
    cell = cell_of(paradigm)
    keypoints, scores = one_by_one(cell, *data)
    for batch_size in (1, 7, 32):  # 7 splits the boxes of an image
        (outcome,) = run([cell], data, batch_size)
        assert outcome.predictions is not None
        np.testing.assert_allclose(outcome.predictions.keypoints, keypoints, atol=1e-4)
        np.testing.assert_allclose(outcome.predictions.keypoint_scores, scores, atol=1e-5)


def test_predictions_are_in_the_order_of_the_instances(people: Path) -> None:
    dataset, truth = load(people)
    order = np.random.default_rng(0).permutation(len(truth))
    shuffled = Instances(
        truth.image_index[order], truth.ids[order], truth.bbox_xyxy[order], truth.bbox_scores[order]
    )
    (plain,) = run([cell_of("simcc")], (dataset, truth), 4)
    (mixed,) = run([cell_of("simcc")], (dataset, shuffled), 4)
    assert plain.predictions is not None and mixed.predictions is not None
    for name in ("image_ids", "ids", "bbox_xyxy", "areas"):
        expected = getattr(plain.predictions, name)[order]
        np.testing.assert_array_equal(getattr(mixed.predictions, name), expected)
    np.testing.assert_allclose(
        mixed.predictions.keypoints, plain.predictions.keypoints[order], atol=1e-4
    )


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_every_image_is_read_once_for_all_cells(
    people: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    dataset, truth = load(people)
    order = np.argsort(truth.ids % 3, kind="stable")  # boxes of an image far apart
    shuffled = Instances(
        truth.image_index[order], truth.ids[order], truth.bbox_xyxy[order], truth.bbox_scores[order]
    )
    reads: Counter[Path] = Counter()

    def counted(dataset: PoseDataset, index: int) -> NDArray[np.uint8]:
        reads[dataset.images[index].path] += 1
        return dataset_image(dataset, index)

    monkeypatch.setattr(crops_module, "dataset_image", counted)
    cells = [cell_of("heatmap"), cell_of("simcc"), cell_of("simcc", OTHER, "resample")]
    run(cells, (dataset, shuffled), batch_size)
    used = {dataset.images[index].path for index in truth.image_index}
    assert reads == Counter(dict.fromkeys(used, 1))


def test_crops_are_cut_once_for_policies_that_share_them(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(people)
    cut: Counter[InputSize] = Counter()

    def counted(images: Any, matrices: Any, size: InputSize) -> NDArray[np.uint8]:
        cut[size] += len(matrices)
        return cut_crops(images, matrices, size)

    monkeypatch.setattr(crops_module, "cut_crops", counted)
    policies: tuple[Policy, ...] = ("resample", "pool", "interpolate")
    outcomes = run([cell_of("simcc", OTHER, policy) for policy in policies], data, 4)
    assert cut == {OTHER: len(data[1])}
    found = [outcome.predictions.keypoints for outcome in outcomes if outcome.predictions]
    assert len(found) == 3
    assert not np.allclose(found[0], found[1])
    assert not np.allclose(found[1], found[2])


def test_areas_are_the_padded_boxes_at_the_cells_aspect_ratio(people: Path) -> None:
    dataset, truth = load(people)
    (outcome,) = run([cell_of("heatmap", OTHER, "resample")], (dataset, truth))
    assert outcome.predictions is not None
    width, height = ((truth.bbox_xyxy[:, 2:] - truth.bbox_xyxy[:, :2]) * 1.25).T
    width = np.maximum(width, height * OTHER.width / OTHER.height)
    expected = width * width * OTHER.height / OTHER.width
    np.testing.assert_allclose(outcome.predictions.areas, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (RuntimeError("shapes do not fit\nC++ stack trace"), "failed at 64x48: shapes do not fit"),
        (MemoryError(), "failed at 64x48: MemoryError"),
        (DataError("no", hint="try"), "no\ntry"),
    ],
)
def test_a_cell_that_fails_leaves_the_others_alone(
    people: Path, failure: Exception, said: str
) -> None:
    data = load(people)
    first, bad, last = run([cell_of("heatmap"), broken(failure, 1), cell_of("simcc")], data, 4)
    assert bad.predictions is None
    assert str(bad.failure).endswith(said)
    for outcome, cell in ((first, cell_of("heatmap")), (last, cell_of("simcc"))):
        (alone,) = run([cell], data, 4)
        assert outcome.predictions is not None and alone.predictions is not None
        np.testing.assert_array_equal(outcome.predictions.keypoints, alone.predictions.keypoints)


@pytest.mark.parametrize("flip", [True, False])
def test_a_failure_holds_no_crops(
    people: Path, monkeypatch: pytest.MonkeyPatch, flip: bool
) -> None:
    crops: list[weakref.ref[torch.Tensor]] = []
    cut = CropBatch.inputs

    def inputs(self: CropBatch, request: Any) -> tuple[torch.Tensor, float]:
        made = cut(self, request)
        crops.append(weakref.ref(made[0]))
        return made

    @dataclass(frozen=True)
    class Failing:
        network: Any
        spec: Any

        def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            raise RuntimeError("CUDA out of memory.")

    monkeypatch.setattr(CropBatch, "inputs", inputs)
    cell = cell_of("heatmap", flip_test=flip)
    network: Any = Failing(cell.network.network, cell.network.spec)
    (outcome,) = run([replace(cell, network=replace(cell.network, network=network))], load(people))
    assert "out of memory" in str(outcome.failure) and crops
    assert all(each() is None for each in crops)


def test_a_network_and_a_decoder_that_fail_in_the_middle_leave_every_other_in_its_place(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(people)
    decoders: tuple[Decoder, ...] = ("quarter", "dark", "argmax")

    def decode(decoder: Decoder, *arguments: Any) -> Any:
        if decoder == "dark":
            raise EvaluationError("too dark")
        return decode_by(decoder, *arguments)

    runs = {
        "first": replace(cell_of("heatmap"), decoders=decoders),
        "broken": replace(broken(RuntimeError("no"), 1), decoders=decoders),
        "last": replace(cell_of("heatmap", OTHER), decoders=decoders[::-1]),
    }
    options: dict[str, Any] = {"parallelism": Parallelism(4), "progress": lambda _: None}
    unbroken: tuple[Decoder, ...] = ("quarter", "argmax")
    alone = {
        (key, decoder): predict({key: replace(runs[key], decoders=(decoder,))}, *data, **options)
        for key in ("first", "last")
        for decoder in unbroken
    }
    monkeypatch.setattr("posebench.prediction.decoding.decode_by", decode)
    found = predict(runs, *data, **options)
    assert {key: tuple(own) for key, own in found.items()} == {
        key: run.decoders for key, run in runs.items()
    }
    failed = {
        (key, decoder)
        for key, own in found.items()
        for decoder, outcome in own.items()
        if outcome.failure is not None
    }
    assert failed == {("broken", each) for each in decoders} | {("first", "dark"), ("last", "dark")}
    for (key, decoder), expected in alone.items():
        one, other = found[key][decoder].predictions, expected[key][decoder].predictions
        assert one is not None and other is not None
        np.testing.assert_array_equal(one.keypoints, other.keypoints)


def test_ctrl_c_is_no_failure_of_a_cell(people: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run([broken(KeyboardInterrupt())], load(people))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
def test_outputs_that_are_not_finite_fail_the_cell(
    people: Path, paradigm: str, value: float
) -> None:
    cell = cell_of(paradigm, flip_test=False)

    def poisoned(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = tuple(output.clone() for output in cell.network(x))
        outputs[-1][0, 3, 1] = value
        return outputs

    bad = replace(cell, network=_Wrapped(cell.network, poisoned))  # type: ignore[arg-type]
    data = load(people)
    (outcome,) = run([bad], data)
    row = image_order(data[1])[0]
    where = f"box {data[1].ids[row]} of {data[0].images[data[1].image_index[row]].path.name}"
    assert f"64x48 are NaN or infinite, first for {where}." in str(outcome.failure)


@pytest.mark.parametrize("most", [1, 10**9])
def test_outputs_that_wait_on_a_device_are_decoded_to_the_same_keypoints(
    people: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    data = load(people)
    cells = [cell_of("heatmap"), cell_of("simcc"), cell_of("rle")]
    expected = run(cells, data, 3)
    monkeypatch.setattr("posebench.prediction.predict.stay_on_device", lambda _: True)
    monkeypatch.setattr("posebench.prediction.predict.WaitingOutputs", lambda: WaitingOutputs(most))
    for one, other in zip(expected, run(cells, data, 3), strict=True):
        assert one.predictions is not None and other.predictions is not None
        np.testing.assert_array_equal(one.predictions.keypoints, other.predictions.keypoints)
        scores = one.predictions.keypoint_scores, other.predictions.keypoint_scores
        np.testing.assert_array_equal(*scores)


def test_what_is_broken_in_outputs_that_wait_fails_the_cell_at_the_end(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posebench.prediction.predict.stay_on_device", lambda _: True)
    cell = cell_of("heatmap", flip_test=False)

    def poisoned(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(output * float("nan") for output in cell.network(x))

    bad = replace(cell, network=_Wrapped(cell.network, poisoned))  # type: ignore[arg-type]
    broken_one, sound = run([bad, cell], load(people), 3)
    assert "NaN or infinite, first for box" in str(broken_one.failure)
    assert sound.predictions is not None


@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_an_image_that_cannot_be_read_fails_all_cells(
    people: Path, tmp_path: Path, damage: str
) -> None:
    folder = shutil.copytree(people, tmp_path / "people")
    data = load(folder)
    path = data[0].images[2].path
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:3000])
    progress: list[int] = []
    outcomes = predict(
        {"heatmap": cell_of("heatmap"), "simcc": cell_of("simcc")},
        *data,
        parallelism=Parallelism(1),
        progress=progress.append,
    )
    said = [str(own.failure) for each in outcomes.values() for own in each.values()]
    assert [path.name in text for text in said] == [True, True]
    before = int((data[1].image_index < 2).sum())
    assert progress == [1] * before


@pytest.mark.parametrize("lanes", [1, 2])
def test_memory_that_runs_out_for_images_fails_the_cells(
    people: Path, monkeypatch: pytest.MonkeyPatch, lanes: int
) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB.\nmore")

    monkeypatch.setattr(crops_module, "dataset_image", full)
    cells = {"heatmap": cell_of("heatmap"), "simcc": cell_of("simcc")}
    parallelism = Parallelism(3, lanes, workers=1)
    found = predict(cells, *load(people), parallelism=parallelism, progress=lambda _: None)
    said = [str(own.failure) for each in found.values() for own in each.values()]
    expected = "The network failed at 64x48: CUDA out of memory. Tried to allocate 2 GiB."
    assert said == [expected, expected]


def test_the_wait_for_a_device_at_the_end_counts_as_the_networks_time(
    people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(outputs: Any) -> None:
        time.sleep(0.2)  # a GPU's work is done when it is asked for a number

    monkeypatch.setattr("posebench.prediction.predict.stay_on_device", lambda _: True)
    monkeypatch.setattr("posebench.prediction.predict.first_not_finite", slow)
    cells = [cell_of("heatmap"), cell_of("simcc")]
    for lanes in (1, 2):
        found = predict(
            dict(enumerate(cells)),
            *load(people),
            parallelism=Parallelism(32, lanes),
            progress=lambda _: None,
        )
        assert all(own.seconds > 0.2 for each in found.values() for own in each.values())


def test_nothing_is_read_without_cells(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crops_module, "dataset_image", None)
    assert run([], load(people)) == []


@pytest.mark.parametrize("udp", [False, True])
@pytest.mark.parametrize("input_size", [SIZE, OTHER])
def test_crops_of_another_device_are_those_of_the_cpu(
    people: Path, udp: bool, input_size: InputSize
) -> None:
    dataset, instances = load(people)
    request = crops_module.CropRequest(SIZE, input_size, replace(CropSpec(), udp=udp))
    read = [read_image(dataset.images[i].path) for i in instances.image_index]
    images = UploadedImages(read, Uploader(torch.device("cpu")))
    boxes = crops_module.Boxes(instances.bbox_xyxy, instances.image_index)
    crops = crops_module.crops_on_device(images, boxes.matrices(SIZE, request.spec), request)
    with crops_module.crop_batches(
        dataset, instances, Parallelism(100), requests=[], device=torch.device("cpu")
    ) as batches:
        (batch,) = [make() for make in batches]
    expected, _ = batch.inputs(request)
    assert torch.equal(normalise_tensor(crops, request.spec)[batch.rows], expected)
