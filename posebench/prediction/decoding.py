"""A network's outputs to keypoints, as they come: on the CPU by batches, on a GPU many at once."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from posebench.datasets.coco import Instances, PoseDataset
from posebench.errors import PosebenchError
from posebench.networks.codecs import Codec, Decoder, decode_by
from posebench.networks.sizes import InputSize
from posebench.prediction.crop_batches import CropRequest
from posebench.prediction.device_decoding import decode_on_device
from posebench.prediction.geometry import boxes_to_center_scale, input_to_image
from posebench.prediction.predictions import Predictions, instance_predictions

HostOutputs = tuple[NDArray[np.float32], ...]
DeviceOutputs = tuple[Tensor, ...]
Outputs = HostOutputs | DeviceOutputs
Rows = NDArray[np.intp]
# Outputs of so many bytes are decoded at once: the heatmaps of 640 persons at 256x192.
_BYTES_AT_ONCE = 1 << 27


def stay_on_device(outputs: DeviceOutputs) -> bool:
    """Tell whether outputs are decoded where they are, not on the CPU."""
    return outputs[0].device.type != "cpu"


class WaitingOutputs:
    """Outputs on a device that wait to be decoded together.

    Whoever asks a GPU for a number waits until all that it was given to do is done, so that it is
    asked once for many batches. Several threads may share one.
    """

    def __init__(self, bytes_at_once: int = _BYTES_AT_ONCE) -> None:
        self._most = bytes_at_once
        self._lock = threading.Lock()
        self._parts: list[tuple[Rows, DeviceOutputs]] = []
        self._bytes = 0

    def add(self, rows: Rows, outputs: DeviceOutputs) -> tuple[Rows, DeviceOutputs] | None:
        """Take a batch's outputs (N, K, ...); if enough wait, return all joined, and their rows."""
        with self._lock:
            self._parts.append((rows, outputs))
            self._bytes += sum(output.nbytes for output in outputs)
            if self._bytes < self._most:
                return None
        return self.rest()

    def rest(self) -> tuple[Rows, DeviceOutputs] | None:
        """Return what waits, joined, if anything does."""
        with self._lock:
            parts, self._parts, self._bytes = self._parts, [], 0
        if not parts:
            return None
        all_rows, all_outputs = zip(*parts, strict=True)
        joined = tuple(torch.cat(each) for each in zip(*all_outputs, strict=True))
        return np.concatenate(all_rows), joined


def first_not_finite(outputs: Outputs) -> int | None:
    """Return the first of N instances whose outputs are NaN or infinite, None if none are."""
    if all(_is_finite(output) for output in outputs):
        return None
    broken = np.zeros(len(outputs[0]), dtype=np.bool_)
    for output in outputs:
        values = output.cpu().numpy() if isinstance(output, Tensor) else output
        broken |= ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    return int(broken.argmax())


def _is_finite(values: NDArray[np.float32] | Tensor) -> bool:
    if isinstance(values, Tensor):
        return bool(values.isfinite().all())
    # One pass where all is well; only a sum that overflows needs a look at every value.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


@dataclass(frozen=True)
class Decodes:
    """How outputs become keypoints of the image.

    `answered` is the size that outputs are fractions of, `crops` say how crops lie in the image,
    and `scored` which keypoints are kept, in their order.
    """

    codec: Codec
    answered: InputSize
    crops: CropRequest
    scored: tuple[int, ...]


class Decoding:
    """What one decoder has made of a network's outputs so far."""

    def __init__(self, how: Decodes, decoder: Decoder, count: int) -> None:
        self._how = how
        self._decoder = decoder
        self._scored = list(how.scored)
        self.failure: PosebenchError | None = None
        self._keypoints = np.zeros((count, len(self._scored), 2), dtype=np.float64)
        self._scores = np.zeros((count, len(self._scored)), dtype=np.float32)
        self._areas = np.zeros(count, dtype=np.float32)
        self._lock = threading.Lock()
        self.seconds = 0.0

    def add(self, rows: Rows, boxes: NDArray[np.float32], outputs: Outputs) -> None:
        """Decode the outputs of `rows`; keep the failure, which other decoders may not share."""
        if self.failure is not None:
            return
        start, how = time.perf_counter(), self._how
        try:
            if isinstance(outputs[0], Tensor):
                decoded = decode_on_device(self._decoder, how.codec, outputs, how.answered)
            else:
                decoded = decode_by(self._decoder, how.codec, outputs, how.answered)
        except PosebenchError as error:
            self.failure = error
            return
        center, scale = boxes_to_center_scale(boxes, how.crops.size, how.crops.spec.padding)
        keypoints = decoded.keypoints[:, self._scored]
        self._keypoints[rows] = input_to_image(keypoints, center, scale, how.answered)
        self._scores[rows] = decoded.scores[:, self._scored]
        self._areas[rows] = scale.prod(axis=1)
        with self._lock:
            self.seconds += time.perf_counter() - start

    def predictions(self, dataset: PoseDataset, instances: Instances) -> Predictions:
        """Return what was decoded of all instances."""
        return instance_predictions(dataset, instances, self._keypoints, self._scores, self._areas)
