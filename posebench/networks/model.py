"""`PoseModel`: backbone, neck and head under MMPose's names (`backbone.*`, `neck.*`, `head.*`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from torch import Tensor, nn

from posebench.errors import SpecError
from posebench.networks.backbones import Backbone, build_backbone, describe, size_divisor
from posebench.networks.backbones.cspnext import CSPNeXt
from posebench.networks.features import AnswerVectors, Features, read_answer_vectors, read_features
from posebench.networks.heads import build_head, settled_head
from posebench.networks.necks import CSPNeXtPAFPN, build_neck
from posebench.networks.sizes import InputSize
from posebench.networks.spec import ModelSpec


class Network(Protocol):
    """Anything that maps crops to outputs: a `PoseModel`, an exported graph, a cell's network."""

    @property
    def spec(self) -> ModelSpec:
        """The spec of the network, at its trained size."""
        ...

    @property
    def stride(self) -> int:
        """Pixels per cell of the backbone's features; input sides are multiples of it."""
        ...

    @property
    def fixed_size(self) -> InputSize | None:
        """The only input size it takes, or None; exported files may be fixed to one."""
        ...

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W) to outputs, as `PoseModel` does."""
        ...


class PoseModel(nn.Module):
    """A backbone and a head, with or without a neck between them."""

    def __init__(
        self,
        spec: ModelSpec,
        backbone: Backbone,
        head: nn.Module,
        neck: CSPNeXtPAFPN | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = backbone
        self.neck = neck
        self.head = head

    @property
    def stride(self) -> int:
        """Pixels per cell of the backbone's features."""
        return self.backbone.stride

    @property
    def fixed_size(self) -> InputSize | None:
        """None: the weights are at hand, and the head's kind says what the size locks."""
        return None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map normalised crops (N, 3, H, W) to outputs: a tuple of what the codec decodes.

        They are `(heatmaps,)`, (N, K, h, w); `(simcc_x, simcc_y)`, (N, K, bins_x) and
        (N, K, bins_y); or `(coordinates,)`, (N, K, 2), or (N, K, 4) with logits of deviations.
        """
        if self.neck is None:
            features = self.backbone(x)
        else:
            assert isinstance(self.backbone, CSPNeXt)
            features = self.neck(self.backbone.pyramid(x))
        outputs: tuple[Tensor, ...] = self.head(features)
        return outputs

    def features(self, x: Tensor) -> Features:
        """Return, by name, what normalised crops (N, 3, H, W) become on the way to the answer."""
        return read_features(self, x)

    def answer_vectors(self) -> AnswerVectors:
        """Return the vectors that were learned as answers: of keypoints, and of positions.

        Raises `UnsupportedExecutionError` if the head has no such vectors.
        """
        return read_answer_vectors(self)


def build_model(spec: ModelSpec) -> PoseModel:
    """Build the network of `spec` with torch's default weights.

    Works under `torch.device("meta")`. Raises `SpecError` if a family or its options are unknown,
    or if the backbone cannot run at the input size.
    """
    divisor, size = size_divisor(spec.backbone), spec.input_size
    if divisor is not None and (size.height % divisor or size.width % divisor):
        raise SpecError(
            f"{describe(spec.backbone)} takes input sides that are multiples of {divisor}, "
            f"not {size}.",
            hint="Correct input_size, for example 256x192.",
        )
    backbone = build_backbone(spec.backbone)
    spec = replace(spec, head=settled_head(spec, backbone.out_channels, backbone.stride))
    head = build_head(spec, backbone.out_channels, backbone.stride)
    neck = None if spec.neck is None else build_neck(spec.neck, backbone)
    return PoseModel(spec, backbone, head, neck)
