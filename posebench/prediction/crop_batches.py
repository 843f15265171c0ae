"""Batches of crops: each image is decoded once and each crop cut once, for all cells.

The instances of each batch are fixed beforehand, so answers do not depend on the thread that
prepares it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.datasets.boxes import instances_at
from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.images.files import dataset_image
from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec
from posebench.prediction.crops import cut_crops, resample_crop
from posebench.prediction.device_crops import (
    UploadedImages,
    normalise_tensor,
    resample_crops,
    warp_crops,
)
from posebench.prediction.devices import Uploader, room_for_crops
from posebench.prediction.execution import CALIBRATION_CROPS, Parallelism
from posebench.prediction.geometry import boxes_to_center_scale, crop_matrices

# How many batches the workers may be ahead of the lanes, and how many crops, whose images take
# memory: enough for eight workers with the largest batches that are tried.
_AHEAD, _CROPS_AHEAD = 2, 4096


@dataclass(frozen=True)
class CropRequest:
    """Crops of `size`, resampled to `input_size` if that differs, normalised by `spec`."""

    size: InputSize
    input_size: InputSize
    spec: CropSpec


class Images(Protocol):
    """Gives the data set's images by their number."""

    def take(self, index: int) -> NDArray[np.uint8]:
        """Return an image (H, W, 3) BGR."""
        ...


class Boxes:
    """The boxes of a run, and the maps that cut their crops, made once for all batches.

    `bbox_xyxy` (N, 4) are in image pixels, `image_index` (N,) says whose.
    """

    def __init__(self, bbox_xyxy: NDArray[np.float32], image_index: NDArray[np.int64]) -> None:
        self.bbox_xyxy = bbox_xyxy
        self.image_index = image_index
        self._matrices: dict[tuple[InputSize, float, bool], NDArray[np.floating[Any]]] = {}
        self._lock = threading.Lock()

    def matrices(self, size: InputSize, spec: CropSpec) -> NDArray[np.floating[Any]]:
        """Return the maps (N, 2, 3) of all boxes to crops of `size`."""
        kind = size, spec.padding, spec.udp
        with self._lock:
            if kind not in self._matrices:
                center, scale = boxes_to_center_scale(self.bbox_xyxy, size, spec.padding)
                self._matrices[kind] = crop_matrices(center, scale, size, spec.udp)
            return self._matrices[kind]


class CropBatch:
    """The crops of some boxes, each kind made once and used by every cell that asks."""

    def __init__(
        self, images: Images, boxes: Boxes, rows: NDArray[np.intp], uploader: Uploader
    ) -> None:
        start = time.perf_counter()
        self.rows = rows
        self._all = boxes
        indices = boxes.image_index[rows].tolist()
        distinct = {index: images.take(index) for index in dict.fromkeys(indices)}
        self._images = [distinct[index] for index in indices]
        self._uploaded: UploadedImages | None = None
        if uploader.device.type != "cpu":
            self._uploaded = UploadedImages(self._images, uploader)
            self._images = []
        self._inputs: dict[CropRequest, Tensor] = {}
        self._cut: dict[tuple[InputSize, CropSpec], NDArray[np.uint8]] = {}
        # Seconds of this part, which every kind of crop needs, and seconds of each kind.
        self._read_seconds = time.perf_counter() - start
        self._seconds: dict[CropRequest, float] = {}

    def prepare(self, requests: Sequence[CropRequest]) -> None:
        """Make all crops that are asked for later; images on a device are let go of.

        A kind of crop that fails is left to the cell that asks for it, which meets the error again.
        """
        for request in requests:
            with suppress(Exception):
                self.inputs(request)
        if self._uploaded is not None and all(each in self._inputs for each in requests):
            self._uploaded = None

    def inputs(self, request: CropRequest) -> tuple[Tensor, float]:
        """Return a network's input (N, 3, H, W), and the seconds it took, reading included."""
        if request not in self._inputs:
            start = time.perf_counter()
            if self._uploaded is None:
                crops = torch.from_numpy(self._crops(request))
            else:
                crops = crops_on_device(self._uploaded, self._matrices(request), request)
            self._inputs[request] = normalise_tensor(crops, request.spec)
            self._seconds[request] = self._read_seconds + time.perf_counter() - start
        return self._inputs[request], self._seconds[request]

    def _matrices(self, request: CropRequest) -> NDArray[np.floating[Any]]:
        return self._all.matrices(request.size, request.spec)[self.rows]

    def _crops(self, request: CropRequest) -> NDArray[np.uint8]:
        """Return crops (N, H, W, 3) BGR."""
        size, spec = request.size, request.spec
        if (size, spec) not in self._cut:
            self._cut[size, spec] = cut_crops(self._images, self._matrices(request), size)
        crops_of_size = self._cut[size, spec]
        if size == request.input_size:
            return crops_of_size
        return np.stack(
            [resample_crop(crop, request.input_size, spec.udp) for crop in crops_of_size]
        )


def crops_on_device(
    images: UploadedImages, matrices: NDArray[np.floating[Any]], request: CropRequest
) -> Tensor:
    """Return crops (N, H, W, 3) uint8 of N images by their maps (N, 2, 3).

    They equal those cut on the CPU bit for bit.
    """
    crops = warp_crops(images.receive(), matrices, request.size)
    return resample_crops(crops, request.input_size, request.spec.udp)


class _Images:
    """Decodes an image for the first batch that takes it, and drops it after the last one."""

    def __init__(self, dataset: PoseDataset, batches: Sequence[NDArray[np.int64]]) -> None:
        self._dataset = dataset
        self._lock = threading.Lock()
        self._left = Counter(index for batch in batches for index in np.unique(batch).tolist())
        self._decoded: dict[int, Future[NDArray[np.uint8]]] = {}

    def take(self, index: int) -> NDArray[np.uint8]:
        """Return an image; each batch takes it once.

        Raises `DataError` if it cannot be read.
        """
        with self._lock:
            first = index not in self._decoded
            image = self._decoded.setdefault(index, Future())
            self._left[index] -= 1
            if not self._left[index]:
                del self._decoded[index]
        if first:
            try:
                image.set_result(dataset_image(self._dataset, index))
            except BaseException as error:
                image.set_exception(error)
        return image.result()


def image_order(instances: Instances) -> NDArray[np.intp]:
    """Return the rows of N instances in the order that batches take them."""
    return np.argsort(instances.image_index, kind="stable")


@contextmanager
def crop_batches(
    dataset: PoseDataset,
    instances: Instances,
    parallelism: Parallelism,
    *,
    requests: Sequence[CropRequest],
    device: torch.device,
) -> Iterator[Iterator[Callable[[], CropBatch]]]:
    """Give batches in the order of the images, each as a function that returns one.

    The crops lie on `device`. Workers, if there are any, prepare the crops of `requests` for a
    bounded number of batches ahead; without workers, the function prepares them when it is called.
    The function raises `DataError` if an image cannot be read.
    """
    order = image_order(instances)
    batch_size, workers = parallelism.batch_size, parallelism.workers
    uploader, boxes = Uploader(device), Boxes(instances.bbox_xyxy, instances.image_index)
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    images = _Images(dataset, [instances.image_index[rows] for rows in batches])

    def prepared(rows: NDArray[np.intp]) -> CropBatch:
        batch = CropBatch(images, boxes, rows, uploader)
        batch.prepare(requests)
        return batch

    if not workers:
        yield (partial(CropBatch, images, boxes, rows, uploader) for rows in batches)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="crops")
    try:
        depth = min(workers + _AHEAD, _most_ahead(batch_size, requests, room_for_crops(device)))
        yield _ahead(pool, prepared, batches, depth)
    finally:
        pool.shutdown(cancel_futures=True)


def _most_ahead(batch_size: int, requests: Sequence[CropRequest], room: int | None) -> int:
    """Return how many batches of such crops may wait, in `room` bytes if that is known.

    They are never fewer than two, which may take more than the room: the GPU would wait.
    """
    most = max(_AHEAD, _CROPS_AHEAD // batch_size)
    if room is None:
        return most
    values = sum(3 * each.input_size.height * each.input_size.width for each in requests)
    return max(_AHEAD, min(most, room // max(4 * batch_size * values, 1)))


def _ahead(
    pool: ThreadPoolExecutor,
    prepared: Callable[[NDArray[np.intp]], CropBatch],
    batches: Sequence[NDArray[np.intp]],
    depth: int,
) -> Iterator[Callable[[], CropBatch]]:
    """Yield each batch's outcome, with `depth` of them under way."""
    under_way: deque[Future[CropBatch]] = deque()
    for rows in batches:
        under_way.append(pool.submit(prepared, rows))
        if len(under_way) > depth:
            yield under_way.popleft().result
    while under_way:
        yield under_way.popleft().result


def first_crops(
    request: CropRequest,
    dataset: PoseDataset,
    instances: Instances,
    count: int = CALIBRATION_CROPS,
) -> NDArray[np.float32]:
    """Return the first crops (N, 3, H, W) of a run as a network takes them.

    They are for the ranges of int8, and to see whether a faster network answers the same. Raises
    `DataError` for an image that cannot be read.
    """
    first = instances_at(instances, image_order(instances)[:count])
    with crop_batches(
        dataset, first, Parallelism(), requests=[], device=torch.device("cpu")
    ) as batches:
        return np.concatenate([make().inputs(request)[0].numpy() for make in batches])
