"""Backbone and head of a state dict, from the names and shapes of its tensors alone.

Names are those of MMPose 1.3.2 (`mmpose/models/backbones`, `mmpose/models/heads`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.refusals import nearest_family
from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.errors import CheckpointError
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.networks.backbones import BACKBONES, Shapes, recognise_backbone
from posebench.networks.codecs.offset_maps import CHANNELS as OFFSET_CHANNELS
from posebench.networks.grids import map_grid
from posebench.networks.shapes import count_numbers
from posebench.networks.sizes import MAX_SIDE, InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec

# Tried in this order: bins are a side times the ratio, cells are the area over the stride squared.
SPLIT_RATIOS = (2.0, 1.0, 3.0, 1.5, 2.5, 4.0)
# Where a SimCC head has several channels per keypoint, its shapes fit more than one K.
_GROUPED_KEYPOINTS = (17, 16)
# Layers whose rows are the bins on x and on y, and the layer whose columns are the grid's cells.
_LINEAR = {
    "simcc": ("mlp_head_x", "mlp_head_y", "mlp_head_x"),
    "rtmcc": ("cls_x", "cls_y", "mlp.1"),
    "rtmw": ("cls_x", "cls_y", "mlp.1"),
}
_FINAL_LAYERS = (
    "head.final_layer.weight",
    "head.deconv_head.final_layer.weight",
    "head.final_layer.conv.weight",
)

# ViTPose's simple heads are told by their 3x3 layer right behind the backbone; all enlarge by 4.
_VIT_UPSAMPLE = 4


def find_architecture(shapes: Shapes) -> tuple[Finding, ...]:
    """Return findings on backbone and head; raise `CheckpointError` for a family not known."""
    try:
        backbone = recognise_backbone(_below(shapes, "backbone."))
        head = _rtmcc(shapes) or _simcc(shapes) or _heatmap(shapes)
    except (ValueError, IndexError, ZeroDivisionError):
        raise CheckpointError("The tensors of this file have shapes that no network has.") from None
    if backbone is None or head is None:
        what = "backbone" if backbone is None else "head"
        raise CheckpointError(
            f"The {what} of this file is not one that can be loaded{nearest_family(shapes)}."
            f" Its first tensors: {', '.join(list(shapes)[:3])}.",
            hint=f"Backbones that can be: {', '.join(BACKBONES)}, with heatmap, SimCC, RTMCC"
            " or RTMW heads as MMPose names them. Anything else runs as ONNX.",
        )
    if backbone.family == "vit" and head == {"kind": "heatmap", "final_layer_kernel": 3}:
        head["upsample"] = _VIT_UPSAMPLE
    found = {
        "backbone": mapping_from_record(backbone),
        # Whole: that there are no deconvolutions is told by the names too.
        "head": mapping_from_record(head_from_mapping(head)),
        "neck": _neck(shapes),
    }
    return (*findings_of(found, "names and shapes"), *_size_of_positions(shapes, backbone))


def head_from_mapping(head: Mapping[str, Any]) -> HeadSpec:
    """Return the record of a head; raise `SpecError` for one that cannot be."""
    return record_from_mapping(HeadSpec, head, where="The head of this file")


def keypoint_count(shapes: Shapes, decoder: str | None) -> int:
    """Return K: the output channels of the head's final layer, over three for UDP-regress.

    Where no `decoder` is known, channels that are three times a built-in set's keypoints, and no
    set's own, are taken for UDP-regress.
    """
    channels = _output_channels(shapes)
    if decoder is None and not is_simcc(shapes):
        counts = {len(known) for known in KEYPOINT_SETS.values()}
        regresses = channels not in counts and channels in {OFFSET_CHANNELS * n for n in counts}
    else:
        regresses = decoder == "udp-regress"
    if regresses and channels % OFFSET_CHANNELS:
        raise CheckpointError(f"{channels} output channels are not three for each keypoint.")
    return channels // OFFSET_CHANNELS if regresses else channels


def is_simcc(shapes: Shapes) -> bool:
    """Tell whether the head ends in bins."""
    return any(f"head.{layers[0]}.weight" in shapes for layers in _LINEAR.values())


def _output_channels(shapes: Shapes) -> int:
    for name in _FINAL_LAYERS:
        if name in shapes:
            return shapes[name][0]
    raise CheckpointError("The head of this file has no final layer, so K is not known.")


def find_trained_size(
    shapes: Shapes, head: HeadSpec, stride: int, known_ratio: float | None
) -> tuple[Finding, ...]:
    """Return trained size, split ratio and channels per keypoint that fit a SimCC head's layers.

    `known_ratio` is what the config says, if anything. Returns nothing for a heatmap head: a
    convolution does not know its input size.
    """
    names = [f"head.{layer}.weight" for layer in _LINEAR.get(head.kind, ())]
    if not names or not all(len(shapes.get(name, ())) == 2 for name in names):
        return ()
    bins_x, bins_y, inputs = shapes[names[0]][0], shapes[names[1]][0], shapes[names[2]][1]
    groups = _channels_per_keypoint(shapes) if head.kind == "simcc" else ()
    for ratio in SPLIT_RATIOS if known_ratio is None else (known_ratio,):
        height, width = round(bins_y / ratio), round(bins_x / ratio)
        exact = (int(height * ratio), int(width * ratio)) == (bins_y, bins_x)
        if not exact or not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
            continue
        size = InputSize(height, width)
        channels, rest = divmod(inputs, map_grid(head, stride, size).cells)
        if rest == 0 and channels in (1, *groups):
            why = f"{bins_x}, {bins_y} bins over {inputs // channels} cells"
            grouped = Finding("head.channels_per_keypoint", channels, why)
            return (
                Finding("input_size", str(size), why),
                Finding("codec.split_ratio", ratio, why),
                *((grouped,) if channels > 1 else ()),
            )
    return ()


def _size_of_positions(shapes: Shapes, backbone: BackboneSpec) -> tuple[Finding, ...]:
    """Return the trained size that a ViT's position embedding tells, as a first guess."""
    size = backbone.options.get("img_size")
    if size is None:
        return ()
    count = shapes["backbone.pos_embed"][1]
    why = f"assumed: of the grids of {count} patches of 16x16 pixels the nearest to 4:3"
    return (Finding("backbone.options.img_size", size, why), Finding("input_size", size, why))


def _channels_per_keypoint(shapes: Shapes) -> tuple[int, ...]:
    """Return how many channels each keypoint may have, if more than one."""
    channels = _output_channels(shapes)
    return tuple(channels // k for k in _GROUPED_KEYPOINTS if channels % k == 0 and channels > k)


def _rtmcc(shapes: Shapes) -> dict[str, Any] | None:
    if not all(f"head.{name}.weight" in shapes for name in ("cls_x", "gau.o", "gau.uv", "mlp.1")):
        return None
    hidden, expanded = shapes["head.gau.o.weight"]
    gau = {
        "hidden_dims": hidden,
        "s": shapes["head.gau.uv.weight"][0] - 2 * expanded,
        "expansion_factor": expanded / hidden,
    }
    if "head.mlp2.1.weight" in shapes:
        kernel = shapes["head.final_layer.conv.weight"][-1]
        return {"kind": "rtmw", "final_layer_kernel": kernel, "gau": gau}
    kernel = shapes["head.final_layer.weight"][-1] if "head.final_layer.weight" in shapes else 1
    return {"kind": "rtmcc", "final_layer_kernel": kernel, "gau": gau}


def _neck(shapes: Shapes) -> dict[str, Any] | None:
    blocks = count_numbers(shapes, r"neck\.top_down_blocks\.0\.blocks\.(\d+)\.")
    return {"kind": "cspnext-pafpn", "blocks": blocks} if blocks else None


def _simcc(shapes: Shapes) -> dict[str, Any] | None:
    if "head.mlp_head_x.weight" not in shapes:
        return None
    deconvolved = "head.deconv_head.final_layer.weight" in shapes
    return {"kind": "simcc", **_layers(shapes, "head.deconv_head." if deconvolved else "head.")}


def _heatmap(shapes: Shapes) -> dict[str, Any] | None:
    if len(shapes.get("head.final_layer.weight", ())) != 4:
        return None
    return {"kind": "heatmap", **_layers(shapes, "head.")}


def _layers(shapes: Shapes, prefix: str) -> dict[str, Any]:
    """Return deconvolutions and final kernel: weights (in, out / groups, k, k), BatchNorm (out)."""
    pattern = re.compile(re.escape(prefix) + r"deconv_layers\.(\d+)\.weight")
    indices = sorted(
        int(match[1])
        for name, shape in shapes.items()
        if (match := pattern.fullmatch(name)) and len(shape) == 4
    )
    weights = [shapes[f"{prefix}deconv_layers.{index}.weight"] for index in indices]
    norms = [shapes.get(f"{prefix}deconv_layers.{index + 1}.weight") for index in indices]
    channels = [
        weight[1] if norm is None else norm[0] for weight, norm in zip(weights, norms, strict=True)
    ]
    final = shapes.get(f"{prefix}final_layer.weight", (0,))
    layers: dict[str, Any] = {"final_layer_kernel": final[-1], **_conv_layers(shapes, prefix)}
    if channels:
        layers["deconv_channels"] = channels
        layers["deconv_kernels"] = [weight[-1] for weight in weights]
        groups = [channel // weight[1] for channel, weight in zip(channels, weights, strict=True)]
        if any(group != 1 for group in groups):
            layers["deconv_groups"] = groups
    return layers


def _conv_layers(shapes: Shapes, prefix: str) -> dict[str, Any]:
    """Return the convolutions between the deconvolutions and the final one."""
    pattern = re.compile(re.escape(prefix) + r"conv_layers\.\d+\.weight")
    weights = [
        shape for name, shape in shapes.items() if pattern.fullmatch(name) and len(shape) == 4
    ]
    if not weights:
        return {}
    return {
        "conv_channels": [weight[0] for weight in weights],
        "conv_kernels": [weight[-1] for weight in weights],
    }


def _below(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {n[len(prefix) :]: shape for n, shape in shapes.items() if n.startswith(prefix)}
