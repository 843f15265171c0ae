"""Loop 1: images and boxes through one network at several sizes and policies, to keypoints.

Each image is decoded once for all its boxes and all cells; each crop is cut once for all
policies that use it; a network runs once for all decoders. Where raw outputs of an earlier run
are kept, it does not run at all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from posebench.codecs import Codec, Decoder, decode_by, own_decoder
from posebench.crops import crop_image, normalise, resample_crop
from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.images import read_image
from posebench.errors import CheckpointError, PosebenchError
from posebench.evaluation.predictions import Predictions, instance_predictions
from posebench.flip import predict_outputs
from posebench.geometry import boxes_to_center_scale, input_to_image
from posebench.policies import CellNetwork
from posebench.raw_outputs import RawFolder, RawWriter, read_outputs
from posebench.sizes import InputSize
from posebench.spec import CropSpec

Outputs = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class PreparedCell:
    """A network ready to run on crops of `size`, which it may want resampled first.

    No `decoders` means the checkpoint's own. With `raw`, outputs are read from there, or are kept
    there if it is empty; they are decoded from float16 either way. `scored` are the keypoints to
    keep, in their order; None keeps all.
    """

    network: CellNetwork
    codec: Codec
    size: InputSize
    flip_test: bool
    decoders: tuple[Decoder, ...] = ()
    raw: RawFolder | None = None
    scored: tuple[int, ...] | None = None


@dataclass(frozen=True)
class CellPredictions:
    """Predictions of one cell by one decoder, or the reason it failed.

    `seconds` are end to end, as if there were no other cell; 0 where no network ran.
    """

    predictions: Predictions | None
    seconds: float
    failure: PosebenchError | None = None


def predict(
    cells: Sequence[PreparedCell],
    dataset: PoseDataset,
    instances: Instances,
    *,
    batch_size: int,
    progress: Callable[[int], None],
) -> list[CellPredictions]:
    """Predict all `instances` in every cell; `progress` gets the number of new instances.

    Returns the outcomes of the first cell in the order of its decoders, then those of the next.
    A cell that fails is left out from then on and the others go on; an image that cannot be read
    fails them all. Seconds of a cell count reading and cropping in full, as if it had run alone.
    """
    running = [_RunningCell(cell, len(instances.ids)) for cell in cells]
    try:
        live = [state for state in running if not state.replay(instances)]
        if live:
            _run(live, _ImageReader(dataset), instances, batch_size, progress)
        elif running:
            progress(len(instances))
        return [outcome for state in running for outcome in state.finish(dataset, instances)]
    finally:
        for state in running:
            state.discard()


def _run(
    cells: Sequence[_RunningCell],
    reader: _ImageReader,
    instances: Instances,
    batch_size: int,
    progress: Callable[[int], None],
) -> None:
    """Run the networks of `cells` batch by batch, in the order of the images."""
    order = np.argsort(instances.image_index, kind="stable")
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        try:
            crops = _SharedCrops(reader, instances, rows)
        except PosebenchError as error:
            for state in cells:
                state.failure = state.failure or error
            break
        for state in cells:
            if state.failure is None:
                state.run(rows, crops)
        if all(state.failure for state in cells):
            break
        progress(len(rows))


class _ImageReader:
    """Reads images in order, keeping the last one: its boxes may go on in the next batch."""

    def __init__(self, dataset: PoseDataset) -> None:
        self._dataset = dataset
        self._index = -1
        self._image: NDArray[np.uint8] = np.empty((0, 0, 3), dtype=np.uint8)

    def read(self, index: int) -> NDArray[np.uint8]:
        if index != self._index:
            self._image = read_image(self._dataset.images[index].path)
            self._index = index
        return self._image


class _SharedCrops:
    """Crops of one batch by size, cut once and used by every cell that asks for them."""

    def __init__(self, reader: _ImageReader, instances: Instances, rows: NDArray[np.intp]) -> None:
        start = time.perf_counter()
        self.boxes = instances.bbox_xyxy[rows]
        self._images = [reader.read(int(index)) for index in instances.image_index[rows]]
        self._read_seconds = time.perf_counter() - start
        self._made: dict[tuple[InputSize, CropSpec], tuple[NDArray[np.uint8], float]] = {}

    def cut(self, size: InputSize, spec: CropSpec) -> tuple[NDArray[np.uint8], float]:
        """Return crops (N, H, W, 3) BGR and the seconds that reading and cutting took."""
        if (size, spec) not in self._made:
            start = time.perf_counter()
            center, scale = boxes_to_center_scale(self.boxes, size, spec.padding)
            crops = [
                crop_image(image, center[row], scale[row], size, udp=spec.udp)
                for row, image in enumerate(self._images)
            ]
            seconds = self._read_seconds + time.perf_counter() - start
            self._made[size, spec] = (np.stack(crops), seconds)
        return self._made[size, spec]


class _RunningCell:
    """One cell's results so far."""

    def __init__(self, cell: PreparedCell, count: int) -> None:
        self.cell = cell
        self.failure: PosebenchError | None = None
        decoders = cell.decoders or (own_decoder(cell.codec),)
        self._decodings = [_RunningDecoder(cell, decoder, count) for decoder in decoders]
        self._writer: RawWriter | None = None
        self._seconds = 0.0

    def replay(self, instances: Instances) -> bool:
        """Decode the outputs of an earlier run and return True, if they are kept."""
        raw = self.cell.raw
        if raw is None or not raw.is_complete:
            return False
        try:
            for rows, outputs in read_outputs(raw):
                self._decode(rows, instances.bbox_xyxy[rows], outputs)
        except PosebenchError as error:
            self.failure = error
        return True

    def run(self, rows: NDArray[np.intp], shared: _SharedCrops) -> None:
        """Predict one batch; keep the failure instead of raising it."""
        try:
            self._predict(rows, shared)
        except PosebenchError as error:
            self.failure = error
        except Exception as error:  # torch, onnxruntime and OpenCV share no base class but this
            size = self.cell.network.input_size
            first_line = str(error).strip().partition("\n")[0]
            self.failure = CheckpointError(
                f"The network failed at {size}: {first_line or type(error).__name__}"
            )
            self.failure.__cause__ = error

    def _predict(self, rows: NDArray[np.intp], shared: _SharedCrops) -> None:
        cell = self.cell
        crops, seconds = shared.cut(cell.size, cell.network.spec.crop)
        start = time.perf_counter()
        outputs = _forward(cell, crops)
        if not all(np.isfinite(output).all() for output in outputs):
            raise CheckpointError(
                f"The network's outputs at {cell.network.input_size} are NaN or infinite.",
                hint="Are there NaNs in its weights, or in the mean and std of its crops?",
            )
        self._seconds += seconds + time.perf_counter() - start
        if cell.raw is not None:
            self._writer = self._writer or RawWriter(cell.raw)
            outputs = self._writer.keep(rows, outputs)
        self._decode(rows, shared.boxes, outputs)

    def _decode(self, rows: NDArray[np.intp], boxes: NDArray[np.float32], outputs: Outputs) -> None:
        for decoding in self._decodings:
            decoding.add(rows, boxes, outputs)
        if all(decoding.failure is not None for decoding in self._decodings):
            self.failure = self._decodings[0].failure

    def finish(self, dataset: PoseDataset, instances: Instances) -> list[CellPredictions]:
        """Return the outcome of each decoder, and keep the raw outputs if all is well."""
        if self._writer is not None and self.failure is None:
            try:
                self._writer.close()
            except PosebenchError as error:
                self.failure = error
        return [
            CellPredictions(None, self._seconds, decoding.failure or self.failure)
            if decoding.failure is not None or self.failure is not None
            else decoding.finish(dataset, instances, self._seconds)
            for decoding in self._decodings
        ]

    def discard(self) -> None:
        """Remove raw outputs that are not complete."""
        if self._writer is not None:
            self._writer.discard()


class _RunningDecoder:
    """What one decoder made of a cell's outputs so far."""

    def __init__(self, cell: PreparedCell, decoder: Decoder, count: int) -> None:
        self._scored = list(cell.scored or range(len(cell.network.spec.keypoints)))
        self._cell = cell
        self._decoder = decoder
        self.failure: PosebenchError | None = None
        self._keypoints = np.zeros((count, len(self._scored), 2), dtype=np.float64)
        self._scores = np.zeros((count, len(self._scored)), dtype=np.float32)
        self._areas = np.zeros(count, dtype=np.float32)
        self._seconds = 0.0

    def add(self, rows: NDArray[np.intp], boxes: NDArray[np.float32], outputs: Outputs) -> None:
        """Decode the outputs of `rows`; keep the failure, which other decoders may not share."""
        if self.failure is not None:
            return
        start, cell = time.perf_counter(), self._cell
        answered = cell.network.output_size
        try:
            decoded = decode_by(self._decoder, cell.codec, outputs, answered)
        except PosebenchError as error:
            self.failure = error
            return
        center, scale = boxes_to_center_scale(boxes, cell.size, cell.network.spec.crop.padding)
        keypoints = decoded.keypoints[:, self._scored]
        self._keypoints[rows] = input_to_image(keypoints, center, scale, answered)
        self._scores[rows] = decoded.scores[:, self._scored]
        self._areas[rows] = scale.prod(axis=1)
        self._seconds += time.perf_counter() - start

    def finish(self, dataset: PoseDataset, instances: Instances, seconds: float) -> CellPredictions:
        """Return the predictions; `seconds` are the network's, 0 if it did not run."""
        predictions = instance_predictions(
            dataset, instances, self._keypoints, self._scores, self._areas
        )
        return CellPredictions(predictions, seconds + self._seconds if seconds else 0.0)


def _forward(cell: PreparedCell, crops: NDArray[np.uint8]) -> Outputs:
    if cell.size != cell.network.input_size:
        size, udp = cell.network.input_size, cell.network.spec.crop.udp
        crops = np.stack([resample_crop(crop, size, udp) for crop in crops])
    inputs = torch.from_numpy(normalise(crops, cell.network.spec.crop))
    with torch.inference_mode():
        outputs = predict_outputs(cell.network, inputs, cell.flip_test)
    return tuple(output.float().numpy() for output in outputs)
