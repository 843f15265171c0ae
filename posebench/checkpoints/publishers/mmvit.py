"""Options of a Vision Transformer and its neck from an MMPose 1.x config.

Defaults are those of mmpretrain 1.2.0 (`models/backbones/vision_transformer.py`) and MMPose 1.3.2
(`models/necks/fmap_proc_neck.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posebench.checkpoints.findings import Finding
from posebench.checkpoints.publishers.mmconfig import lookup
from posebench.errors import CheckpointError

# Number of heads of the architectures that mmpretrain knows by name.
_HEADS = {
    **dict.fromkeys(("s", "small"), 8),
    **dict.fromkeys(("b", "base", "deit-b", "deit-base"), 12),
    **dict.fromkeys(("l", "large", "h", "huge", "eva-g", "eva-giant"), 16),
    **dict.fromkeys(("deit-t", "deit-tiny"), 3),
    **dict.fromkeys(("deit-s", "deit-small", "dinov2-s", "dinov2-small"), 6),
    **dict.fromkeys(("dinov2-g", "dinov2-giant"), 24),
}
_WITHOUT_OPTIONS = ("CSPNeXtPAFPN", "GlobalAveragePooling")
# Each setting, its default, and the values that posebench supports.
_BACKBONE: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
    ("patch_size", 16, (16, (16, 16), [16, 16])),
    ("patch_cfg.padding", 0, (2, (2, 2), [2, 2])),
    ("with_cls_token", True, (False,)),
    ("out_type", "cls_token", ("featmap",)),
    ("final_norm", True, (True,)),
    ("pre_norm", False, (False,)),
    ("layer_scale_init_value", 0.0, (0, 0.0)),
    ("interpolate_mode", "bicubic", ("bicubic",)),
    ("norm_cfg.type", "LN", ("LN",)),
)
_NECK: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
    ("select_index", None, (None, 0, (0,), [0])),
    ("concat", False, (False,)),
    ("apply_relu", False, (True,)),
    ("align_corners", False, (False,)),
)


def find_vit(config: Mapping[str, Any]) -> tuple[Finding, ...]:
    """Return a config's settings of a Vision Transformer and of the enlargement in its neck.

    Raises `CheckpointError` if posebench would compute a setting differently.
    """
    backbone, neck = lookup(config, "model.backbone"), lookup(config, "model.neck")
    found: list[Finding] = []
    if isinstance(backbone, Mapping) and is_vit(config):
        _check(backbone, _BACKBONE, "model.backbone")
        found += _options(backbone)
    if neck is not None and not _has_no_options(neck):
        if not isinstance(neck, Mapping) or not found:
            raise CheckpointError(f"The config text has the neck {str(neck)[:60]!r}.")
        _check(neck, _NECK, "model.neck")
        factor = neck.get("scale_factor", 1.0)
        if type(factor) not in (int, float) or factor != int(factor) or factor <= 1:
            raise CheckpointError(f"The config text enlarges by {str(factor)[:60]!r} in the neck.")
        found.append(Finding("head.upsample", int(factor), "meta.cfg neck"))
    return tuple(found)


def is_vit(config: Mapping[str, Any]) -> bool:
    """Tell whether the backbone of a config is mmpretrain's Vision Transformer."""
    kind = lookup(config, "model.backbone.type")
    return isinstance(kind, str) and kind.rpartition(".")[2] == "VisionTransformer"


def _has_no_options(neck: Any) -> bool:
    """Tell whether nothing of a neck has to be read here.

    The weights of RTMW's neck determine all of its options; global average pooling has none.
    """
    kind = neck.get("type") if isinstance(neck, Mapping) else None
    return isinstance(kind, str) and kind.rpartition(".")[2] in _WITHOUT_OPTIONS


def _options(backbone: Mapping[str, Any]) -> list[Finding]:
    arch, size = backbone.get("arch", "base"), backbone.get("img_size", 224)
    heads = _HEADS.get(arch.lower()) if isinstance(arch, str) else lookup(arch, "num_heads")
    sides = (size, size) if isinstance(size, int) else size
    if type(heads) is not int:
        raise CheckpointError(f"The config text sets model.backbone.arch to {str(arch)[:60]!r}.")
    if not isinstance(sides, list | tuple) or [type(side) for side in sides] != [int, int]:
        raise CheckpointError(f"The config text sets img_size to {str(size)[:60]!r}.")
    eps = lookup(backbone, "norm_cfg.eps")
    if "norm_cfg" not in backbone:
        eps = 1e-6
    elif eps is None:
        eps = 1e-5
    if type(eps) not in (int, float):
        raise CheckpointError(f"The config text sets norm_cfg.eps to {str(eps)[:60]!r}.")
    why = "meta.cfg backbone"
    return [
        Finding("backbone.options.num_heads", heads, why),
        Finding("backbone.options.img_size", f"{sides[0]}x{sides[1]}", why),
        Finding("backbone.options.norm_eps", float(eps), why),
    ]


def _check(
    section: Mapping[str, Any], settings: tuple[tuple[str, Any, tuple[Any, ...]], ...], where: str
) -> None:
    for name, default, values in settings:
        value = lookup(section, name)
        value = default if value is None else value
        if value not in values:
            raise CheckpointError(
                f"The config text sets {where}.{name} to {str(value)[:60]!r},"
                " which is not supported.",
                hint=f"Supported: {values[0]}. Other networks run as ONNX.",
            )
