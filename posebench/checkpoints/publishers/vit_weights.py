"""Tensors of Vision Transformers that publishers store in another form than mmpretrain.

Class token: `mmpose/models/backbones/vit.py` of ViTPose, `vision_transformer.py` of mmpretrain.
Experts: `mmpose/models/backbones/vit_moe.py` and `tools/model_split.py` of ViTPose.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import torch

from posebench.checkpoints.publishers.publisher import Derived, Stored
from posebench.errors import CheckpointError

POSITIONS = "backbone.pos_embed"
EXPERTS_DROPPED = "experts and heads of other data sets than COCO"
_EXPERT = re.compile(r"(backbone\.layers\.\d+\.ffn\.)experts\.(\d+)\.(weight|bias)")
_COCO = 0


def rename(tensors: Mapping[str, Stored], rules: Sequence[tuple[str, str]]) -> dict[str, Stored]:
    """Rename tensors by the first matching rule (pattern, name)."""
    renamed: dict[str, Stored] = {}
    for name, tensor in tensors.items():
        rule = next((rule for rule in rules if re.match(rule[0], name)), None)
        new = name if rule is None else re.sub(rule[0], rule[1], name, count=1)
        if new in renamed:
            raise CheckpointError(f"The file has {new} twice, as {name} too.")
        renamed[new] = tensor
    return renamed


def has_class_row(count: int) -> bool:
    """Tell whether a position embedding of `count` rows has a row for a class token.

    Grids of patches are assumed to be 4:3, as for crops of persons, or else square.
    """
    for is_grid in (_is_portrait, _is_square):
        if is_grid(count) or is_grid(count - 1):
            return not is_grid(count)
    return False


def without_class_row(positions: Stored) -> Derived:
    """Return a position embedding (1, 1 + patches, C) without its first row."""
    return Derived(_patch_rows(positions), (positions,), lambda stored: stored[:, 1:])


def with_class_row_added(positions: Stored) -> Derived:
    """Return a position embedding (1, 1 + patches, C) with its first row added to every other."""
    shape = _patch_rows(positions)
    return Derived(shape, (positions,), lambda stored: stored[:, 1:] + stored[:, :1])


def joined(parts: Sequence[Stored]) -> Derived:
    """Return the rows of several tensors stacked."""
    shapes = [part.shape for part in parts]
    if not all(shapes) or any(shape[1:] != shapes[0][1:] for shape in shapes):
        raise CheckpointError(f"Tensors of shapes {shapes} cannot be joined.")
    shape = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    return Derived(shape, tuple(parts), lambda *stored: torch.cat(stored))


def join_experts(
    tensors: Mapping[str, Stored],
) -> tuple[dict[str, Stored], tuple[str, ...]]:
    """Join COCO's expert to each second linear layer; return the tensors and the names left over.

    An expert computes the last channels of that layer for the crops of one data set. In files split
    by ViTPose's own tool the layer is joined already, and the experts still lie beside it.
    """
    plain = {name: tensor for name, tensor in tensors.items() if not _EXPERT.match(name)}
    left = []
    for name, tensor in tensors.items():
        match = _EXPERT.fullmatch(name)
        if match is None:
            continue
        shared = plain.get(f"{match[1]}layers.1.{match[3]}")
        norm = plain.get(f"{match[1].removesuffix('ffn.')}ln2.weight")
        if shared is None or norm is None or not shared.shape:
            raise CheckpointError(f"The file has {name}, but not the layer that it belongs to.")
        if int(match[2]) == _COCO and shared.shape[0] != norm.shape[0]:
            plain[f"{match[1]}layers.1.{match[3]}"] = joined((shared, tensor))
        else:
            left.append(name)
    return plain, tuple(left)


def _patch_rows(positions: Stored) -> tuple[int, int, int]:
    if len(positions.shape) != 3 or positions.shape[1] < 2:
        raise CheckpointError(f"The position embedding has the shape {positions.shape}.")
    one, count, channels = positions.shape
    return one, count - 1, channels


def _is_portrait(count: int) -> bool:
    """Tell whether `count` patches fill a grid of 4n x 3n."""
    return count > 0 and count % 12 == 0 and _is_square(count // 12)


def _is_square(count: int) -> bool:
    return count > 0 and math.isqrt(count) ** 2 == count
