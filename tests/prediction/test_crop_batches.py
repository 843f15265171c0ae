"""Batches of crops: each image read once, few in memory, the same batches whoever makes them."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_run import SIZE, small_spec

from posebench.datasets.coco import Instances, PoseDataset, ground_truth_instances, load_annotations
from posebench.datasets.images.files import dataset_image
from posebench.datasets.images.reading import read_image
from posebench.errors import DataError
from posebench.networks.sizes import InputSize
from posebench.prediction import crop_batches as module
from posebench.prediction.crop_batches import CropBatch, CropRequest, crop_batches
from posebench.prediction.crops import crop_image, normalise, resample_crop
from posebench.prediction.device_crops import UploadedImages
from posebench.prediction.devices import Uploader
from posebench.prediction.execution import Parallelism
from posebench.prediction.geometry import boxes_to_center_scale

SPEC = small_spec("heatmap").crop
PLAIN = CropRequest(SIZE, SIZE, SPEC)
RESAMPLED = CropRequest(InputSize(96, 80), SIZE, SPEC)
WORKERS = pytest.mark.parametrize("workers", [0, 1, 4])


def load(folder: Path) -> tuple[PoseDataset, Instances]:
    dataset = load_annotations(folder / "annotations" / "person_keypoints_val.json", folder / "val")
    return dataset, ground_truth_instances(dataset)


def shuffled(instances: Instances, seed: int = 0) -> Instances:
    order = np.random.default_rng(seed).permutation(len(instances))
    names = ("image_index", "ids", "bbox_xyxy", "bbox_scores")
    return replace(instances, **{name: getattr(instances, name)[order] for name in names})


def made(data: tuple[PoseDataset, Instances], batch_size: int, workers: int) -> Any:
    parallelism = Parallelism(batch_size, workers=workers)
    return crop_batches(*data, parallelism, requests=[PLAIN], device=torch.device("cpu"))


def taken(
    data: tuple[PoseDataset, Instances],
    batch_size: int,
    workers: int,
    use: Callable[[CropBatch], Any] = lambda batch: batch.inputs(PLAIN),
) -> list[Any]:
    """Return what `use` makes of every batch."""
    with made(data, batch_size, workers) as batches:
        return [use(batch()) for batch in batches]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each image is read."""
    counts: Counter[str] = Counter()

    def counted(dataset: PoseDataset, index: int) -> NDArray[np.uint8]:
        counts[dataset.images[index].path.name] += 1
        return dataset_image(dataset, index)

    monkeypatch.setattr(module, "dataset_image", counted)
    return counts


@WORKERS
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_each_image_is_read_once(
    people: Path, reads: Counter[str], workers: int, batch_size: int
) -> None:
    dataset, instances = load(people)
    taken((dataset, shuffled(instances)), batch_size, workers)
    used = {dataset.images[index].path.name for index in instances.image_index}
    assert reads == Counter(dict.fromkeys(used, 1))


@pytest.mark.parametrize("workers", [0, 3])
def test_each_image_is_read_once_for_lanes_that_share_it(
    people: Path, reads: Counter[str], workers: int
) -> None:
    dataset, instances = load(people)
    with made((dataset, instances), 1, workers) as batches:
        threads = [
            threading.Thread(target=lambda make=make: make().inputs(PLAIN)) for make in batches
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(threads) == len(instances)
    assert set(reads.values()) == {1}


@WORKERS
def test_batches_are_fixed_beforehand(people: Path, workers: int) -> None:
    dataset, instances = load(people)
    mixed = shuffled(instances)
    rows = taken((dataset, mixed), 3, workers, lambda batch: batch.rows.tolist())
    flat = [row for batch in rows for row in batch]
    assert [len(batch) for batch in rows[:-1]] == [3] * (len(rows) - 1)
    assert sorted(flat) == list(range(len(mixed)))
    assert mixed.image_index[flat].tolist() == sorted(mixed.image_index.tolist())


@WORKERS
@pytest.mark.parametrize("wanted", [PLAIN, RESAMPLED])
def test_crops_are_those_cut_one_by_one(people: Path, workers: int, wanted: CropRequest) -> None:
    dataset, instances = load(people)
    got = torch.cat(taken((dataset, instances), 3, workers, lambda batch: batch.inputs(wanted)[0]))
    center, scale = boxes_to_center_scale(instances.bbox_xyxy, wanted.size, SPEC.padding)
    for row, index in enumerate(instances.image_index):
        image = read_image(dataset.images[index].path)
        crop = crop_image(image, center[row], scale[row], wanted.size, udp=SPEC.udp)
        crop = resample_crop(crop, wanted.input_size, SPEC.udp)
        np.testing.assert_array_equal(got[row].numpy(), normalise(crop[None], SPEC)[0])


def test_images_on_a_device_are_let_go_of_when_all_crops_are_made() -> None:
    pixels = np.zeros((60, 80, 3), np.uint8)
    images: Any = SimpleNamespace(take=lambda _: pixels)
    boxes = module.Boxes(np.array([[0, 0, 40, 40]], np.float32), np.zeros(1, np.int64))
    uploader: Any = Uploader(torch.device("cpu"))
    one, other = (CropBatch(images, boxes, np.arange(1), uploader) for _ in range(2))
    for batch in (one, other):
        batch._uploaded = UploadedImages([pixels], uploader)
    one.prepare([PLAIN])
    assert one._uploaded is None and len(one.inputs(PLAIN)[0]) == 1
    wrong: Any = replace(PLAIN, spec=None)
    other.prepare([PLAIN, wrong])
    assert other._uploaded is not None and len(other.inputs(RESAMPLED)[0]) == 1


@pytest.mark.parametrize(("workers", "crops", "most"), [(1, 4096, 4), (4, 4096, 7), (4, 3, 4)])
def test_workers_are_a_bounded_number_of_batches_ahead(
    people: Path,
    reads: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
    crops: int,
    most: int,
) -> None:
    monkeypatch.setattr(module, "_CROPS_AHEAD", crops)
    dataset, instances = load(people)
    index = np.repeat(instances.image_index, 10)
    boxes, scores = np.repeat(instances.bbox_xyxy, 10, 0), np.repeat(instances.bbox_scores, 10)
    many = Instances(index, np.arange(len(index)), boxes, scores)
    begun: list[int] = []
    build = CropBatch.__init__

    def counted(self: CropBatch, *arguments: Any) -> None:
        begun.append(1)
        build(self, *arguments)

    monkeypatch.setattr(CropBatch, "__init__", counted)
    with made((dataset, many), 1, workers) as batches:
        for given, batch in enumerate(batches, start=1):
            batch()
            if given == 5:
                time.sleep(0.3)  # for workers to run ahead in
                break
        assert 5 < len(begun) <= 5 + most
    assert len(begun) < len(many) / 2


def test_crops_that_wait_take_a_part_of_a_gpus_memory() -> None:
    one = 4 * 3 * PLAIN.input_size.height * PLAIN.input_size.width
    assert module._most_ahead(64, [PLAIN], None) == 64
    assert module._most_ahead(64, [PLAIN], 64 * one * 10) == 10
    both = [PLAIN, replace(PLAIN, input_size=PLAIN.input_size.scaled(2))]
    assert module._most_ahead(64, both, 64 * one * 10) == 2
    assert module._most_ahead(64, [PLAIN], 0) == 2  # fewer would let the GPU wait
    assert module._most_ahead(64, [], 2**30) == 64


def test_images_are_dropped_after_their_last_batch(people: Path) -> None:
    dataset, instances = load(people)
    index = np.sort(instances.image_index)
    images = module._Images(dataset, [index[row : row + 1] for row in range(len(index))])
    most = 0
    for each in index.tolist():
        images.take(each)
        most = max(most, len(images._decoded))
    assert most <= 1 and not images._decoded


@WORKERS
@pytest.mark.parametrize("damage", ["cut off", "gone"])
def test_a_broken_image_is_an_error_of_its_batches_alone(
    people: Path, tmp_path: Path, workers: int, damage: str
) -> None:
    folder = shutil.copytree(people, tmp_path / "people")
    dataset, instances = load(folder)
    path = dataset.images[2].path
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:3000])
    outcomes: list[bool] = []
    with made((dataset, instances), 1, workers) as batches:
        for batch in batches:
            try:
                batch()
                outcomes.append(True)
            except DataError as error:
                assert path.name in str(error)
                outcomes.append(False)
    assert outcomes == [index != 2 for index in sorted(instances.image_index)]


@pytest.mark.parametrize("workers", [0, 2])
def test_leaving_early_leaves_no_threads(people: Path, workers: int) -> None:
    with made(load(people), 1, workers) as batches:
        next(batches)()
    assert [t.name for t in threading.enumerate() if t.name.startswith("crops")] == []


def calls_of_a_batch(boxes: int) -> Counter[str]:
    """Count what Python calls for a batch of crops: functions of Python, and others."""
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 300, (boxes, 2, 2)).astype(np.float32)
    bbox_xyxy = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    images = {index: np.zeros((60, 80, 3), np.uint8) for index in range(3)}
    index = np.sort(rng.integers(0, len(images), boxes))
    counts: Counter[str] = Counter()

    class Given:
        def take(self, index: int) -> NDArray[np.uint8]:
            return images[index]

    def make() -> None:
        batch = CropBatch(
            Given(), module.Boxes(bbox_xyxy, index), np.arange(boxes), Uploader(torch.device("cpu"))
        )
        batch.inputs(PLAIN)

    make()  # what is prepared once
    sys.setprofile(lambda _frame, event, _argument: counts.update([event]))
    try:
        make()
    finally:
        sys.setprofile(None)
    return counts


def test_no_python_is_called_for_each_box_but_opencv() -> None:
    few, many = calls_of_a_batch(8), calls_of_a_batch(108)
    assert many["call"] - few["call"] <= 1
    assert many["c_call"] - few["c_call"] <= 100 + 2
    assert many["call"] + many["c_call"] < 400
