"""How decoding JPEG files at half size changes crops: the part of `scale.py` that decides on it.

libjpeg can leave out the finer half of the DCT, which takes less time. A crop that shrinks its box
by two or more has no use for those pixels, so it looks harmless.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
from measuring import table

import posebench.prediction.crop_batches
from posebench.datasets.coco import Instances, PoseDataset, ground_truth_instances, load_annotations
from posebench.datasets.images.files import dataset_image
from posebench.datasets.images.reading import read_image
from posebench.datasets.requests import DataRequest
from posebench.networks.sizes import InputSize
from posebench.prediction.crops import crop_image, cut_crops
from posebench.prediction.execution import Parallelism
from posebench.prediction.geometry import boxes_to_center_scale, crop_matrix
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Storage
from posebench.running.plan import Place, plan_cells
from posebench.running.run_pass import run_pass
from posebench.running.sources import suite_checkpoints
from posebench.running.workload import Workload, load_workload
from posebench.scoring.evaluate import ScoringOptions
from posebench.suites.suite import Suite

SIZES = (InputSize(64, 48), InputSize(128, 96), InputSize(256, 192))
PADDING = 1.25
# Pixel i of the half-size image lies between pixels 2 i and 2 i + 1 of the whole one.
_TO_WHOLE = np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])


@dataclass(frozen=True)
class Effect:
    """How the crops of one size differ; grey levels 0-255, seconds of reading all such images."""

    size: InputSize
    crops: int
    reduced: int
    changed: int
    largest: float
    mean: float
    whole_seconds: float
    reduced_seconds: float


def read_reduced(path: Path) -> np.ndarray:
    """Return the image decoded at half size."""
    data = np.fromfile(path, dtype=np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_REDUCED_COLOR_2))


def crop_reduced(
    image: np.ndarray, center: np.ndarray, scale: np.ndarray, size: InputSize, udp: bool
) -> np.ndarray:
    """Return the crop that `crop_image` cuts, from an image of half the size."""
    matrix = crop_matrix(center, scale, size, udp).astype(np.float64) @ _TO_WHOLE
    return cv2.warpAffine(image, matrix, (size.width, size.height), flags=cv2.INTER_LINEAR)


def reducible(dataset: PoseDataset, instances: Instances, size: InputSize) -> dict[Path, list[int]]:
    """Return the rows of each image whose crops all shrink by two or more."""
    _, scale = boxes_to_center_scale(instances.bbox_xyxy, size, PADDING)
    shrinks = (scale[:, 0] >= 2 * size.width) & (scale[:, 1] >= 2 * size.height)
    rows: dict[int, list[int]] = {}
    for row, index in enumerate(instances.image_index.tolist()):
        rows.setdefault(index, []).append(row)
    return {dataset.images[index].path: own for index, own in rows.items() if shrinks[own].all()}


def effect_on_crops(dataset: PoseDataset, instances: Instances, size: InputSize) -> Effect:
    """Compare crops of half-size images with those of whole ones."""
    center, scale = boxes_to_center_scale(instances.bbox_xyxy, size, PADDING)
    found = reducible(dataset, instances, size)
    differences: list[np.ndarray] = []
    seconds = [0.0, 0.0]
    for path, rows in found.items():
        start = time.perf_counter()
        whole = read_image(path)
        middle = time.perf_counter()
        half = read_reduced(path)
        seconds[0] += middle - start
        seconds[1] += time.perf_counter() - middle
        for row in rows:
            one = crop_image(whole, center[row], scale[row], size, udp=False).astype(float)
            other = crop_reduced(half, center[row], scale[row], size, udp=False)
            differences.append(np.abs(one - other))
    return Effect(
        size,
        crops=len(instances),
        reduced=len(differences),
        changed=sum(bool(each.any()) for each in differences),
        largest=max((float(each.max()) for each in differences), default=0.0),
        mean=float(np.mean(differences)) if differences else 0.0,
        whole_seconds=seconds[0],
        reduced_seconds=seconds[1],
    )


@contextmanager
def reduced_images(found: dict[Path, list[int]]) -> Iterator[None]:
    """Make posebench decode the images of `found` at half size."""
    halves: dict[int, np.ndarray] = {}  # keeps images alive, so that no id is used twice

    def read(dataset: PoseDataset, index: int) -> np.ndarray:
        path = dataset.images[index].path
        if path not in found:
            return dataset_image(dataset, index)
        half = read_reduced(path)
        halves[id(half)] = half
        return half

    def cut(images: list[np.ndarray], matrices: np.ndarray, size: InputSize) -> np.ndarray:
        moved = [
            matrix.astype(np.float64) @ _TO_WHOLE if id(image) in halves else matrix
            for image, matrix in zip(images, matrices, strict=True)
        ]
        return cut_crops(images, np.stack(moved), size)

    with mock.patch.multiple(posebench.prediction.crop_batches, dataset_image=read, cut_crops=cut):
        yield


def average_precision(checkpoint: Path, workload: Workload) -> float:
    """Return AP in points at the trained size."""
    suite, loaded = Suite("own", "own size", (str(checkpoint),)), LoadedCheckpoints()
    found, place = suite_checkpoints(suite, Path()), Place(Path(), Storage())
    cells = plan_cells(suite, found, [workload], place, loaded, lambda *_: None).cells
    ((_, cell),) = run_pass(cells, workload, Parallelism(), loaded, lambda *_: None)
    assert cell.result.metrics is not None and cell.result.metrics["AP"] is not None, cell.result
    return 100 * cell.result.metrics["AP"]


def section(annotations: Path, images: Path, checkpoint: Path | None) -> list[str]:
    """Return the lines of the page on decoding at half size."""
    dataset = load_annotations(annotations, images)
    instances = ground_truth_instances(dataset)
    effects = [effect_on_crops(dataset, instances, size) for size in SIZES]
    head = ["input size", "crops", "of half-size images", "changed", "largest, grey levels"]
    head += ["mean, grey levels", "reading those images, s", "at half size, s"]
    rows = [
        [
            str(each.size),
            str(each.crops),
            str(each.reduced),
            f"{each.changed / max(each.reduced, 1):.0%}",
            f"{each.largest:.0f}",
            f"{each.mean:.2f}",
            f"{each.whole_seconds:.2f}",
            f"{each.reduced_seconds:.2f}",
        ]
        for each in effects
    ]
    lines = [
        "Of the images whose crops all shrink by two or more, decoded at half size "
        "(`cv2.IMREAD_REDUCED_COLOR_2`):",
        "",
        *table(head, rows),
        "",
    ]
    if checkpoint is not None:
        lines += [_moved(annotations, images, checkpoint), ""]
    harmless = all(each.largest <= 1 for each in effects)
    said = (
        "No grey level moves by more than 1."
        if harmless
        else "It changes what a network sees: posebench does not offer it."
    )
    return [*lines, said]


def _moved(annotations: Path, images: Path, checkpoint: Path) -> str:
    request = DataRequest(dataset=str(annotations), images=images)
    workload = load_workload(request, ScoringOptions(), lambda *_: None)
    before = average_precision(checkpoint, workload)
    from posebench.checkpoints import load_checkpoint

    size = load_checkpoint(checkpoint).spec.input_size
    found = reducible(workload.dataset, workload.instances, size)
    with reduced_images(found):
        after = average_precision(checkpoint, workload)
    rows = sum(map(len, found.values()))
    return (
        f"AP of {checkpoint.stem} at {size}, where that changes {rows} of "
        f"{len(workload.instances)} crops: {before:.2f} whole, {after:.2f} at half size "
        f"({after - before:+.2f} points)."
    )
