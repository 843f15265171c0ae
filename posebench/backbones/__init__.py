"""Backbones: one architecture per file, pure torch, parameter names as published."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from posebench.backbones import cspnext, resnet
from posebench.backbones.cspnext import CSPNeXt, CSPNeXtOptions
from posebench.backbones.resnet import ResNet, ResNetOptions
from posebench.backbones.shapes import Shapes
from posebench.errors import SpecError, nearest
from posebench.records import record_from_mapping
from posebench.spec import BackboneSpec


class Backbone(Protocol):
    """A module from (N, 3, H, W) to (N, out_channels, H/stride, W/stride), sides rounded up."""

    out_channels: int
    stride: int

    def __call__(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class BackboneFamily:
    """What there is to know of a family.

    `options` is its record of options; `build` and `describe` make the network and its printed
    name of them; `recognise` returns the options, as plain data, that a state dict's names and
    shapes tell, or None for another family's.
    """

    options: type[Any]
    build: Callable[[Any], Backbone]
    describe: Callable[[Any], str]
    recognise: Callable[[Shapes], dict[str, Any] | None]


# Printed names of exported files by format: their network is in the file and cannot be built.
EXPORTED = {"onnx": "ONNX graph", "openvino": "OpenVINO graph"}
BACKBONES: dict[str, BackboneFamily] = {
    "cspnext": BackboneFamily(CSPNeXtOptions, CSPNeXt, cspnext.describe, cspnext.recognise),
    "resnet": BackboneFamily(ResNetOptions, ResNet, resnet.describe, resnet.recognise),
}


def build_backbone(spec: BackboneSpec) -> Backbone:
    """Build a backbone; raise `SpecError` for an unknown family or options."""
    return _family(spec).build(_options(spec))


def recognise_backbone(shapes: Shapes) -> BackboneSpec | None:
    """Return the family and options that fit the names and shapes of a backbone's tensors.

    Raise `ValueError`, `IndexError` or `ZeroDivisionError` for shapes that no network has.
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


def _family(spec: BackboneSpec) -> BackboneFamily:
    if spec.family not in BACKBONES:
        raise SpecError(
            f"There is no backbone family {spec.family!r}.", hint=nearest(spec.family, BACKBONES)
        )
    return BACKBONES[spec.family]


def _options(spec: BackboneSpec) -> Any:
    where = f"Options of the backbone {spec.family}"
    return record_from_mapping(_family(spec).options, spec.options, where=where)


__all__ = [
    "BACKBONES",
    "EXPORTED",
    "Backbone",
    "BackboneFamily",
    "CSPNeXtOptions",
    "ResNetOptions",
    "Shapes",
    "build_backbone",
    "describe",
    "recognise_backbone",
]
