"""Networks in torch: as published, or optimised without changing their answers."""

from __future__ import annotations

import copy
import logging
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from posebench.networks.model import Network, PoseModel
from posebench.networks.sizes import InputSize
from posebench.networks.spec import ModelSpec
from posebench.prediction.engines.folding import folded
from posebench.prediction.engines.probing import relative_gap, trial_crops
from posebench.prediction.execution import Execution, Precision

_log = logging.getLogger(__name__)
# How far an optimised network's outputs of `trial_crops` may lie from the published one's, relative
# to the largest one.
TOLERANCE = 1e-4
DTYPES: dict[Precision, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}
_WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True)
class TorchNetwork:
    """A network on a device, with crops in its memory layout.

    With a `dtype` it runs under autocast, except for the output layers (`heads`), whose rounding
    would move keypoints most.
    """

    network: Network
    device: torch.device
    layout: torch.memory_format
    dtype: torch.dtype | None = None

    @property
    def spec(self) -> ModelSpec:
        """What the network is, at its trained size."""
        return self.network.spec

    @property
    def stride(self) -> int:
        """Pixels per cell of the backbone's features."""
        return self.network.stride

    @property
    def fixed_size(self) -> InputSize | None:
        """The only input size that the network takes, or None."""
        return self.network.fixed_size

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W), float32, to float32 outputs on the device."""
        x = x.to(self.device).contiguous(memory_format=self.layout)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None):
            outputs = self.network(x)
        return tuple(output.float() for output in outputs)


def optimised(model: PoseModel, execution: Execution, crops: Tensor | None = None) -> PoseModel:
    """Return a copy of `model` that answers the same, faster, on the device of `execution`.

    BatchNorm is folded, weights lie channels-last, and those of the backbone are in the precision
    asked for. A network stays as published where folding moves its outputs of `trial_crops`, or of
    `crops` (N, 3, H, W) of the run at its trained size, by more than `TOLERANCE` of the largest, as
    it does for some untrained ones. That is no bound for the run's other crops: keypoints of
    published networks were seen to move by up to 4e-4 pixels.
    """
    result = folded(model)
    for parameter in result.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    moved = _gap(model, result, crops)
    if not moved <= TOLERANCE:
        _log.info("BatchNorm is not folded: that would move outputs by %.1e of the largest.", moved)
        result = copy.deepcopy(model).eval()
    dtype = DTYPES.get(execution.precision)
    # Exports are made from float32; their engines choose the precision.
    if dtype is not None and execution.engine != "openvino":
        for name, module in result.named_modules():
            if isinstance(module, _WEIGHTED) and not name.startswith("head."):
                module.to(dtype)
    return result.to(execution.device)


def is_optimised(model: PoseModel) -> bool:
    """Tell whether a network's weights lie channels-last, as `optimised` leaves them."""
    return any(
        parameter.is_contiguous(memory_format=torch.channels_last) and not parameter.is_contiguous()
        for parameter in model.parameters()
        if parameter.ndim == 4
    )


def _gap(model: PoseModel, other: PoseModel, crops: Tensor | None) -> float:
    """Return the largest difference of two networks' answers to crops, as `relative_gap`."""
    trials = [trial_crops(model.spec.input_size), *([] if crops is None else [crops])]
    with torch.inference_mode():
        gaps = [relative_gap(model(batch), other(batch)) for batch in trials]
    # A gap that is not a number is larger than any.
    return max(gaps, key=lambda gap: (math.isnan(gap), gap))
