"""Loop 1: images and boxes through one network at several sizes and policies, to keypoints.

Each image is decoded once for all its boxes and all networks; each crop is cut once for all
networks that use it; a network runs once for all decoders. If raw outputs of an earlier run are
kept, it does not run at all.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset
from posebench.errors import CheckpointError, PosebenchError, first_line, forget_frames
from posebench.networks.codecs import Codec, Decoder
from posebench.networks.policies import CellNetwork
from posebench.networks.sizes import InputSize
from posebench.prediction.crop_batches import CropBatch, CropRequest, crop_batches
from posebench.prediction.decoding import (
    Decodes,
    Decoding,
    HostOutputs,
    Outputs,
    WaitingOutputs,
    first_not_finite,
    stay_on_device,
)
from posebench.prediction.execution import Parallelism
from posebench.prediction.flip import predict_outputs
from posebench.prediction.kept.identity import instance_arrays
from posebench.prediction.kept.outputs import RawFolder, RawWriter, read_outputs
from posebench.prediction.kept.predictions import CachedFile
from posebench.prediction.lanes import run_in_lanes
from posebench.prediction.predictions import Predictions

_log = logging.getLogger(__name__)
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class NetworkRun:
    """A network ready to run on crops of `size`, which it may want resampled first.

    It runs once for all cells that differ only in their decoder, one of `decoders`. With `raw`,
    outputs are read from that folder, or kept there if it is empty; either way they are decoded
    from float16. `files` has the file for each decoder's predictions; without one they are not
    kept. `scored` are the keypoints to keep, in their order; None keeps all. Networks that run
    together share a `device`.
    """

    network: CellNetwork
    codec: Codec
    size: InputSize
    flip_test: bool
    decoders: tuple[Decoder, ...]
    raw: RawFolder | None = None
    scored: tuple[int, ...] | None = None
    device: str = "cpu"
    files: Mapping[Decoder, CachedFile] = field(default_factory=dict)

    @property
    def crops(self) -> CropRequest:
        """The crops that the network takes."""
        return CropRequest(self.size, self.network.input_size, self.network.spec.crop)

    @property
    def decodes(self) -> Decodes:
        """How the network's outputs become keypoints of the image."""
        scored = self.scored or tuple(range(len(self.network.spec.keypoints)))
        return Decodes(self.codec, self.network.output_size, self.crops, scored)


@dataclass(frozen=True)
class Outcome:
    """Predictions of one cell, or the reason it failed.

    `seconds` are end to end, as if there were no other cell; 0 if no network ran. On a GPU they are
    exact for networks that run alone: those that run together wait for one another's work.
    """

    predictions: Predictions | None
    seconds: float
    failure: PosebenchError | None = None


def predict(
    runs: Mapping[Key, NetworkRun],
    dataset: PoseDataset,
    instances: Instances,
    *,
    parallelism: Parallelism,
    progress: Callable[[int], None],
) -> dict[Key, dict[Decoder, Outcome]]:
    """Predict all `instances` with every network; `progress` gets the number of new instances.

    Returns the outcome of each decoder under the key of its run. A network that fails is left out
    from then on and the others go on; an image that cannot be read fails them all. The answers do
    not depend on `parallelism`, except that its batch size moves rounding.
    """
    running = {key: _Running(run, dataset, instances) for key, run in runs.items()}
    try:
        live = [each for each in running.values() if not each.replay()]
        start = time.perf_counter()
        if live:
            requests = dict.fromkeys(each.run.crops for each in live)
            with crop_batches(
                dataset,
                instances,
                parallelism,
                requests=list(requests),
                device=torch.device(live[0].run.device),
            ) as batches:
                _run(live, batches, parallelism.lanes, progress)
            for each in live:
                each.decode_rest(parallelism.lanes)
        elif running:
            progress(len(instances))
        alone = time.perf_counter() - start if len(live) == 1 else None
        return {key: each.finish(parallelism, alone) for key, each in running.items()}
    finally:
        for each in running.values():
            each.discard()


def _run(
    running: Sequence[_Running],
    batches: Iterator[Callable[[], CropBatch]],
    lanes: int,
    progress: Callable[[int], None],
) -> None:
    """Run networks batch by batch, in the order of the images."""

    def run(batch: Callable[[], CropBatch]) -> int:
        """Run one batch and return how many instances it had, 0 if no network is left to run."""
        try:
            crops = batch()
        except Exception as error:  # an image that cannot be read, or memory that runs out
            for each in running:
                each.fail(error)
            return 0
        for each in running:
            if each.failure is None:
                each.take(crops)
        return 0 if all(each.failure for each in running) else len(crops.rows)

    run_in_lanes(run, batches, lanes, progress)


class _Running:
    """What one network has answered so far."""

    def __init__(self, run: NetworkRun, dataset: PoseDataset, instances: Instances) -> None:
        self.run = run
        self.failure: PosebenchError | None = None
        self._dataset = dataset
        self._instances = instances
        self._decodings = {
            decoder: Decoding(run.decodes, decoder, len(instances.ids)) for decoder in run.decoders
        }
        self._writer: RawWriter | None = None
        self._lock = threading.Lock()
        self._waiting = WaitingOutputs()
        self._crop_seconds = self._network_seconds = 0.0

    def replay(self) -> bool:
        """Decode the kept outputs of an earlier run, if any; return whether there were any."""
        raw = self.run.raw
        if raw is None or not raw.is_complete:
            return False
        try:
            for rows, outputs in read_outputs(raw, len(self._instances)):
                self._decode(rows, outputs)
        except PosebenchError as error:
            self.failure = error
        return True

    def take(self, batch: CropBatch) -> None:
        """Predict one batch; keep the failure instead of raising it."""
        with self._failing():
            self._predict(batch)

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Keep what is raised as the failure."""
        try:
            yield
        except Exception as error:  # torch, onnxruntime and OpenCV share no base class but this
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Keep an error as the failure, unless there is one already; log where, for `--debug`."""
        _log.debug("A network failed", exc_info=error)
        forget_frames(error)  # they hold crops and outputs on the device
        failure = error if isinstance(error, PosebenchError) else None
        if failure is None:
            size = self.run.network.input_size
            failure = CheckpointError(f"The network failed at {size}: {first_line(error)}")
            failure.__cause__ = error
        self.failure = self.failure or failure

    def _predict(self, batch: CropBatch) -> None:
        run = self.run
        inputs, crop_seconds = batch.inputs(run.crops)
        start = time.perf_counter()
        with torch.inference_mode():
            apart = run.network.flips_apart
            answers = predict_outputs(run.network, inputs, run.flip_test, apart=apart)
        together: tuple[NDArray[np.intp], Outputs] | None
        if stay_on_device(answers) and run.raw is None:
            together = self._waiting.add(batch.rows, answers)
        else:
            together = batch.rows, tuple(answer.cpu().numpy() for answer in answers)
        if together is not None:
            self._check_finite(*together)
        seconds = time.perf_counter() - start
        with self._lock:
            self._crop_seconds += crop_seconds
            self._network_seconds += seconds
            if run.raw is not None and together is not None:
                rows, outputs = together
                self._writer = self._writer or RawWriter(
                    run.raw, instance_arrays(self._dataset, self._instances)
                )
                together = rows, self._writer.keep(rows, cast("HostOutputs", outputs))
        if together is not None:
            self._decode(*together)

    def _check_finite(self, rows: NDArray[np.intp], outputs: Outputs) -> None:
        row = first_not_finite(outputs)
        if row is None:
            return
        index = self._instances.image_index[rows[row]]
        raise CheckpointError(
            f"The network's outputs at {self.run.network.input_size} are NaN or infinite, first "
            f"for box {self._instances.ids[rows[row]]} of {self._dataset.images[index].path.name}.",
            hint="Are there NaNs in its weights, or in the mean and std of its crops? In fp16 "
            "values above 65 504 overflow; --precision bf16 reaches as far as fp32.",
        )

    def _decode(self, rows: NDArray[np.intp], outputs: Outputs) -> None:
        for decoding in self._decodings.values():
            decoding.add(rows, self._instances.bbox_xyxy[rows], outputs)
        failures = [decoding.failure for decoding in self._decodings.values()]
        if all(failures):
            self.failure = failures[0]

    def decode_rest(self, lanes: int) -> None:
        """Decode what waits on the device, unless something failed; all `lanes` stand still."""
        start = time.perf_counter()
        with self._failing():
            together = self._waiting.rest()
            if together is None or self.failure is not None:
                return
            self._check_finite(*together)
            self._network_seconds += lanes * (time.perf_counter() - start)
            self._decode(*together)

    def finish(self, parallelism: Parallelism, measured: float | None) -> dict[Decoder, Outcome]:
        """Return the outcome of each decoder, and keep the raw outputs if all is well.

        `measured` are the seconds of a run that had no other network.
        """
        if self._writer is not None and self.failure is None:
            try:
                self._writer.close()
            except PosebenchError as error:
                self.failure = error
        return {
            decoder: self._outcome(decoding, parallelism, measured)
            for decoder, decoding in self._decodings.items()
        }

    def _outcome(
        self, decoding: Decoding, parallelism: Parallelism, measured: float | None
    ) -> Outcome:
        seconds = 0.0
        if self._network_seconds:
            own = self._network_seconds + decoding.seconds
            seconds = parallelism.wall_seconds(self._crop_seconds, own)
            if measured is not None and len(self._decodings) == 1:
                seconds = measured
        failure = decoding.failure or self.failure
        if failure is not None:
            return Outcome(None, seconds, failure)
        return Outcome(decoding.predictions(self._dataset, self._instances), seconds)

    def discard(self) -> None:
        """Remove raw outputs that are not complete."""
        if self._writer is not None:
            self._writer.discard()
