"""MMPose 1.3.2's `RegressionHead` (DeepPose): the mean of all features to coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from posebench.networks.codecs import RegressionCodec
from posebench.networks.codecs.regression import COORDINATES
from posebench.networks.heads.family import HeadFamily, Outputs, Surroundings
from posebench.networks.heads.output_layers import in_float32
from posebench.networks.loss_settings import LossSettings
from posebench.networks.shapes import Shapes
from posebench.networks.spec import BackboneSpec


@dataclass(frozen=True)
class RegressionOptions:
    """Options of the kinds `regression` and `rle`: there are none."""


class RegressionHead(nn.Module):
    """Global average pooling, which is MMPose's neck, and one linear layer.

    Pooling leaves one vector whatever the input's size, so no layer is size-locked.
    """

    def __init__(self, in_channels: int, keypoints: int, values: int = COORDINATES) -> None:
        super().__init__()
        self.keypoints, self.values = keypoints, values
        self.fc = nn.Linear(in_channels, keypoints * values)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Map features (N, C, h, w) to `(coordinates,)`, (N, K, values)."""
        pooled = functional.adaptive_avg_pool2d(features, 1).flatten(1)
        values = in_float32(self.fc, pooled.float())
        return (values.reshape(-1, self.keypoints, self.values),)


def build(_options: RegressionOptions, around: Surroundings) -> RegressionHead:
    """Build the head of two values for each keypoint."""
    return RegressionHead(around.in_channels, around.keypoints)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    """Return no options for a head of one linear layer with x and y for each keypoint, or None."""
    rows = output_rows(shapes)
    return {} if rows and rows % COORDINATES == 0 else None


def output_rows(shapes: Shapes) -> int:
    """Return the outputs of a head's only linear layer, or 0 if it has another layer or none."""
    weight = shapes.get("fc.weight", ())
    return weight[0] if len(weight) == 2 else 0


def smooth_l1(outputs: Outputs, targets: Outputs, weight: Tensor, settings: LossSettings) -> Tensor:
    """Return the L1 distance summed over x and y, averaged over labelled keypoints.

    Below `smooth_l1_beta`, in fractions of the input, its square takes its place. With 1 it is
    MMPose's `SmoothL1Loss`, which averages over 2 · N · K values instead: as no error is beyond
    the input, that is half the squared error.
    """
    found = outputs[0][..., :COORDINATES].float()
    beta = settings.smooth_l1_beta
    distance = functional.smooth_l1_loss(found, targets[0], reduction="none", beta=beta).sum(-1)
    return (distance * weight).sum() / weight.sum().clamp(min=1)


REGRESSION = HeadFamily(
    options=RegressionOptions,
    build=build,
    recognise=recognise,
    channels=lambda shapes: output_rows(shapes) // COORDINATES,
    codec=RegressionCodec,
    loss=smooth_l1,
)
