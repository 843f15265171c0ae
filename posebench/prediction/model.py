"""A checkpoint ready to predict: an image and boxes in, keypoints and scores out.

The steps and the numbers are those of `posebench eval`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from posebench.checkpoints import Checkpoint, load_checkpoint
from posebench.datasets.images.reading import read_image
from posebench.datasets.keypoints import KeypointSet
from posebench.errors import DataError, UnsupportedExecutionError
from posebench.networks.backbones import describe
from posebench.networks.codecs import DecoderChoice, check_decoder, chosen_decoders, decode_by
from posebench.networks.model import Network
from posebench.networks.policies import CellNetwork, Policy, apply_policy
from posebench.networks.sizes import InputSize
from posebench.prediction.crop_batches import Boxes, CropBatch, CropRequest
from posebench.prediction.devices import Uploader
from posebench.prediction.engines import check_execution, execute, optimise
from posebench.prediction.execution import Execution, Parallelism
from posebench.prediction.flip import predict_outputs
from posebench.prediction.geometry import boxes_to_center_scale, input_to_image

_BATCH = 8
Keypoints = tuple[NDArray[np.float64], NDArray[np.float32]]


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A loaded checkpoint, with its network as an engine runs it."""

    checkpoint: Checkpoint
    execution: Execution
    _network: Network
    _ready: dict[tuple[InputSize, Policy], CellNetwork] = field(default_factory=dict)

    def __repr__(self) -> str:
        spec = self.checkpoint.spec
        what = f"{spec.paradigm}, {describe(spec.backbone)}, {spec.input_size}"
        return f"<Model {self.name}: {what}, {len(spec.keypoints)} keypoints>"

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        return self.checkpoint.name

    @property
    def keypoints(self) -> KeypointSet:
        """The K keypoints that it predicts, by name and in order."""
        return self.checkpoint.spec.keypoints

    @property
    def input_size(self) -> InputSize:
        """The size it was trained at, height x width."""
        return self.checkpoint.spec.input_size

    def predict(
        self,
        image: str | os.PathLike[str] | NDArray[Any],
        boxes: NDArray[Any] | Sequence[Sequence[float]] | None = None,
        *,
        size: InputSize | str | None = None,
        policy: Policy = "native",
        flip: bool | None = None,
        decoder: DecoderChoice = "own",
    ) -> Keypoints:
        """Return keypoints (N, K, 2), x then y in image pixels, and their scores (N, K).

        `image` is a file, or pixels (H, W, 3) uint8 in BGR order, as OpenCV reads them; `boxes`
        (N, 4) are x1, y1, x2, y2 in pixels, without padding, by default one around the whole image.
        `size`, such as `256x192` (height x width), and the other options are by default those of
        the checkpoint. Raises `DataError` if image or boxes cannot be used, and
        `UnsupportedSizeError` or `EvaluationError` if the checkpoint cannot run at this size or has
        no such decoder.
        """
        pixels, spec = _pixels(image), self.checkpoint.spec
        bbox_xyxy = _boxes(boxes, pixels)
        chosen = InputSize.parse(size) if isinstance(size, str) else size or spec.input_size
        cell = self._cell(chosen, policy)
        (named,) = chosen_decoders(spec.codec, (decoder,))
        check_decoder(spec.codec, named)
        flip_test = spec.flip.test if flip is None else flip
        asked = CropRequest(chosen, cell.input_size, spec.crop)
        every = Boxes(bbox_xyxy, np.zeros(len(bbox_xyxy), dtype=np.int64))
        uploader = Uploader(torch.device(self.execution.device))
        points = np.zeros((len(bbox_xyxy), len(spec.keypoints), 2), dtype=np.float64)
        scores = np.zeros(points.shape[:2], dtype=np.float32)
        for start in range(0, len(bbox_xyxy), _BATCH):
            rows = np.arange(start, min(start + _BATCH, len(bbox_xyxy)))
            batch = CropBatch(_OneImage(pixels), every, rows, uploader)
            with torch.inference_mode():
                inputs, _ = batch.inputs(asked)
                answers = predict_outputs(cell, inputs, flip_test, apart=cell.flips_apart)
            outputs = tuple(answer.cpu().numpy() for answer in answers)
            decoded = decode_by(named, spec.codec, outputs, cell.output_size)
            center, scale = boxes_to_center_scale(bbox_xyxy[rows], chosen, spec.crop.padding)
            points[rows] = input_to_image(decoded.keypoints, center, scale, cell.output_size)
            scores[rows] = decoded.scores
        return points, scores

    def _cell(self, size: InputSize, policy: Policy) -> CellNetwork:
        """Return the network at a size, made ready the first time."""
        if (size, policy) not in self._ready:
            adapted = apply_policy(self._network, size, policy)
            parallelism = Parallelism(batch_size=_BATCH)
            self._ready[size, policy] = execute(adapted, self.execution, parallelism, _no_crops)
        return self._ready[size, policy]


def load_model(
    path: Path, spec_file: Path | None = None, execution: Execution | None = None
) -> Model:
    """Load a checkpoint and make its network ready for an engine.

    Raises what `load_checkpoint` raises, and `UnsupportedExecutionError` if the engine cannot run
    it.
    """
    execution = execution or Execution()
    if execution.precision == "int8":
        raise UnsupportedExecutionError(
            "A single image does not tell the ranges that int8 needs.",
            hint="Evaluate in int8 on a data set, whose first crops tell them.",
        )
    checkpoint = load_checkpoint(path, spec_file)
    check_execution(checkpoint.network, execution)
    return Model(checkpoint, execution, optimise(checkpoint.network, execution))


@dataclass(frozen=True, eq=False)
class _OneImage:
    """The images of a batch, of which there is one."""

    pixels: NDArray[np.uint8]

    def take(self, _index: int) -> NDArray[np.uint8]:
        """Return the image (H, W, 3) BGR."""
        return self.pixels


def _pixels(image: str | os.PathLike[str] | NDArray[Any]) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray):
        return read_image(Path(image))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise DataError(
            f"The image is an array of {image.dtype} of shape {image.shape}.",
            hint="Give pixels (H, W, 3) uint8 in BGR order, or the path of an image file.",
        )
    return np.ascontiguousarray(image, dtype=np.uint8)


def _boxes(
    boxes: NDArray[Any] | Sequence[Sequence[float]] | None, pixels: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Return boxes (N, 4) x1, y1, x2, y2."""
    if boxes is None:
        height, width = pixels.shape[:2]
        return np.array([[0, 0, width - 1, height - 1]], dtype=np.float32)
    hint = "Give boxes (N, 4): x1, y1, x2, y2 in pixels."
    try:
        found = np.asarray(boxes, dtype=np.float32)
    except (TypeError, ValueError):
        raise DataError("The boxes are no array of numbers.", hint=hint) from None
    if found.size == 0:
        return np.zeros((0, 4), dtype=np.float32)
    if found.ndim != 2 or found.shape[1] != 4:
        raise DataError(f"The boxes have the shape {found.shape}.", hint=hint)
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1) | (found[:, 2:] <= found[:, :2]).any(1))
    if len(bad):
        shown = ", ".join(f"{number:g}" for number in found[bad[0]])
        raise DataError(f"Box {bad[0]} ({shown}) is empty or not finite.", hint=hint)
    return found


def _no_crops() -> NDArray[np.float32]:
    raise AssertionError("only int8 needs crops")
