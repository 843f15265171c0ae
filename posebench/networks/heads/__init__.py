"""Heads: one kind per file, pure torch, with the parameter names of MMPose 1.3.2.

Everything particular to a kind is in its `HeadFamily`; code that builds, recognises, resizes or
trains a head reads it from `HEADS`.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from posebench.errors import SpecError, nearest
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.networks.codecs import Codec, SimccCodec
from posebench.networks.grids import Grid, SizeLockedLayer, grid_at
from posebench.networks.heads.attention import HEATMAP_ATTENTION
from posebench.networks.heads.family import HeadFamily, Loss, SizeLockedHead, Surroundings
from posebench.networks.heads.heatmap import HEATMAP
from posebench.networks.heads.regression import REGRESSION
from posebench.networks.heads.rle import RLE
from posebench.networks.heads.rtmcc import RTMCC
from posebench.networks.heads.rtmw import RTMW
from posebench.networks.heads.simcc import SIMCC
from posebench.networks.heads.size_free.coordinates import SIMCC_COORDINATES
from posebench.networks.heads.size_free.marginal import SIMCC_MARGINAL
from posebench.networks.heads.size_free.pooling import SIMCC_POOLING
from posebench.networks.heads.size_free.tables import SIMCC_TABLE
from posebench.networks.loss_settings import LossSettings
from posebench.networks.shapes import Shapes
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

# Recognised in this order: the first that fits is taken, and later ones need less to fit.
HEADS: dict[str, HeadFamily] = {
    "rtmw": RTMW,
    "rtmcc": RTMCC,
    "simcc": SIMCC,
    "simcc-table": SIMCC_TABLE,
    "simcc-coordinates": SIMCC_COORDINATES,
    "simcc-marginal": SIMCC_MARGINAL,
    "simcc-pooling": SIMCC_POOLING,
    "rle": RLE,
    "regression": REGRESSION,
    "heatmap-attention": HEATMAP_ATTENTION,
    "heatmap": HEATMAP,
}
# The module of a learned loss in a head that is trained. MMPose has it under this name too.
LOSS_MODULE = "loss_module"
# Files of versions before 0.2 give every head these options; kinds without them had these values.
_ONCE_COMMON: dict[str, Any] = {
    "deconv_channels": [],
    "deconv_kernels": [],
    "deconv_groups": [],
    "conv_channels": [],
    "conv_kernels": [],
    "upsample": 1,
    "channels_per_keypoint": 1,
}


def head_family(kind: str) -> HeadFamily:
    """Return the family of a kind of head.

    Raises `SpecError` if the kind is unknown.
    """
    if kind not in HEADS:
        raise SpecError(f"There is no kind of head {kind!r}.", hint=nearest(kind, HEADS))
    return HEADS[kind]


def head_options(spec: HeadSpec) -> Any:
    """Return the record of a head's options.

    Raises `SpecError` if it does not have such options.
    """
    kind = head_family(spec.kind).options
    known = kind.__dataclass_fields__
    options = {
        name: value
        for name, value in spec.options.items()
        if name in known or name not in _ONCE_COMMON or value != _ONCE_COMMON[name]
    }
    return record_from_mapping(kind, options, where=f"Options of the head {spec.kind}")


def whole_head(spec: HeadSpec) -> HeadSpec:
    """Return a head with all its options, including those at their defaults."""
    return _whole(spec.kind, head_options(spec))


def build_head(spec: ModelSpec, in_channels: int, stride: int) -> nn.Module:
    """Build the head of `spec` behind a backbone, with grid and bins for its input size.

    Raises `SpecError` if no head of its kind has such layers, or if its codec or neck does not
    belong to it.
    """
    kind = spec.head.kind
    family = head_family(kind)
    if not isinstance(spec.codec, family.codec):
        raise SpecError(f"A {kind} head cannot be decoded by {spec.codec.kind}.")
    if family.neck != (None if spec.neck is None else spec.neck.kind):
        wanted = "no neck" if family.neck is None else f"the neck {family.neck}"
        raise SpecError(f"A {kind} head takes the features of {wanted}.")
    return family.build(head_options(spec.head), _surroundings(spec, in_channels, stride))


def settled_head(spec: ModelSpec, in_channels: int, stride: int) -> HeadSpec:
    """Return the head of `spec` with the options that its first input size decides.

    Raises `SpecError` if it cannot be built at that size.
    """
    options = head_options(spec.head)
    around = _surroundings(spec, in_channels, stride)
    settled = head_family(spec.head.kind).settle(options, around)
    return spec.head if settled == options else _whole(spec.head.kind, settled)


def _surroundings(spec: ModelSpec, in_channels: int, stride: int) -> Surroundings:
    return Surroundings(in_channels, stride, spec.input_size, len(spec.keypoints), spec.codec)


def _whole(kind: str, options: Any) -> HeadSpec:
    return HeadSpec(kind, mapping_from_record(options))


def add_learned_loss(spec: HeadSpec, head: nn.Module) -> None:
    """Give a head to be trained the module of its loss, if that has weights of its own."""
    learned = head_family(spec.kind).learned_loss
    if learned is not None:
        head.add_module(LOSS_MODULE, learned())


def training_loss(spec: HeadSpec, head: nn.Module) -> Loss:
    """Return the loss that a head is trained by: its own module, or its kind's plain function."""
    learned: Any = getattr(head, LOSS_MODULE, None)
    return head_family(spec.kind).loss if learned is None else learned


def recognise_head(shapes: Shapes, backbone: BackboneSpec | None = None) -> HeadSpec | None:
    """Return the kind and options that fit the names and shapes of a head's tensors.

    Raises `ValueError`, `IndexError` or `ZeroDivisionError` if no network has such shapes, and
    `SpecError` if no head has such options.
    """
    for kind, family in HEADS.items():
        options = family.recognise(shapes, backbone)
        if options is not None:
            return whole_head(HeadSpec(kind, options))
    return None


def training_codec(spec: ModelSpec, size: InputSize) -> Codec:
    """Return the codec that makes targets for crops of `size`."""
    if not head_family(spec.head.kind).widens or not isinstance(spec.codec, SimccCodec):
        return spec.codec
    return spec.codec.widened(size.width / spec.input_size.width)


def map_grid(head: HeadSpec, stride: int, size: InputSize) -> Grid:
    """Return the grid of a head's maps behind a backbone of this stride."""
    return grid_at(size, stride, head_family(head.kind).map_factor(head_options(head)))


def size_locked_layers(head: HeadSpec) -> tuple[SizeLockedLayer, ...]:
    """Return the layers whose shape the trained size fixes, first to last."""
    return head_family(head.kind).size_locked


__all__ = [
    "HEADS",
    "LOSS_MODULE",
    "HeadFamily",
    "LossSettings",
    "SizeLockedHead",
    "Surroundings",
    "add_learned_loss",
    "build_head",
    "head_family",
    "head_options",
    "map_grid",
    "recognise_head",
    "settled_head",
    "size_locked_layers",
    "training_codec",
    "training_loss",
    "whole_head",
]
