"""The networks of `gpu.py`, with seeded weights, ready to run on a device."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from posebench.networks.codecs import HeatmapCodec, SimccCodec, own_decoder
from posebench.networks.model import PoseModel, build_model
from posebench.networks.policies import apply_policy
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec
from posebench.prediction.engines import execute, optimise
from posebench.prediction.execution import Execution, Parallelism
from posebench.prediction.predict import NetworkRun

_DECONVS = {"deconv_channels": (256,) * 3, "deconv_kernels": (4,) * 3}
_VIT = {"embed_dims": 768, "num_layers": 12, "num_heads": 12, "feedforward_channels": 3072}
_SIZE, _TINY_SIZE = InputSize(256, 192), InputSize(64, 48)


def _rtmpose(deepen: float, widen: float, size: InputSize) -> ModelSpec:
    backbone = BackboneSpec("cspnext", {"deepen_factor": deepen, "widen_factor": widen})
    head = HeadSpec("rtmcc", {"final_layer_kernel": 7, "gau": {}})
    return ModelSpec(backbone, head, SimccCodec(), size)


def _heatmap(family: str, options: dict[str, Any], head: dict[str, Any]) -> ModelSpec:
    return ModelSpec(
        BackboneSpec(family, options), HeadSpec("heatmap", head), HeatmapCodec(), _SIZE
    )


_SPECS = {
    "RTMPose-m": _rtmpose(0.67, 0.75, _SIZE),
    "ResNet-50 heatmap": _heatmap("resnet", {"depth": 50}, _DECONVS),
    "HRNet-W32": _heatmap("hrnet", {"width": 32}, {}),
    "ViTPose-B": _heatmap(
        "vit",
        {**_VIT, "img_size": str(_SIZE)},
        {"deconv_channels": (256,) * 2, "deconv_kernels": (4,) * 2},
    ),
    "tiny": _rtmpose(0.167, 0.125, _TINY_SIZE),
}
TINY = ("tiny",)
NETS = tuple(name for name in _SPECS if name not in TINY)


@cache
def _model(name: str) -> PoseModel:
    torch.manual_seed(0)
    model = build_model(_SPECS[name]).eval()
    for module in model.modules():
        # Torch's own initial values let features fade, so that no precision moves an answer.
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


def network_run(
    name: str, precision: Any, device: torch.device, engine: Any = "torch"
) -> NetworkRun:
    """Return a network that runs with the flip test at its trained size."""
    execution = Execution(engine, precision, str(device))
    network = optimise(_model(name), execution)
    adapted = apply_policy(network, network.spec.input_size, "native")
    cell = execute(adapted, execution, Parallelism(), lambda: None)  # type: ignore[arg-type, return-value]
    codec = cell.spec.codec
    return NetworkRun(cell, codec, cell.input_size, True, (own_decoder(codec),), device=str(device))
