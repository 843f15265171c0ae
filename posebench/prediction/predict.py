"""Loop 1: images and boxes through one network at several sizes and policies, to keypoints.

Each image is decoded once for all its boxes and all cells; each crop is cut once for all cells
that use it; a network runs once for all decoders. Where raw outputs of an earlier run are kept, it
does not run at all.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset
from posebench.errors import CheckpointError, PosebenchError
from posebench.networks.codecs import Codec, Decoder, decode_by, own_decoder
from posebench.networks.policies import CellNetwork
from posebench.networks.sizes import InputSize
from posebench.prediction.crop_batches import CropBatch, CropRequest, crop_batches
from posebench.prediction.device_decoding import decode_on_device
from posebench.prediction.execution import Parallelism
from posebench.prediction.flip import predict_outputs
from posebench.prediction.geometry import boxes_to_center_scale, input_to_image
from posebench.prediction.kept_outputs import RawFolder, RawWriter, read_outputs
from posebench.prediction.lanes import run_in_lanes
from posebench.prediction.predictions import Predictions, instance_predictions

Outputs = tuple[NDArray[np.float32], ...]
DeviceOutputs = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class PreparedCell:
    """A network ready to run on crops of `size`, which it may want resampled first.

    No `decoders` means the checkpoint's own. With `raw`, outputs are read from there, or are kept
    there if it is empty; they are decoded from float16 either way. `scored` are the keypoints to
    keep, in their order; None keeps all. Cells that are predicted together share a `device`.
    """

    network: CellNetwork
    codec: Codec
    size: InputSize
    flip_test: bool
    decoders: tuple[Decoder, ...] = ()
    raw: RawFolder | None = None
    scored: tuple[int, ...] | None = None
    device: str = "cpu"

    @property
    def crops(self) -> CropRequest:
        """The crops that the network takes."""
        return CropRequest(self.size, self.network.input_size, self.network.spec.crop)


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
    parallelism: Parallelism,
    progress: Callable[[int], None],
) -> list[CellPredictions]:
    """Predict all `instances` in every cell; `progress` gets the number of new instances.

    Returns the outcomes of the first cell in the order of its decoders, then those of the next.
    A cell that fails is left out from then on and the others go on; an image that cannot be read
    fails them all. The answers do not depend on `parallelism`, but for rounding by its batch size.
    """
    running = [_RunningCell(cell, len(instances.ids)) for cell in cells]
    try:
        live = [state for state in running if not state.replay(instances)]
        start = time.perf_counter()
        if live:
            requests = dict.fromkeys(state.cell.crops for state in live)
            with crop_batches(
                dataset,
                instances,
                parallelism,
                requests=list(requests),
                device=torch.device(live[0].cell.device),
            ) as batches:
                _run(live, batches, parallelism.lanes, progress)
        elif running:
            progress(len(instances))
        alone = time.perf_counter() - start if len(live) == 1 else None
        return [
            outcome
            for state in running
            for outcome in state.finish(dataset, instances, parallelism, alone)
        ]
    finally:
        for state in running:
            state.discard()


def _run(
    cells: Sequence[_RunningCell],
    batches: Iterator[Callable[[], CropBatch]],
    lanes: int,
    progress: Callable[[int], None],
) -> None:
    """Run the networks of `cells` batch by batch, in the order of the images."""

    def run(batch: Callable[[], CropBatch]) -> int:
        """Run one batch and return how many instances it had, 0 when there is no use going on."""
        try:
            crops = batch()
        except PosebenchError as error:
            for state in cells:
                state.failure = state.failure or error
            return 0
        for state in cells:
            if state.failure is None:
                state.run(crops)
        return 0 if all(state.failure for state in cells) else len(crops.rows)

    run_in_lanes(run, batches, lanes, progress)


class _RunningCell:
    """One cell's results so far."""

    def __init__(self, cell: PreparedCell, count: int) -> None:
        self.cell = cell
        self.failure: PosebenchError | None = None
        decoders = cell.decoders or (own_decoder(cell.codec),)
        self._decodings = [_RunningDecoder(cell, decoder, count) for decoder in decoders]
        self._writer: RawWriter | None = None
        self._lock = threading.Lock()
        self._crop_seconds = self._network_seconds = 0.0

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

    def run(self, batch: CropBatch) -> None:
        """Predict one batch; keep the failure instead of raising it."""
        try:
            self._predict(batch)
        except PosebenchError as error:
            self.failure = error
        except Exception as error:  # torch, onnxruntime and OpenCV share no base class but this
            size = self.cell.network.input_size
            first_line = str(error).strip().partition("\n")[0]
            self.failure = CheckpointError(
                f"The network failed at {size}: {first_line or type(error).__name__}"
            )
            self.failure.__cause__ = error

    def _predict(self, batch: CropBatch) -> None:
        cell = self.cell
        inputs, crop_seconds = batch.inputs(cell.crops)
        start = time.perf_counter()
        with torch.inference_mode():
            apart = cell.network.flips_apart
            answers = predict_outputs(cell.network, inputs, cell.flip_test, apart=apart)
        outputs: Outputs | DeviceOutputs = answers
        if answers[0].device.type == "cpu" or cell.raw is not None:
            outputs = tuple(answer.cpu().numpy() for answer in answers)
        if not all(_is_finite(output) for output in outputs):
            raise CheckpointError(
                f"The network's outputs at {cell.network.input_size} are NaN or infinite.",
                hint="Are there NaNs in its weights, or in the mean and std of its crops?",
            )
        seconds = time.perf_counter() - start
        with self._lock:
            self._crop_seconds += crop_seconds
            self._network_seconds += seconds
            if cell.raw is not None:
                self._writer = self._writer or RawWriter(cell.raw)
                outputs = self._writer.keep(batch.rows, cast("Outputs", outputs))
        self._decode(batch.rows, batch.boxes, outputs)

    def _decode(
        self,
        rows: NDArray[np.intp],
        boxes: NDArray[np.float32],
        outputs: Outputs | DeviceOutputs,
    ) -> None:
        for decoding in self._decodings:
            decoding.add(rows, boxes, outputs)
        if all(decoding.failure is not None for decoding in self._decodings):
            self.failure = self._decodings[0].failure

    def finish(
        self,
        dataset: PoseDataset,
        instances: Instances,
        parallelism: Parallelism,
        measured: float | None,
    ) -> list[CellPredictions]:
        """Return the outcome of each decoder, and keep the raw outputs if all is well.

        `measured` are the seconds of a run that had no other cell.
        """
        if self._writer is not None and self.failure is None:
            try:
                self._writer.close()
            except PosebenchError as error:
                self.failure = error
        outcomes = []
        for decoding in self._decodings:
            failure = decoding.failure or self.failure
            seconds = 0.0
            if self._network_seconds:
                own = self._network_seconds + decoding.seconds
                seconds = parallelism.wall_seconds(self._crop_seconds, own)
                if measured is not None and len(self._decodings) == 1:
                    seconds = measured
            predictions = None if failure is not None else decoding.predictions(dataset, instances)
            outcomes.append(CellPredictions(predictions, seconds, failure))
        return outcomes

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
        self._lock = threading.Lock()
        self.seconds = 0.0

    def add(
        self,
        rows: NDArray[np.intp],
        boxes: NDArray[np.float32],
        outputs: Outputs | DeviceOutputs,
    ) -> None:
        """Decode the outputs of `rows`; keep the failure, which other decoders may not share."""
        if self.failure is not None:
            return
        start, cell = time.perf_counter(), self._cell
        answered = cell.network.output_size
        try:
            if isinstance(outputs[0], torch.Tensor):
                decoded = decode_on_device(self._decoder, cell.codec, outputs, answered)
            else:
                decoded = decode_by(self._decoder, cell.codec, outputs, answered)
        except PosebenchError as error:
            self.failure = error
            return
        center, scale = boxes_to_center_scale(boxes, cell.size, cell.network.spec.crop.padding)
        keypoints = decoded.keypoints[:, self._scored]
        self._keypoints[rows] = input_to_image(keypoints, center, scale, answered)
        self._scores[rows] = decoded.scores[:, self._scored]
        self._areas[rows] = scale.prod(axis=1)
        with self._lock:
            self.seconds += time.perf_counter() - start

    def predictions(self, dataset: PoseDataset, instances: Instances) -> Predictions:
        """Return what was decoded of all instances."""
        return instance_predictions(dataset, instances, self._keypoints, self._scores, self._areas)


def _is_finite(values: NDArray[np.float32] | torch.Tensor) -> bool:
    if isinstance(values, torch.Tensor):
        return bool(values.isfinite().all())
    # One pass where all is well; only a sum that overflows needs a look at every value.
    return bool(np.isfinite(values.sum()) or np.isfinite(values).all())
