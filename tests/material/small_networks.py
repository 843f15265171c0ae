"""Small networks, and files as MMPose writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import HeatmapCodec, RegressionCodec, SimccCodec
from posebench.networks.model import PoseModel, build_model
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

SIZE = InputSize(96, 64)
TINY = BackboneSpec("cspnext", {"deepen_factor": 0.167, "widen_factor": 0.125})

SPECS: dict[str, ModelSpec] = {
    "rtmcc": ModelSpec(
        TINY,
        HeadSpec(
            "rtmcc",
            {"final_layer_kernel": 7, "gau": {"hidden_dims": 32, "s": 16, "expansion_factor": 2.0}},
        ),
        SimccCodec(),
        SIZE,
    ),
    "simcc": ModelSpec(
        TINY,
        HeadSpec("simcc", {"deconv_channels": (8, 8), "deconv_kernels": (4, 4)}),
        SimccCodec(sigma=(6.0, 6.0)),
        SIZE,
    ),
    "heatmap": ModelSpec(
        TINY,
        HeadSpec("heatmap", {"deconv_channels": (8, 6), "deconv_kernels": (4, 4)}),
        HeatmapCodec(),
        SIZE,
    ),
    "regression": ModelSpec(TINY, HeadSpec("regression"), RegressionCodec(), SIZE),
    "rle": ModelSpec(TINY, HeadSpec("rle"), RegressionCodec(), SIZE),
}


def make_model(kind: str, seed: int = 0) -> PoseModel:
    """Return a small network with seeded weights and BatchNorm statistics."""
    model = build_model(SPECS[kind])
    initialise(model, seed)
    generator = torch.Generator().manual_seed(seed)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)
    return model.eval()


def config_text(kind: str) -> str:
    """Return a config as MMEngine's `pretty_text` prints it, for a small network."""
    codec = {
        "rtmcc": "dict(input_size=(64, 96), sigma=(4.9, 5.66), simcc_split_ratio=2.0,"
        " type='SimCCLabel', normalize=False, use_dark=False)",
        "simcc": "dict(input_size=(64, 96), sigma=6.0, simcc_split_ratio=2.0, type='SimCCLabel')",
        "heatmap": "dict(input_size=(64, 96), heatmap_size=(8, 12), sigma=1.5, type='MSRAHeatmap')",
        "regression": "dict(input_size=(64, 96), type='RegressionLabel')",
        "rle": "dict(input_size=(64, 96), type='RegressionLabel')",
    }[kind]
    head = {
        "rtmcc": "RTMCCHead",
        "simcc": "SimCCHead",
        "heatmap": "HeatmapHead",
        "regression": "RegressionHead",
        "rle": "RLEHead",
    }[kind]
    neck = "neck=dict(type='GlobalAveragePooling')," if codec.endswith("'RegressionLabel')") else ""
    return f"""codec = {codec}
model = dict(
    type='TopdownPoseEstimator',
    backbone=dict(_scope_='mmdet', type='CSPNeXt'),
    data_preprocessor=dict(
        bgr_to_rgb=True, mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375],
        type='PoseDataPreprocessor'),
    {neck}
    head=dict(type='{head}', decoder=codec),
    test_cfg=dict(flip_mode='heatmap', flip_test=True, shift_heatmap=True))
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale', padding=1.1),
    dict(input_size=(64, 96), type='TopdownAffine', use_udp=True),
]
test_dataloader = dict(dataset=dict(type='CocoDataset', pipeline=val_pipeline))
"""


def save_mmpose(path: Path, kind: str, legacy: bool = True, **meta: Any) -> PoseModel:
    """Write a small network as MMPose publishes its own, and return it."""
    model = make_model(kind)
    meta = {"cfg": config_text(kind), "epoch": 3, **meta}
    torch.save(
        {"meta": meta, "state_dict": model.state_dict()},
        path,
        _use_new_zipfile_serialization=not legacy,
    )
    return model


def make_crops(count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 3, SIZE.height, SIZE.width, generator=generator)
