"""Batches of crops: every image decoded once, every crop cut once, for whoever needs them.

Which instances form a batch is fixed beforehand, so no answer depends on who prepares one.
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

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.crops import crop_image, normalise, resample_crop
from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.images import read_image
from posebench.geometry import boxes_to_center_scale
from posebench.sizes import InputSize
from posebench.spec import CropSpec

# Batches that workers are ahead of the lanes by.
_AHEAD = 2


@dataclass(frozen=True)
class CropRequest:
    """Crops of `size`, resampled to `input_size` where that differs, normalised by `spec`."""

    size: InputSize
    input_size: InputSize
    spec: CropSpec


class CropBatch:
    """The crops of some instances, each kind made once and used by every cell that asks."""

    def __init__(self, images: _Images, instances: Instances, rows: NDArray[np.intp]) -> None:
        start = time.perf_counter()
        self.rows = rows
        self.boxes = instances.bbox_xyxy[rows]
        indices = instances.image_index[rows].tolist()
        decoded = {index: images.take(index) for index in dict.fromkeys(indices)}
        self._images = [decoded[index] for index in indices]
        self._cut: dict[tuple[InputSize, CropSpec], NDArray[np.uint8]] = {}
        self._inputs: dict[CropRequest, Tensor] = {}
        # Of this part, which every kind of crop needs, and of each kind.
        self._read_seconds = time.perf_counter() - start
        self._seconds: dict[CropRequest, float] = {}

    def inputs(self, request: CropRequest) -> tuple[Tensor, float]:
        """Return a network's input (N, 3, H, W), and the seconds it took, reading included."""
        if request not in self._inputs:
            start = time.perf_counter()
            crops = self._crops(request.size, request.spec)
            if request.size != request.input_size:
                size, udp = request.input_size, request.spec.udp
                crops = np.stack([resample_crop(crop, size, udp) for crop in crops])
            self._inputs[request] = torch.from_numpy(normalise(crops, request.spec))
            self._seconds[request] = self._read_seconds + time.perf_counter() - start
        return self._inputs[request], self._seconds[request]

    def _crops(self, size: InputSize, spec: CropSpec) -> NDArray[np.uint8]:
        """Return crops (N, H, W, 3) BGR."""
        if (size, spec) not in self._cut:
            center, scale = boxes_to_center_scale(self.boxes, size, spec.padding)
            crops = [
                crop_image(image, center[row], scale[row], size, udp=spec.udp)
                for row, image in enumerate(self._images)
            ]
            self._cut[size, spec] = np.stack(crops)
        return self._cut[size, spec]


class _Images:
    """Decodes an image for the first batch that takes it, and drops it after the last one."""

    def __init__(self, dataset: PoseDataset, batches: Sequence[NDArray[np.int64]]) -> None:
        self._dataset = dataset
        self._lock = threading.Lock()
        self._left = Counter(index for batch in batches for index in np.unique(batch).tolist())
        self._decoded: dict[int, Future[NDArray[np.uint8]]] = {}

    def take(self, index: int) -> NDArray[np.uint8]:
        """Return an image, once for each batch; raise `DataError` if it cannot be read."""
        with self._lock:
            first = index not in self._decoded
            image = self._decoded.setdefault(index, Future())
            self._left[index] -= 1
            if not self._left[index]:
                del self._decoded[index]
        if first:
            try:
                image.set_result(read_image(self._dataset.images[index].path))
            except BaseException as error:
                image.set_exception(error)
        return image.result()


@contextmanager
def crop_batches(
    dataset: PoseDataset,
    instances: Instances,
    batch_size: int,
    *,
    workers: int,
    requests: Sequence[CropRequest],
) -> Iterator[Iterator[Callable[[], CropBatch]]]:
    """Give batches in the order of the images, each as a function that returns it.

    With `workers`, that many threads prepare `requests` ahead, a bounded number of batches; else
    the function does it all. It raises `DataError` for an image that cannot be read.
    """
    order = np.argsort(instances.image_index, kind="stable")
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    images = _Images(dataset, [instances.image_index[rows] for rows in batches])

    def prepared(rows: NDArray[np.intp]) -> CropBatch:
        batch = CropBatch(images, instances, rows)
        for request in requests:
            with suppress(Exception):  # the cell that asks for it meets it again, as its failure
                batch.inputs(request)
        return batch

    if not workers:
        yield (partial(CropBatch, images, instances, rows) for rows in batches)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="crops")
    try:
        yield _ahead(pool, prepared, batches, workers + _AHEAD)
    finally:
        pool.shutdown(cancel_futures=True)


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
