"""The embedded networks, whose weights were trained, as files and configs that MMPose reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from posebench.checkpoints import load_checkpoint
from posebench.datasets.requests import synthetic_folder
from posebench.networks.model import PoseModel
from posebench.networks.spec import ModelSpec
from posebench.zoo import resolve


@dataclass(frozen=True)
class Trained:
    """An embedded checkpoint under one of MMPose's codecs; `udp` is that of the crop."""

    name: str
    codec: dict[str, Any]
    udp: bool = False


_BLUR = {"sigma": 1.25, "blur_kernel_size": 7}
_MSRA = {"type": "MSRAHeatmap", "sigma": 1.25, "heatmap_size": (24, 32), "blur_kernel_size": 7}
TRAINED: dict[str, Trained] = {
    "heatmap-l, DARK": Trained("heatmap-l", {**_MSRA, "unbiased": True}),
    "heatmap-l, quarter offset": Trained("heatmap-l", _MSRA),
    "heatmap-l, UDP": Trained(
        "heatmap-l", {"type": "UDPHeatmap", "heatmap_size": (24, 32), **_BLUR}
    ),
    "simcc-l": Trained(
        "simcc-l", {"type": "SimCCLabel", "simcc_split_ratio": 2.0, "sigma": (8.0, 8.0),
                    "normalize": False, "use_dark": False},
    ),
}  # fmt: skip


def synthetic_data() -> tuple[Path, Path]:
    """Return the annotations and the images of the rendered people, made on first use."""
    folder = synthetic_folder("standard", "val", lambda _done, _total: None)
    (annotations,) = (folder / "annotations").glob("person_keypoints_*.json")
    return annotations, next(path for path in folder.iterdir() if path.name.startswith("val"))


def write_trained(family: str, folder: Path) -> tuple[Path, Path]:
    """Write an embedded network's weights and config as MMPose has them, and return both paths."""
    trained = TRAINED[family]
    checkpoint = load_checkpoint(resolve(trained.name))
    assert isinstance(checkpoint.network, PoseModel)
    stem = "_".join(family.replace(",", "").lower().split())
    config, weights = folder / f"{stem}.py", folder / f"{stem}.pth"
    text = _config(checkpoint.spec, trained)
    config.write_text(text)
    torch.save({"meta": {"cfg": text}, "state_dict": checkpoint.network.state_dict()}, weights)
    return weights, config


def _config(spec: ModelSpec, trained: Trained) -> str:
    """Return the text of a config: assignments of literals, as MMEngine writes them."""
    size = (spec.input_size.width, spec.input_size.height)
    codec = {**trained.codec, "input_size": size}
    crop = {"type": "TopdownAffine", "input_size": size, "use_udp": trained.udp}
    plain = ("LoadImage", "GetBBoxCenterScale", "PackPoseInputs")
    load, center, pack = ({"type": name} for name in plain)
    pipeline = [load, center, crop, pack]
    dataset = {
        "type": "CocoDataset", "data_root": "", "data_mode": "topdown", "ann_file": "",
        "data_prefix": {"img": ""}, "test_mode": True, "pipeline": pipeline,
    }  # fmt: skip
    values = {
        "codec": codec,
        "model": {
            "type": "TopdownPoseEstimator",
            "data_preprocessor": {
                "type": "PoseDataPreprocessor", "mean": list(spec.crop.mean),
                "std": list(spec.crop.std), "bgr_to_rgb": True,
            },
            "backbone": _backbone(spec),
            "head": _head(spec, codec),
            "test_cfg": {
                "flip_test": True, "flip_mode": "heatmap",
                "shift_heatmap": spec.flip.shift_heatmap,
            },
        },
        "test_dataloader": {"dataset": dataset},
        "test_evaluator": {"type": "CocoMetric", "ann_file": ""},
    }  # fmt: skip
    return "\n".join(f"{name} = {value!r}" for name, value in values.items()) + "\n"


def _backbone(spec: ModelSpec) -> dict[str, Any]:
    options = spec.backbone.options
    stages, channels = options["out_stage"], options["base_channels"]
    return {
        "type": "ResNet", "depth": options["depth"], "num_stages": stages,
        "strides": (1, 2, 2, 2)[:stages], "dilations": (1,) * stages,
        "out_indices": (stages - 1,), "stem_channels": channels, "base_channels": channels,
    }  # fmt: skip


def _head(spec: ModelSpec, codec: dict[str, Any]) -> dict[str, Any]:
    options, codec_options = spec.head.options, {"decoder": codec, "out_channels": 17}
    stages, channels = spec.backbone.options["out_stage"], spec.backbone.options["base_channels"]
    common = {**codec_options, "in_channels": channels * 2 ** (stages - 1)}
    if spec.paradigm == "heatmap":
        return {
            **common, "type": "HeatmapHead",
            "deconv_out_channels": tuple(options["deconv_channels"]),
            "deconv_kernel_sizes": tuple(options["deconv_kernels"]),
        }  # fmt: skip
    width, height = codec["input_size"]
    stride = 2 ** (stages + 1)
    return {
        **common, "type": "SimCCHead", "input_size": (width, height),
        "in_featuremap_size": (width // stride, height // stride),
        "simcc_split_ratio": codec["simcc_split_ratio"], "deconv_out_channels": None,
    }  # fmt: skip
