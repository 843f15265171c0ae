"""State dicts of the ViTPose repository (arXiv:2204.12484, ViTPose+ arXiv:2212.04246).

Facts of the code: `mmpose/models/backbones/vit.py` and `configs/body` of ViTAE-Transformer/ViTPose.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.publishers import mmpose
from posebench.checkpoints.publishers.publisher import Publisher, StateFile, Weights
from posebench.checkpoints.publishers.vit_weights import (
    EXPERTS_DROPPED,
    POSITIONS,
    join_experts,
    rename,
    with_class_row_added,
)

_NAMES = (
    (r"backbone\.patch_embed\.proj\.", "backbone.patch_embed.projection."),
    (r"backbone\.blocks\.(\d+)\.norm([12])\.", r"backbone.layers.\1.ln\2."),
    (r"backbone\.blocks\.(\d+)\.mlp\.fc1\.", r"backbone.layers.\1.ffn.layers.0.0."),
    (r"backbone\.blocks\.(\d+)\.mlp\.fc2\.", r"backbone.layers.\1.ffn.layers.1."),
    (r"backbone\.blocks\.(\d+)\.mlp\.experts\.", r"backbone.layers.\1.ffn.experts."),
    (r"backbone\.blocks\.(\d+)\.attn\.", r"backbone.layers.\1.attn."),
    (r"backbone\.last_norm\.", "backbone.ln1."),
)
_OTHER_HEADS = "associate_keypoint_heads."
# The COCO and MPII configs use UDP; those of data sets with 14, 133 or 21 keypoints do not.
_UDP_COUNTS = (17, 16)


def _is_vitpose(file: StateFile) -> bool:
    pattern = re.compile(r"(module\.)?backbone\.blocks\.0\.attn\.qkv\.weight")
    return any(pattern.fullmatch(name) for name in file.state)


def _sort_weights(file: StateFile) -> Weights:
    plain = mmpose.sort_weights(file)
    others = tuple(name for name in plain.tensors if name.startswith(_OTHER_HEADS))
    kept = {name: tensor for name, tensor in plain.tensors.items() if name not in others}
    tensors, experts = join_experts(rename(kept, _NAMES))
    if POSITIONS in tensors:
        tensors[POSITIONS] = with_class_row_added(tensors[POSITIONS])
    dropped = ((EXPERTS_DROPPED, (*others, *experts)),) if others or experts else ()
    return Weights(tensors, (*plain.dropped, *dropped))


def _find_settings(
    _file: StateFile, shapes: Mapping[str, tuple[int, ...]], _overrides: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    """Return the codec, crop and flip test of the repository's config for this many keypoints.

    Its OCHuman, AP-10K and APT-36K configs run the weights for 17 keypoints without UDP.
    """
    count = shapes.get("head.final_layer.weight", (0,))[0]
    udp = count in _UDP_COUNTS
    why = f"assumed: ViTPose's {'COCO and MPII' if udp else 'other'} configs, by {count} keypoints"
    record = {
        "codec": {"decoder": "udp" if udp else "quarter"},
        "crop": {"udp": udp, "channels": "rgb"},
        "flip": {"shift_heatmap": not udp},
    }
    return findings_of(record, why)


VITPOSE = Publisher("vitpose", _is_vitpose, _sort_weights, _find_settings, mmpose.find_provenance)
