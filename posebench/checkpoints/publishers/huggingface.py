"""State dicts and `config.json` of Hugging Face's VitPose (`transformers/models/vitpose`).

The network's outputs must match theirs. Crop and decoder are ViTPose's own; transformers 5.23
differs from them: SciPy warps the crops (0.24 grey levels away on average, more at image borders),
and its decoder blurs with a sigma of 0.8 instead of 2, which doubles the error on noisy heatmaps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.publishers.publisher import Publisher, StateFile, Stored, Weights
from posebench.checkpoints.publishers.vit_weights import (
    EXPERTS_DROPPED,
    POSITIONS,
    join_experts,
    joined,
    rename,
    with_class_row_added,
)
from posebench.errors import CheckpointError, SpecError
from posebench.files.records import record_from_mapping
from posebench.networks.shapes import count_numbers

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
_STORED_POSITIONS = "backbone.embeddings.position_embeddings"
_LAYER = r"backbone\.encoder\.layer\.(\d+)\."
_NAMES = (
    (re.escape(_STORED_POSITIONS), POSITIONS),
    (r"backbone\.embeddings\.patch_embeddings\.", "backbone.patch_embed."),
    (rf"{_LAYER}layernorm_before\.", r"backbone.layers.\1.ln1."),
    (rf"{_LAYER}layernorm_after\.", r"backbone.layers.\1.ln2."),
    (rf"{_LAYER}attention\.output\.dense\.", r"backbone.layers.\1.attn.proj."),
    (rf"{_LAYER}attention\.attention\.", r"backbone.layers.\1.attn."),
    (rf"{_LAYER}mlp\.fc1\.", r"backbone.layers.\1.ffn.layers.0.0."),
    (rf"{_LAYER}mlp\.fc2\.", r"backbone.layers.\1.ffn.layers.1."),
    (rf"{_LAYER}mlp\.experts\.", r"backbone.layers.\1.ffn.experts."),
    (r"backbone\.layernorm\.", "backbone.ln1."),
    (r"head\.deconv1\.", "head.deconv_layers.0."),
    (r"head\.batchnorm1\.", "head.deconv_layers.1."),
    (r"head\.deconv2\.", "head.deconv_layers.3."),
    (r"head\.batchnorm2\.", "head.deconv_layers.4."),
    (r"head\.conv\.", "head.final_layer."),
)
_QUERY = re.compile(r"(backbone\.layers\.\d+\.attn\.)query\.(weight|bias)")
_PROVENANCE = ("transformers_version", "_name_or_path")
_Record = TypeVar("_Record")


@dataclass(frozen=True)
class _BackboneConfig:
    """The fields of `VitPoseBackboneConfig` that affect the computation, with its defaults."""

    model_type: Literal["vitpose_backbone"] = "vitpose_backbone"
    image_size: int | tuple[int, int] = (256, 192)
    patch_size: Literal[16] | tuple[Literal[16], Literal[16]] = 16
    num_channels: Literal[3] = 3
    num_attention_heads: int = 12
    hidden_act: Literal["gelu"] = "gelu"
    layer_norm_eps: float = 1e-12
    out_indices: tuple[int, ...] | None = None
    out_features: tuple[str, ...] | None = None

    @property
    def input_size(self) -> str:
        """Height and width as posebench writes them."""
        size = self.image_size
        return f"{size}x{size}" if isinstance(size, int) else f"{size[0]}x{size[1]}"


@dataclass(frozen=True)
class _Config:
    """The fields of `VitPoseConfig` that affect the computation, with its defaults."""

    model_type: Literal["vitpose"]
    backbone_config: dict[str, Any]
    use_simple_decoder: bool = True
    scale_factor: int = 4


@dataclass(frozen=True)
class _Preprocessor:
    """The pixel scaling of `VitPoseImageProcessor`, with its defaults."""

    image_mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    image_std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    rescale_factor: float = 1 / 255

    def __post_init__(self) -> None:
        if not self.rescale_factor > 0:
            raise SpecError(f"rescale_factor {self.rescale_factor} is not above 0.")

    def crop(self) -> dict[str, list[float]]:
        """Return the mean and standard deviation for pixel values 0-255."""
        values = {"mean": self.image_mean, "std": self.image_std}
        return {key: [round(v / self.rescale_factor, 6) for v in values[key]] for key in values}


def _is_huggingface(file: StateFile) -> bool:
    return _STORED_POSITIONS in file.state


def _sort_weights(file: StateFile) -> Weights:
    tensors, experts = join_experts(rename(file.state, _NAMES))
    if POSITIONS in tensors:
        tensors[POSITIONS] = with_class_row_added(tensors[POSITIONS])
    joined_up: dict[str, Stored] = {}
    for name in tensors:
        match = _QUERY.fullmatch(name)
        if match is not None:
            parts = [f"{match[1]}{part}.{match[2]}" for part in ("query", "key", "value")]
            if all(part in tensors for part in parts):
                joined_up[f"{match[1]}qkv.{match[2]}"] = joined([tensors[part] for part in parts])
    for name in joined_up:
        for part in ("query", "key", "value"):
            del tensors[name.replace("qkv", part)]
    dropped = ((EXPERTS_DROPPED, experts),) if experts else ()
    return Weights({**tensors, **joined_up}, dropped)


def _find_settings(
    file: StateFile, shapes: Mapping[str, tuple[int, ...]], _overrides: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    """Return the settings in `config.json` and the protocol of ViTPose, the weights' origin."""
    protocol = {
        "codec": {"decoder": "udp"},
        "crop": {"udp": True, "channels": "rgb"},
        "flip": {"shift_heatmap": False},
    }
    found = findings_of(protocol, "assumed: ViTPose's COCO configs, whose weights these are")
    config, preprocessor = file.meta.get(CONFIG), file.meta.get(PREPROCESSOR)
    if config is not None:
        where = f"{file.name}/{CONFIG}"
        found = (*found, *_network(_record(_Config, config, where), shapes, where))
    if preprocessor is not None:
        pixels = _record(_Preprocessor, preprocessor, f"{file.name}/{PREPROCESSOR}")
        found = (*found, *findings_of({"crop": pixels.crop()}, PREPROCESSOR))
    return found


def _network(
    config: _Config, shapes: Mapping[str, tuple[int, ...]], where: str
) -> tuple[Finding, ...]:
    """Return findings on the network from `config.json`.

    Raises `CheckpointError` if the head is fed from another layer than the last.
    """
    backbone = _record(_BackboneConfig, config.backbone_config, f"{where}: backbone_config")
    last = count_numbers(shapes, r"backbone\.layers\.(\d+)\.")
    stages = (*(backbone.out_indices or ())[-1:], *(backbone.out_features or ())[-1:])
    early = [stage for stage in stages if stage not in (last, -1, f"stage{last}")]
    if early:
        raise CheckpointError(
            f"{where} feeds the head from {early[0]}; only the last of {last} layers can be."
        )
    options = {
        "num_heads": backbone.num_attention_heads,
        "norm_eps": backbone.layer_norm_eps,
        "img_size": backbone.input_size,
    }
    record: dict[str, Any] = {"backbone": {"options": options}, "input_size": backbone.input_size}
    if config.use_simple_decoder:
        record["head"] = {"upsample": config.scale_factor}
    return findings_of(record, CONFIG)


def _record(kind: type[_Record], mapping: Mapping[str, Any], where: str) -> _Record:
    """Build a record from the fields that it knows; a config file has many more."""
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    plain = {key: value for key, value in mapping.items() if key in known}
    return record_from_mapping(kind, plain, where=where)


def _find_provenance(file: StateFile) -> dict[str, Any]:
    config = file.meta.get(CONFIG, {})
    return {key: config[key] for key in _PROVENANCE if isinstance(config.get(key), str)}


HUGGING_FACE = Publisher(
    "huggingface", _is_huggingface, _sort_weights, _find_settings, _find_provenance
)
