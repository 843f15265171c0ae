"""Backbones: one architecture per file, pure torch, parameter names as published."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from posebench.errors import SpecError, nearest
from posebench.files.records import record_from_mapping
from posebench.networks.backbones import (
    alexnet,
    cspnext,
    hrformer,
    hrnet,
    litehrnet,
    mobilenet_v2,
    resnest,
    resnet,
    scnet,
    shufflenet_v1,
    shufflenet_v2,
    vgg,
    vipnas_mobilenet_v3,
    vipnas_resnet,
    vit,
)
from posebench.networks.backbones.alexnet import AlexNet, AlexNetOptions
from posebench.networks.backbones.cspnext import CSPNeXt, CSPNeXtOptions
from posebench.networks.backbones.hrformer import HRFormerOptions
from posebench.networks.backbones.hrnet import HRNetOptions
from posebench.networks.backbones.litehrnet import LiteHRNet, LiteHRNetOptions
from posebench.networks.backbones.mobilenet_v2 import MobileNetV2, MobileNetV2Options
from posebench.networks.backbones.resnest import ResNeStOptions
from posebench.networks.backbones.resnet import ResNetOptions
from posebench.networks.backbones.scnet import SCNetOptions
from posebench.networks.backbones.shufflenet_v1 import ShuffleNetV1, ShuffleNetV1Options
from posebench.networks.backbones.shufflenet_v2 import ShuffleNetV2, ShuffleNetV2Options
from posebench.networks.backbones.vgg import VGG, VGGOptions
from posebench.networks.backbones.vipnas_mobilenet_v3 import (
    ViPNASMobileNetV3,
    ViPNASMobileNetV3Options,
)
from posebench.networks.backbones.vipnas_resnet import ViPNASResNet, ViPNASResNetOptions
from posebench.networks.backbones.vit import PATCH, ViT, ViTOptions
from posebench.networks.shapes import Guess, Shapes
from posebench.networks.spec import BackboneSpec


class Backbone(Protocol):
    """A module from (N, 3, H, W) to (N, out_channels, H/stride, W/stride).

    Sides are rounded up, except by VGG, which rounds them down; AlexNet's maps are one cell
    smaller.
    """

    out_channels: int
    stride: int

    def __call__(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class BackboneFamily:
    """The facts and functions of a backbone family.

    `options` is its record of options; `build` and `describe` make the network and its printed name
    from them. `recognise` returns, as plain data, the options that a state dict's names and shapes
    tell, or None if they are of another family. `stage_modules` are the modules that end its
    stages, in the order in which they run; the last one makes the features. Both input sides must
    be multiples of `size_divisor`, even at the trained size, if the network cannot round them up.
    `guess` returns what the shapes suggest about the trained size, if anything.
    """

    options: type[Any]
    build: Callable[[Any], Backbone]
    describe: Callable[[Any], str]
    recognise: Callable[[Shapes], dict[str, Any] | None]
    stage_modules: Callable[[Any], tuple[str, ...]]
    size_divisor: int | None = None
    guess: Callable[[Shapes], Guess] | None = None


# Printed names of exported files, by format; their networks cannot be built from options.
EXPORTED = {"onnx": "ONNX graph", "openvino": "OpenVINO graph"}
BACKBONES: dict[str, BackboneFamily] = {
    "alexnet": BackboneFamily(
        AlexNetOptions, AlexNet, alexnet.describe, alexnet.recognise, alexnet.stage_modules
    ),
    "cspnext": BackboneFamily(
        CSPNeXtOptions, CSPNeXt, cspnext.describe, cspnext.recognise, cspnext.stage_modules
    ),
    "hrformer": BackboneFamily(
        HRFormerOptions,
        hrformer.build,
        hrformer.describe,
        hrformer.recognise,
        hrformer.stage_modules,
        32,
    ),
    "hrnet": BackboneFamily(
        HRNetOptions, hrnet.build, hrnet.describe, hrnet.recognise, hrnet.stage_modules, 32
    ),
    "litehrnet": BackboneFamily(
        LiteHRNetOptions,
        LiteHRNet,
        litehrnet.describe,
        litehrnet.recognise,
        litehrnet.stage_modules,
        32,
    ),
    "mobilenet_v2": BackboneFamily(
        MobileNetV2Options,
        MobileNetV2,
        mobilenet_v2.describe,
        mobilenet_v2.recognise,
        mobilenet_v2.stage_modules,
    ),
    "resnest": BackboneFamily(
        ResNeStOptions, resnest.build, resnest.describe, resnest.recognise, resnest.stage_modules
    ),
    "resnet": BackboneFamily(
        ResNetOptions, resnet.build, resnet.describe, resnet.recognise, resnet.stage_modules
    ),
    "scnet": BackboneFamily(
        SCNetOptions, scnet.build, scnet.describe, scnet.recognise, scnet.stage_modules
    ),
    "shufflenet_v1": BackboneFamily(
        ShuffleNetV1Options,
        ShuffleNetV1,
        shufflenet_v1.describe,
        shufflenet_v1.recognise,
        shufflenet_v1.stage_modules,
    ),
    "shufflenet_v2": BackboneFamily(
        ShuffleNetV2Options,
        ShuffleNetV2,
        shufflenet_v2.describe,
        shufflenet_v2.recognise,
        shufflenet_v2.stage_modules,
    ),
    "vgg": BackboneFamily(VGGOptions, VGG, vgg.describe, vgg.recognise, vgg.stage_modules),
    "vipnas_mobilenet_v3": BackboneFamily(
        ViPNASMobileNetV3Options,
        ViPNASMobileNetV3,
        vipnas_mobilenet_v3.describe,
        vipnas_mobilenet_v3.recognise,
        vipnas_mobilenet_v3.stage_modules,
    ),
    "vipnas_resnet": BackboneFamily(
        ViPNASResNetOptions,
        ViPNASResNet,
        vipnas_resnet.describe,
        vipnas_resnet.recognise,
        vipnas_resnet.stage_modules,
    ),
    "vit": BackboneFamily(
        ViTOptions, ViT, vit.describe, vit.recognise, vit.stage_modules, PATCH, vit.guess
    ),
}


# Upper limits of options: larger networks would take hours and terabytes merely to be laid out.
MAX_CHANNELS = 16_384
_LIMITS = {"deepen_factor": 16, "widen_factor": 16, "num_layers": 256, "img_size": math.inf}


def build_backbone(spec: BackboneSpec) -> Backbone:
    """Build a backbone.

    Raises `SpecError` if the family or its options are unknown.
    """
    return _family(spec).build(_options(spec))


def recognise_backbone(shapes: Shapes) -> BackboneSpec | None:
    """Return the family and options that fit the names and shapes of a backbone's tensors.

    Raises `ValueError`, `IndexError` or `ZeroDivisionError` if no network has such shapes.
    """
    for name, family in BACKBONES.items():
        options = family.recognise(shapes)
        if options is not None:
            return BackboneSpec(name, options)
    return None


def describe(spec: BackboneSpec) -> str:
    """Return the printed name, such as `ResNet-50`, `CSPNeXt-m` or `CSPNeXt(d=0.33,w=0.25)`."""
    if spec.family in EXPORTED:
        return EXPORTED[spec.family]
    return _family(spec).describe(_options(spec))


def size_divisor(spec: BackboneSpec) -> int | None:
    """Return the number that both input sides must be multiples of, if that exceeds the stride."""
    return BACKBONES[spec.family].size_divisor if spec.family in BACKBONES else None


def stage_modules(spec: BackboneSpec) -> tuple[str, ...]:
    """Return the names of the modules that end a backbone's stages, in order."""
    return _family(spec).stage_modules(_options(spec))


def _family(spec: BackboneSpec) -> BackboneFamily:
    if spec.family not in BACKBONES:
        raise SpecError(
            f"There is no backbone family {spec.family!r}.", hint=nearest(spec.family, BACKBONES)
        )
    return BACKBONES[spec.family]


def _options(spec: BackboneSpec) -> Any:
    where = f"Options of the backbone {spec.family}"
    options = record_from_mapping(_family(spec).options, spec.options, where=where)
    for name, value in vars(options).items():
        limit = _LIMITS.get(name, MAX_CHANNELS)
        if type(value) in (int, float) and not abs(value) <= limit:
            raise SpecError(f"{where}: {name} must be at most {limit}, not {value:g}.")
    return options


__all__ = [
    "BACKBONES",
    "EXPORTED",
    "Backbone",
    "BackboneFamily",
    "CSPNeXtOptions",
    "ResNetOptions",
    "Shapes",
    "ViTOptions",
    "build_backbone",
    "describe",
    "recognise_backbone",
    "size_divisor",
    "stage_modules",
]
