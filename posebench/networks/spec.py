"""`ModelSpec`: everything besides the weights that decides what a checkpoint computes.

Plain frozen records without torch, so that results and tables can be read without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from posebench.datasets.keypoints import COCO, KeypointSet, load_keypoint_set
from posebench.errors import SpecError
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.files.yaml_records import read_yaml
from posebench.networks.codecs import Codec, HeatmapCodec, SimccCodec
from posebench.networks.sizes import InputSize

Paradigm = Literal["heatmap", "simcc"]
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone family and its options; each family's file defines and checks them."""

    family: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GauSpec:
    """The gated attention unit of RTMCC heads (`gau_cfg` of MMPose)."""

    hidden_dims: int = 256
    s: int = 128
    expansion_factor: float = 2.0


@dataclass(frozen=True)
class NeckSpec:
    """The path aggregation between CSPNeXt and an `rtmw` head; `blocks` per layer."""

    kind: Literal["cspnext-pafpn"] = "cspnext-pafpn"
    blocks: int = 2

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise SpecError("Neck: `blocks` must be 1 or more.")


@dataclass(frozen=True)
class HeadSpec:
    """A head by its kind: `heatmap`, `simcc` (flatten + linear), `rtmcc` or `rtmw` (with GAU).

    `deconv_channels` lists the output channels of the transposed convolutions in front of the
    final layer (empty: none), `deconv_kernels` and `deconv_groups` go with it; `conv_channels` and
    `conv_kernels` are those of the convolutions between the two. `upsample` above 1 puts a ReLU and
    a bilinear enlargement by that factor in front (ViTPose's simple head). A `simcc` head flattens
    `channels_per_keypoint` maps of each keypoint into one vector.
    """

    kind: Literal["heatmap", "simcc", "rtmcc", "rtmw"]
    deconv_channels: tuple[int, ...] = ()
    deconv_kernels: tuple[int, ...] = ()
    deconv_groups: tuple[int, ...] = ()
    conv_channels: tuple[int, ...] = ()
    conv_kernels: tuple[int, ...] = ()
    final_layer_kernel: int = 1
    upsample: int = 1
    channels_per_keypoint: int = 1
    gau: GauSpec | None = None

    def __post_init__(self) -> None:
        count = len(self.deconv_channels)
        numbers = (*self.deconv_channels, *self.deconv_kernels, *self.deconv_groups)
        convolutions = (*self.conv_channels, *self.conv_kernels)
        factors = (self.final_layer_kernel, self.upsample, self.channels_per_keypoint)
        if min((*numbers, *convolutions, *factors)) < 1:
            raise SpecError("Head: channels, kernels, groups and upsample must be 1 or more.")
        if self.upsample > 1 and self.kind != "heatmap":
            raise SpecError("Head: `upsample` belongs to the kind `heatmap`.")
        if len(self.deconv_kernels) != count:
            raise SpecError(
                f"Head: {count} deconv_channels but {len(self.deconv_kernels)} kernels."
            )
        if self.deconv_groups and len(self.deconv_groups) != count:
            raise SpecError(f"Head: {count} deconv_channels, {len(self.deconv_groups)} groups.")
        if self.channels_per_keypoint > 1 and self.kind != "simcc":
            raise SpecError("Head: `channels_per_keypoint` belongs to the kind `simcc` alone.")
        if len(self.conv_channels) != len(self.conv_kernels):
            raise SpecError(
                f"Head: {len(self.conv_channels)} conv_channels, {len(self.conv_kernels)} kernels."
            )
        if (self.gau is not None) != (self.kind in ("rtmcc", "rtmw")):
            raise SpecError(
                "Head: `gau` belongs to the kinds `rtmcc` and `rtmw`, and to them alone."
            )


@dataclass(frozen=True)
class CropSpec:
    """How a box becomes a network input.

    `mean` and `std` are per channel in the order `channels`, for pixel values 0-255.
    """

    padding: float = 1.25
    udp: bool = False
    channels: Literal["rgb", "bgr"] = "rgb"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if not 0 < self.padding < math.inf:
            raise SpecError(f"Crop: a padding of {self.padding} leaves no crop.")
        if not all(0 < value < math.inf for value in self.std):
            raise SpecError("Crop: `std` must be above 0, for pixels are divided by it.")
        if not all(map(math.isfinite, self.mean)):
            raise SpecError("Crop: `mean` must be finite.")


@dataclass(frozen=True)
class FlipSpec:
    """The publisher's flip test: is it on, and what shifts before the mean.

    `shift_heatmap`: flipped heatmaps, right by one column. `shift_simcc`: flipped x vectors, left
    by one bin, as the SimCC repository has it.
    """

    test: bool = True
    shift_heatmap: bool = False
    shift_simcc: bool = False


@dataclass(frozen=True)
class ModelSpec:
    """What a checkpoint is: architecture, codec, crop, flip test, keypoints, trained size."""

    backbone: BackboneSpec
    head: HeadSpec
    codec: Codec
    input_size: InputSize
    keypoints: KeypointSet = COCO
    crop: CropSpec = CropSpec()
    flip: FlipSpec = FlipSpec()
    neck: NeckSpec | None = None

    def __post_init__(self) -> None:
        if (self.neck is not None) != (self.head.kind == "rtmw"):
            raise SpecError("A neck belongs to a head of the kind `rtmw`, and to it alone.")
        if (self.head.kind == "heatmap") != isinstance(self.codec, HeatmapCodec):
            raise SpecError(f"A {self.head.kind} head cannot be decoded by {self.codec.kind}.")

    @property
    def paradigm(self) -> Paradigm:
        return "simcc" if isinstance(self.codec, SimccCodec) else "heatmap"


def spec_to_mapping(spec: ModelSpec) -> dict[str, Any]:
    """Return plain data that `spec_from_mapping` reads back."""
    return mapping_from_record(spec)


def spec_from_mapping(mapping: Mapping[str, Any], *, where: str) -> ModelSpec:
    """Build a `ModelSpec`; `keypoints` may be a built-in name. Raises `SpecError`."""
    return record_from_mapping(ModelSpec, mapping_with_keypoints(mapping), where=where)


def mapping_with_keypoints(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which a `keypoints` name or YAML path is replaced by its record."""
    plain = dict(mapping)
    if isinstance(plain.get("keypoints"), str):
        plain["keypoints"] = mapping_from_record(load_keypoint_set(plain["keypoints"]))
    return plain


def spec_overrides(path: Path) -> dict[str, Any]:
    """Read a `--spec` file: any subset of `ModelSpec`'s fields, laid over what the file says."""
    return read_yaml(path)
