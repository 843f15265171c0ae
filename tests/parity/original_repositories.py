"""Runs the test scripts of the HRNet, SimpleBaseline and SimCC repositories, from checkouts.

POSEBENCH_ORIGINALS names a folder with the checkouts under their repositories' names. Their code
needs nothing that is not in posebench's own environment but einops; what it only imports is mocked.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn

from posebench.datasets.coco import Instances, PoseDataset
from posebench.datasets.keypoints import KeypointSet

HRNET = "deep-high-resolution-net.pytorch"
SIMPLE_BASELINE = "human-pose-estimation.pytorch"
SIMCC = "SimCC"
BATCH = 8
_OWN = ("models", "core", "utils", "dataset", "nms", "config")
# Imported by what runs, not called by it.
_MOCKED = ("torchvision", "json_tricks", "easydict", "scipy", "scipy.io", "nms", "nms.nms")


@dataclass(frozen=True)
class Case:
    """A test config of a repository, under the name that a published file would have."""

    repository: str
    config: str
    file: str
    instances: int = 8
    keypoints: str = "coco"


@dataclass(frozen=True)
class OriginalRun:
    """What a repository's test computed, in the order of the instances.

    `crops` are uint8 BGR (N, H, W, 3), `inputs` what was fed of them, `raw` the network's outputs,
    `decoded` those after flip average and softmax, `keypoints` in image pixels, `scores` (N, K).
    """

    crops: NDArray[np.uint8]
    inputs: Tensor
    raw: tuple[NDArray[np.float32], ...]
    decoded: tuple[NDArray[np.float32], ...]
    keypoints: NDArray[np.float32]
    scores: NDArray[np.float32]


class _Config(dict[str, Any]):
    """A mapping whose keys are attributes too, as yacs and easydict have it."""

    def __getattr__(self, name: str) -> Any:
        if name not in self:
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def checkouts() -> Path | None:
    """Return the folder of the checkouts, or None where there is none."""
    folder = os.environ.get("POSEBENCH_ORIGINALS")
    return Path(folder) if folder and Path(folder, HRNET).is_dir() else None


def commit_of(repository: Path) -> str:
    """Return the commit a checkout is at."""
    command = ["git", "-C", str(repository), "rev-parse", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def read_config(path: Path, flip: bool) -> Any:
    """Return a test config as the repository's code wants it."""
    config = yaml.safe_load(path.read_text())
    config["MODEL"].setdefault("STYLE", "pytorch")
    config["TEST"] |= {"FLIP_TEST": flip, "SHIFT_HEATMAP": True, "POST_PROCESS": True}
    config |= {"PRINT_FREQ": 1000, "DEBUG": {"DEBUG": False}}

    def wrapped(value: Any) -> Any:
        return (
            _Config({key: wrapped(inner) for key, inner in value.items()})
            if isinstance(value, dict)
            else value
        )

    return wrapped(config)


@contextlib.contextmanager
def imported(repository: Path) -> Iterator[SimpleNamespace]:
    """Import a repository's modules, which share their names with the others', for a while."""
    mocked = [name for name in _MOCKED if name not in sys.modules]
    sys.modules.update({name: mock.MagicMock(EasyDict=_Config) for name in mocked})
    sys.path.insert(0, str(repository / "lib"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield SimpleNamespace(
                models=importlib.import_module("models"),
                function=importlib.import_module("core.function"),
                transforms=importlib.import_module("utils.transforms"),
                coco=importlib.import_module("dataset.coco"),
            )
    finally:
        sys.path.remove(str(repository / "lib"))
        for name in list(sys.modules):
            if name in mocked or name.partition(".")[0] in _OWN:
                del sys.modules[name]


def build_network(modules: SimpleNamespace, config: Any, batch: Tensor) -> nn.Module:
    """Return a seeded network whose BatchNorm statistics are those of `batch`."""
    torch.manual_seed(0)
    model: nn.Module = getattr(modules.models, config.MODEL.NAME).get_pose_net(
        config, is_train=False
    )
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(batch)
    return model.eval()


def boxes_to_crops(
    modules: SimpleNamespace, config: Any, dataset: PoseDataset, instances: Instances
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Return BGR crops (N, H, W, 3), centres (N, 2) and scales (N, 2) of the repository."""
    size = np.array(config.MODEL.IMAGE_SIZE)
    maker = SimpleNamespace(aspect_ratio=size[0] / size[1], pixel_std=200)
    crops, centers, scales = [], [], []
    for (x1, y1, x2, y2), index in zip(instances.bbox_xyxy, instances.image_index, strict=True):
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imread(str(dataset.images[index].path), flags)
        center, scale = modules.coco.COCODataset._xywh2cs(maker, x1, y1, x2 - x1, y2 - y1)
        matrix = modules.transforms.get_affine_transform(center, scale, 0, size)
        sides = (int(size[0]), int(size[1]))
        crops.append(cv2.warpAffine(image, matrix, sides, flags=cv2.INTER_LINEAR))
        centers.append(center)
        scales.append(scale)
    return np.stack(crops), np.stack(centers), np.stack(scales)


def to_inputs(crops: NDArray[np.uint8], color_rgb: bool) -> Tensor:
    """Return (N, 3, H, W) as torchvision's `ToTensor` and `Normalize` make it of these crops."""
    ordered = crops[..., ::-1] if color_rgb else crops
    pixels = torch.from_numpy(np.ascontiguousarray(ordered.transpose(0, 3, 1, 2))).float().div(255)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (pixels - mean[:, None, None]) / std[:, None, None]


def run_original(
    case: Case,
    folder: Path,
    data: tuple[PoseDataset, Instances],
    keypoints: KeypointSet,
    checkpoint: Path,
    flip: bool,
) -> OriginalRun:
    """Write a checkpoint of seeded weights and run the repository's own validation on it."""
    repository = folder / case.repository
    config = read_config(repository / "experiments" / case.config, flip)
    with imported(repository) as modules:
        crops, centers, scales = boxes_to_crops(modules, config, *data)
        inputs = to_inputs(crops, config.DATASET.get("COLOR_RGB", False))
        model = build_network(modules, config, inputs[:BATCH])
        torch.save(model.state_dict(), checkpoint)
        passes, decoded, found = _validate(
            modules, config, model, keypoints, (inputs, centers, scales)
        )
    return OriginalRun(
        crops=crops,
        inputs=inputs,
        raw=_joined(passes[:: 2 if flip else 1]),
        decoded=_joined(decoded),
        keypoints=found[..., :2],
        scores=found[..., 2],
    )


def _validate(
    modules: SimpleNamespace,
    config: Any,
    model: nn.Module,
    keypoints: KeypointSet,
    crops: tuple[Tensor, NDArray[np.float32], NDArray[np.float32]],
) -> tuple[list[Any], list[Any], NDArray[np.float32]]:
    """Return each pass's outputs, what was decoded of each batch, and the predictions (N, K, 3)."""
    passes: list[Any] = []
    decoded: list[Any] = []
    found: list[NDArray[np.float32]] = []
    is_simcc = "mlp_head_x.weight" in model.state_dict()
    kind = config.MODEL.get("COORD_REPRESENTATION", "heatmap").replace("-", "_")
    name = "validate" if config.MODEL.get("COORD_REPRESENTATION") is None else f"validate_{kind}"
    model.register_forward_hook(lambda _model, _inputs, outputs: passes.append(outputs))

    def criterion(*arguments: Tensor) -> Tensor:
        decoded.append(tuple(part.clone() for part in arguments[: 2 if is_simcc else 1]))
        return torch.zeros(())

    def evaluate(_config: Any, predictions: Any, *_rest: Any) -> tuple[list[Any], float]:
        found.append(predictions)
        return [], 0.0

    dataset = mock.MagicMock(flip_pairs=[list(pair) for pair in keypoints.flip_pairs])
    dataset.__len__.return_value = len(crops[0])
    dataset.evaluate = evaluate
    loader = [_batch(crops, start, kind, config) for start in range(0, len(crops[0]), BATCH)]
    with mock.patch.object(Tensor, "cuda", lambda tensor, **_: tensor):
        getattr(modules.function, name)(config, loader, dataset, model, criterion, "", "")
    return passes, decoded, found[0]


def _batch(crops: Any, start: int, kind: str, config: Any) -> tuple[Any, ...]:
    """Return one batch as the repository's data loader has it, with targets that say nothing."""
    inputs, centers, scales = (part[start : start + BATCH] for part in crops)
    maps = (len(inputs), config.MODEL.NUM_JOINTS, inputs.shape[2] // 4, inputs.shape[3] // 4)
    targets = (torch.zeros(maps),) * (2 if kind == "sa_simdr" else 1)
    meta = {
        "center": torch.from_numpy(centers),
        "scale": torch.from_numpy(scales),
        "score": torch.ones(len(inputs)),
        "image": [""] * len(inputs),
    }
    return (inputs, *targets, torch.ones(maps[:2]), meta)


def _joined(batches: list[Any]) -> tuple[NDArray[np.float32], ...]:
    parts = [batch if isinstance(batch, tuple) else (batch,) for batch in batches]
    return tuple(torch.cat(outputs).numpy() for outputs in zip(*parts, strict=True))
