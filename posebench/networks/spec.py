"""`ModelSpec`: everything besides the weights that decides what a checkpoint computes.

Plain frozen records, so that results and tables can be read without torch.
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
from posebench.networks.codecs import Codec, Paradigm
from posebench.networks.sizes import InputSize

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class BackboneSpec:
    """A backbone family and its options; each family's file defines and checks them."""

    family: str
    options: Mapping[str, Any] = field(default_factory=dict)


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
    """A kind of head and its options; each head's file defines and checks them.

    In files the options stand beside the kind: `{kind: simcc, deconv_channels: [256]}`.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # In the form that files have, so that a head equals itself read back.
        object.__setattr__(self, "options", _with_lists(self.options))

    @classmethod
    def of(cls, plain: Any) -> HeadSpec:
        """Return the head of a file's mapping; options that are null are ignored."""
        if isinstance(plain, cls):
            return plain
        if not isinstance(plain, Mapping) or not isinstance(plain.get("kind"), str):
            raise SpecError("head: must be a mapping with the `kind` of a head.")
        options = {key: value for key, value in plain.items() if value is not None}
        return cls(options.pop("kind"), options)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        """Read and write a head as one flat mapping in YAML and JSON records."""
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            cls.of,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda head: {"kind": head.kind, **head.options}
            ),
        )


def _with_lists(value: Any) -> Any:
    """Return plain data with lists in place of tuples."""
    if isinstance(value, Mapping):
        return {key: _with_lists(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_lists(inner) for inner in value]
    return value


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
            raise SpecError("Crop: `std` must be above 0, because pixels are divided by it.")
        if not all(map(math.isfinite, self.mean)):
            raise SpecError("Crop: `mean` must be finite.")


@dataclass(frozen=True)
class FlipSpec:
    """The publisher's flip test: whether it is on, and what is shifted before the mean.

    `shift_heatmap` shifts flipped heatmaps right by one column. `shift_simcc` shifts flipped x
    vectors left by one bin, as the SimCC repository does. `shift_coords` shifts flipped coordinates
    left by one pixel of the input: pixel i of a mirrored crop of W is pixel W − 1 − i.
    """

    test: bool = True
    shift_heatmap: bool = False
    shift_simcc: bool = False
    shift_coords: bool = True


@dataclass(frozen=True)
class ModelSpec:
    """The spec of a checkpoint: architecture, codec, crop, flip test, keypoints, trained size."""

    backbone: BackboneSpec
    head: HeadSpec
    codec: Codec
    input_size: InputSize
    keypoints: KeypointSet = COCO
    crop: CropSpec = CropSpec()
    flip: FlipSpec = FlipSpec()
    neck: NeckSpec | None = None

    @property
    def paradigm(self) -> Paradigm:
        return self.codec.paradigm


def spec_to_mapping(spec: ModelSpec) -> dict[str, Any]:
    """Return plain data that `spec_from_mapping` reads back."""
    return mapping_from_record(spec)


def spec_from_mapping(mapping: Mapping[str, Any], *, where: str) -> ModelSpec:
    """Build a `ModelSpec`; `keypoints` may be a built-in name.

    Raises `SpecError` if a value does not fit.
    """
    return record_from_mapping(ModelSpec, mapping_with_keypoints(mapping), where=where)


def mapping_with_keypoints(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy in which a `keypoints` name or YAML path is replaced by its record."""
    plain = dict(mapping)
    if isinstance(plain.get("keypoints"), str):
        plain["keypoints"] = mapping_from_record(load_keypoint_set(plain["keypoints"]))
    return plain


def spec_overrides(path: Path) -> dict[str, Any]:
    """Read a `--spec` file: any fields of `ModelSpec`, which overrule what the checkpoint says."""
    return read_yaml(path)
