"""Runs posebench on what the reference ran on, and measures how far apart they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from peer_families import is_regression, rescoring_of
from peer_reference import Dump, Material, Peer, tag_of

from posebench.checkpoints import load_checkpoint
from posebench.datasets.boxes import detected_instances
from posebench.datasets.coco import Instances, PoseDataset, ground_truth_instances, load_annotations
from posebench.datasets.images.reading import read_image
from posebench.networks.codecs import own_decoder
from posebench.networks.model import Network
from posebench.networks.policies import apply_policy
from posebench.networks.sizes import InputSize
from posebench.networks.spec import CropSpec, ModelSpec
from posebench.prediction.crops import crop_image, normalise
from posebench.prediction.engines import execute, optimise
from posebench.prediction.execution import Engine, Execution, Parallelism
from posebench.prediction.flip import flip_average, ready
from posebench.prediction.geometry import boxes_to_center_scale
from posebench.prediction.predict import NetworkRun, predict
from posebench.prediction.predictions import Predictions
from posebench.scoring.evaluate import ScoringOptions, evaluate
from posebench.scoring.matching.metrics import Metrics

# The reference's names of the numbers, after "coco/" and "crowdpose/", by posebench's.
_COCO_METRICS = {
    "AP": "AP",
    "AP50": "AP .5",
    "AP75": "AP .75",
    "AP(M)": "AP (M)",
    "AP(L)": "AP (L)",
    "AR": "AR",
    "AR50": "AR .5",
    "AR75": "AR .75",
    "AR(M)": "AR (M)",
    "AR(L)": "AR (L)",
}
_CROWDPOSE_METRICS = {
    **{name: _COCO_METRICS[name] for name in ("AP", "AP50", "AP75", "AR", "AR50", "AR75")},
    **{f"AP({group})": f"AP({group[0].upper()})" for group in ("easy", "medium", "hard")},
}
METRICS = {"coco": _COCO_METRICS, "crowdpose": _CROWDPOSE_METRICS}
BATCH = 8
# Of the largest output: less than this no one asks for the reason of.
NOTABLE = 1e-4
# Instances, about, that a network is run for in float64.
ROUNDED = 12
# Draws of noise, and the input pixels below which an answer stays what it is under them.
NOISE_DRAWS = 8
STEADY = 0.002


@dataclass(frozen=True)
class Row:
    """One comparison; differences are maxima of absolute values.

    `crop` in grey levels; `raw` relative to the largest output, and so is `rounding`, how far the
    published network in float32 is from itself in float64 on some of the instances, measured where
    raw outputs differ by more than `NOTABLE`; `keypoint` in pixels, without `ties` keypoints whose
    answer hangs on less than the difference of the outputs; `keypoint_all` with them; `metric` over
    the ten COCO or nine CrowdPose numbers, None where the images are not annotated for the
    network's keypoints.
    """

    family: str
    engine: Engine
    boxes: str
    flip: bool
    instances: int
    crop: float
    raw: float
    rounding: float | None
    keypoint: float
    keypoint_all: float
    ties: int
    keypoints: int
    score: float
    metric: float | None
    ap: float | None
    peer_ap: float | None


@dataclass(frozen=True)
class ScoringRow:
    """The ten COCO numbers of one set of noisy, repeated ground truth; `metric` is their gap."""

    seed: int
    poses: int
    metric: float
    ap: float
    peer_ap: float


def load_data(material: Material, boxes: str) -> tuple[PoseDataset, Instances]:
    """Return the data set and the instance list of `gt` or `detected` boxes."""
    dataset = load_annotations(material.annotations, material.images)
    if boxes == "detected":
        return dataset, detected_instances(dataset, material.detected_boxes)
    return dataset, ground_truth_instances(dataset)


def compare(peer: Peer, family: str, engine: Engine, boxes: str, flip: bool) -> Row:
    """Run one checkpoint through posebench and compare each stage with the reference's dump."""
    dump, material = peer.dump(family, boxes), peer.material(family)
    dataset, instances = load_data(material, boxes)
    path = peer.checkpoint(family)
    raw, predictions = run_posebench(path, engine, dataset, instances, flip)
    np.testing.assert_array_equal(predictions.ids, dump.arrays["ids"])
    np.testing.assert_array_equal(predictions.image_ids, dump.arrays["img_ids"])
    tag = tag_of(flip)
    peer_raw = dump.raw(flip)
    raw_gap = max(largest(a - b) for a, b in zip(raw, peer_raw, strict=True))
    largest_output = max(largest(output) for output in peer_raw)
    moved = np.abs(predictions.keypoints - dump.arrays[f"keypoints_{tag}"]).max(axis=-1)
    margin = 2 * gap_by_keypoint(raw, peer_raw, moved.shape)
    ties = np.zeros(moved.shape, dtype=bool)
    if not is_regression(family):
        # Of the three channels that UDP-regress has for a keypoint the first one decides.
        channels = peer_raw[0].shape[1] // moved.shape[1]
        ties |= undecided(tuple(output[:, ::channels] for output in peer_raw), margin)
        ties |= unsteady(load_checkpoint(path).spec, peer_raw, margin)
    gap, ap, peer_ap = None, None, None
    if material.scored:
        metrics = evaluate(dataset, predictions, ScoringOptions(rescoring_of(family))).metrics
        gap, ap, peer_ap = metric_gap(metrics, dump.metrics[tag], dataset.kind)
    return Row(
        family=family,
        engine=engine,
        boxes=boxes,
        flip=flip,
        instances=len(instances),
        crop=crop_gap(dump, dataset, instances, load_checkpoint(path).spec.crop),
        raw=raw_gap / largest_output,
        rounding=None
        if raw_gap <= NOTABLE * largest_output
        else rounding(path, dataset, instances),
        keypoint=float(moved[~ties].max(initial=0.0)),
        keypoint_all=float(moved.max()),
        ties=int(ties.sum()),
        keypoints=ties.size,
        score=largest(predictions.keypoint_scores - dump.arrays[f"scores_{tag}"])
        / max(largest_output, 1.0),
        metric=gap,
        ap=ap,
        peer_ap=peer_ap,
    )


def rounding(path: Path, dataset: PoseDataset, instances: Instances) -> float:
    """Return the largest difference between float32 and float64, of the largest output."""
    network = load_checkpoint(path).network
    assert isinstance(network, torch.nn.Module)
    spec = network.spec
    size, step = spec.input_size, max(len(instances) // ROUNDED, 1)
    crops = []
    for row in range(0, len(instances), step):
        box = instances.bbox_xyxy[row : row + 1]
        center, scale = boxes_to_center_scale(box, size, spec.crop.padding)
        image = read_image(dataset.images[instances.image_index[row]].path)
        crops.append(crop_image(image, center[0], scale[0], size, udp=spec.crop.udp))
    inputs = torch.from_numpy(normalise(np.stack(crops), spec.crop))
    with torch.inference_mode():
        single = network(inputs)
        double = network.double()(inputs.double())
    pairs = zip(single, double, strict=True)
    return max(float((one - two).abs().max() / two.abs().max()) for one, two in pairs)


def compare_scoring(peer: Peer, seed: int) -> ScoringRow:
    """Score the same noisy poses on both sides: rescoring, NMS and evaluator alone."""
    arrays, peer_values = peer.scored_jitter(seed)
    predictions = Predictions(
        image_ids=arrays["img_ids"],
        ids=arrays["ids"],
        keypoints=arrays["keypoints"],
        keypoint_scores=arrays["scores"],
        bbox_xyxy=arrays["bboxes"],
        bbox_scores=arrays["bbox_scores"],
        areas=arrays["bbox_scales"].prod(axis=1),
    )
    dataset, _ = load_data(peer.material("td-hm_res50"), "gt")
    metrics = evaluate(dataset, predictions).metrics
    return ScoringRow(seed, len(predictions), *metric_gap(metrics, peer_values, dataset.kind))


def metric_gap(
    metrics: Metrics, peer_values: Mapping[str, float], kind: str
) -> tuple[float, float, float]:
    """Return the largest difference over the numbers of a kind of data, AP, and the peer's AP."""
    # Where there is no such person the reference says -1, posebench None.
    pairs = {
        name: (-1.0 if (value := metrics.values[name]) is None else value, other)
        for name, other in METRICS[kind].items()
    }
    gaps = [abs(value - peer_values[f"{kind}/{other}"]) for value, other in pairs.values()]
    return max(gaps), pairs["AP"][0], peer_values[f"{kind}/AP"]


def run_posebench(
    path: Path, engine: Engine, dataset: PoseDataset, instances: Instances, flip: bool
) -> tuple[tuple[NDArray[np.float32], ...], Predictions]:
    """Return the outputs that were decoded and the predictions, in the instances' order."""
    spec, execution = load_checkpoint(path).spec, Execution(engine)
    network = optimise(load_checkpoint(path).network, execution)
    cell = execute(
        apply_policy(network, spec.input_size, "native"), execution, Parallelism(), uncalibrated
    )
    recorded = Recorded(cell.network)
    decoder = own_decoder(spec.codec)
    network = replace(cell, network=recorded)
    run = NetworkRun(network, spec.codec, spec.input_size, flip, (decoder,))
    parallelism = Parallelism(BATCH)
    done = predict(
        {"run": run}, dataset, instances, parallelism=parallelism, progress=lambda _: None
    )["run"][decoder]
    if done.predictions is None:
        raise AssertionError(f"the cell failed: {done.failure}")
    width = spec.input_size.width
    if flip and cell.flips_apart:
        answers = recorded.answers
        outputs = flip_average(joined(answers[::2]), joined(answers[1::2]), spec, width)
    elif flip:
        halves = [
            [tuple(output.chunk(2)[half] for output in answer) for answer in recorded.answers]
            for half in (0, 1)
        ]
        outputs = flip_average(joined(halves[0]), joined(halves[1]), spec, width)
    else:
        outputs = ready(joined(recorded.answers), spec)
    place = np.argsort(np.argsort(instances.image_index, kind="stable"), kind="stable")
    return tuple(output.numpy()[place] for output in outputs), done.predictions


def uncalibrated() -> NDArray[np.float32]:
    raise AssertionError("float32 needs no calibration")


@dataclass(frozen=True)
class Recorded:
    """A network, and what it answered so far."""

    network: Network
    answers: list[tuple[torch.Tensor, ...]] = field(default_factory=list)

    @property
    def spec(self) -> ModelSpec:
        return self.network.spec

    @property
    def stride(self) -> int:
        return self.network.stride

    @property
    def fixed_size(self) -> InputSize | None:
        return self.network.fixed_size

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.answers.append(self.network(x))
        return self.answers[-1]


def joined(batches: list[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
    """Return the outputs of all batches as one."""
    return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))


def crop_gap(dump: Dump, dataset: PoseDataset, instances: Instances, spec: CropSpec) -> float:
    """Return the largest difference of a pixel of a crop, in grey levels."""
    peer_crops = dump.arrays["inputs_u8_bgr"].transpose(0, 2, 3, 1)
    size = InputSize(*peer_crops.shape[1:3])
    center, scale = boxes_to_center_scale(instances.bbox_xyxy, size, spec.padding)
    gap = 0.0
    for row, index in enumerate(instances.image_index):
        image = read_image(dataset.images[index].path)
        crop = crop_image(image, center[row], scale[row], size, udp=spec.udp)
        gap = max(gap, largest(crop.astype(np.int64) - peer_crops[row]))
    return gap


def gap_by_keypoint(
    outputs: tuple[NDArray[np.float32], ...],
    others: tuple[NDArray[np.float32], ...],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Return (N, K) the largest difference of two networks' outputs for each keypoint."""
    gaps = [
        np.abs(one - other).reshape(*shape, -1).max(axis=-1)
        for one, other in zip(outputs, others, strict=True)
    ]
    largest_gaps: NDArray[np.float32] = np.maximum.reduce(gaps)
    return largest_gaps


def unsteady(
    spec: ModelSpec, outputs: tuple[NDArray[np.float32], ...], margin: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Tell (N, K) whether noise of `margin` (N, K) in the outputs moves the decoded answer.

    A Newton step on a map that is all but flat, as random weights make them, goes anywhere.
    """
    if not margin.any():
        return np.zeros(margin.shape, dtype=bool)
    rng, size = np.random.default_rng(0), spec.input_size
    expected = spec.codec.decode(outputs, size).keypoints
    moved = np.zeros(margin.shape, dtype=bool)
    for _ in range(NOISE_DRAWS):
        noisy = []
        for output in outputs:
            wide = margin.repeat(output.shape[1] // margin.shape[1], axis=1)
            wide = wide.reshape(*wide.shape, *(1,) * (output.ndim - 2))
            noisy.append(output + wide * rng.choice([-1, 1], output.shape).astype(np.float32))
        found = spec.codec.decode(tuple(noisy), size).keypoints
        moved |= np.abs(found - expected).max(axis=-1) > STEADY
    return moved


def undecided(
    outputs: tuple[NDArray[np.float32], ...], margin: NDArray[np.float32] | float
) -> NDArray[np.bool_]:
    """Tell (N, K) whether a change of the outputs below `margin` could move the answer.

    The margin is one for all keypoints, or (N, K).

    That is so if the runner-up is that near the peak, if the score is that near 0, or, for
    heatmaps, if the neighbours that the quarter offset compares are that near each other.
    """
    near = np.zeros(outputs[0].shape[:2], dtype=bool)
    scores = []
    for output in outputs:
        flat = output.reshape(*output.shape[:2], -1)
        second, first = np.moveaxis(np.sort(flat, axis=-1)[..., -2:], -1, 0)
        near |= first - second <= margin
        scores.append(first)
    near |= np.abs(np.minimum.reduce(scores)) <= margin
    if len(outputs) == 1:
        near |= offset_undecided(outputs[0], margin)
    return near


def offset_undecided(
    heatmaps: NDArray[np.float32], margin: NDArray[np.float32] | float
) -> NDArray[np.bool_]:
    """Tell (N, K) whether the peak's left and right, or upper and lower, neighbours are alike."""
    near = np.zeros(heatmaps.shape[:2], dtype=bool)
    margins = np.broadcast_to(margin, near.shape)
    height, width = heatmaps.shape[2:]
    for n, k in np.ndindex(near.shape):
        y, x = np.unravel_index(heatmaps[n, k].argmax(), (height, width))
        line, column = heatmaps[n, k, y], heatmaps[n, k, :, x]
        for values, at in ((line, x), (column, y)):
            if 1 < at < len(values) - 1:
                near[n, k] |= abs(values[at + 1] - values[at - 1]) <= margins[n, k]
    return near


def largest(values: NDArray[Any]) -> float:
    """Return the largest absolute value."""
    return float(np.abs(values).max())
