"""Codec, crop and flip test from an MMPose 1.x config.

Defaults are those of MMPose 1.3.2: `datasets/transforms/{common,topdown}_transforms.py`,
`codecs/{msra_heatmap,udp_heatmap,simcc_label,regression_label}.py`,
`models/heads/heatmap_heads/heatmap_head.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.publishers.mmconfig import lookup, odd_values_refused
from posebench.checkpoints.publishers.mmvit import find_vit, is_vit
from posebench.errors import CheckpointError
from posebench.networks.codecs.offset_maps import RADIUS_FACTOR
from posebench.networks.codecs.simcc import MAX_SPLIT_RATIO
from posebench.networks.sizes import InputSize

Config = Mapping[str, Any]
# Settings that change what a network computes, with the values that posebench supports.
_COMPUTED: dict[str, tuple[Any, ...]] = {
    # A distillation's published weights are those of the student, under its own names.
    "model.type": ("TopdownPoseEstimator", "DWPoseDistiller"),
    "model.neck.type": ("CSPNeXtPAFPN", "FeatureMapProcessor", "GlobalAveragePooling"),
    "model.neck.out_channels": (),
    "model.neck.out_indices": ((1, 2),),
    "model.neck.use_depthwise": (False,),
    "model.neck.norm_cfg.eps": (1e-5,),
    "model.neck.act_cfg.type": ("SiLU",),
    "model.backbone.norm_cfg.eps": (1e-5,),
    "model.backbone.conv_cfg": (),
    "model.head.type": (
        *("HeatmapHead", "ViPNASHead", "SimCCHead", "RTMCCHead", "RTMWHead"),
        *("RegressionHead", "RLEHead"),
    ),
    "model.head.gau_cfg.act_fn": ("SiLU",),
    "model.head.gau_cfg.pos_enc": (False,),
    "model.head.gau_cfg.use_rel_bias": (False,),
    "model.test_cfg.flip_mode": ("heatmap", "udp_combined"),
}
_RESNET: dict[str, tuple[Any, ...]] = {
    "style": ("pytorch",),
    # The weights tell how many stages there are.
    "strides": ((1, 2, 2, 2), (1, 2, 2)),
    "dilations": ((1, 1, 1, 1), (1, 1, 1)),
}
# The same, by type of backbone, for settings that leave no trace in its weights.
_BACKBONES: dict[str, dict[str, tuple[Any, ...]]] = {
    "AlexNet": {},
    "CSPNeXt": {"act_cfg.type": ("SiLU",)},
    "HRFormer": {
        "extra.upsample.mode": ("bilinear",),
        "extra.upsample.align_corners": (False,),
        "extra.with_pad_mask": (False,),
        "transformer_norm_cfg.eps": (1e-6,),
    },
    "HRNet": {"extra.upsample.mode": ("nearest",)},
    "LiteHRNet": {},
    "MobileNetV2": {"act_cfg.type": ("ReLU6",)},
    "ResNeSt": {**_RESNET, "avg_down_stride": (True,)},
    "ResNeXt": _RESNET,
    "ResNet": _RESNET,
    "ResNetV1d": _RESNET,
    "SCNet": _RESNET,
    "SEResNeXt": _RESNET,
    "SEResNet": _RESNET,
    "ShuffleNetV1": {"act_cfg.type": ("ReLU",)},
    "ShuffleNetV2": {"act_cfg.type": ("ReLU",)},
    "VGG": {
        "act_cfg.type": ("ReLU",),
        "ceil_mode": (False,),
        "dilations": ((1,) * 5,),
        "with_last_pool": (True,),
    },
    "ViPNAS_MobileNetV3": {"act": (), "stride": ()},
    "VisionTransformer": {},
    "ViPNAS_ResNet": {**_RESNET, "avg_down": (False,), "deep_stem": (False,)},
}
_PIPELINES = (
    "test_dataloader.dataset.pipeline",
    "val_dataloader.dataset.pipeline",
    "test_pipeline",
    "val_pipeline",
)
_UDP_DECODERS = {"gaussian": "udp", "combined": "udp-regress"}
# For a Vision Transformer, `find_vit` reads these.
_READ_OF_VIT = ("model.backbone.norm_cfg.eps",)


def find_settings(config: Config, overrides: tuple[Finding, ...] = ()) -> tuple[Finding, ...]:
    """Return the codec, crop and flip test of a config; nothing for an empty config.

    Raises `CheckpointError` if posebench would compute a setting differently.
    """
    if not isinstance(lookup(config, "model"), Mapping):
        return ()
    overruled = any(finding.field == "codec.kind" for finding in overrides)
    with odd_values_refused():
        _check_computed(config)
        return (
            *find_vit(config),
            *(() if overruled else _codec(config)),
            *_crop(config),
            *_flip(config),
        )


def _check_computed(config: Config) -> None:
    for path, values in _COMPUTED.items():
        if not (path in _READ_OF_VIT and is_vit(config)):
            _check_setting(config, path, values)
    _check_setting(config, "model.backbone.type", tuple(_BACKBONES))
    kind = _plain(lookup(config, "model.backbone.type"))
    for setting, values in _BACKBONES.get(kind, {}).items():
        _check_setting(config, f"model.backbone.{setting}", values)


def _check_setting(config: Config, path: str, values: tuple[Any, ...]) -> None:
    value = lookup(config, path)
    if value is not None and _plain(value) not in values:
        known = ", ".join(map(str, values)) or "absent"
        raise CheckpointError(
            f"The config text sets {path} to {str(value)[:60]!r}, which is not supported.",
            hint=f"Supported: {known}. Other networks run as ONNX.",
        )


def _plain(value: Any) -> Any:
    """Return a type's name without its scope, and a sequence as a tuple."""
    if isinstance(value, str):
        return value.rpartition(".")[2]
    return tuple(value) if isinstance(value, list) else value


def _codec(config: Config) -> tuple[Finding, ...]:
    codec = config.get("codec", lookup(config, "model.head.decoder"))
    if codec is None:
        return ()
    kind = codec.get("type") if isinstance(codec, Mapping) else None
    if not isinstance(codec, Mapping) or kind not in _CODECS:
        raise CheckpointError(
            f"The config text has the codec {str(kind or codec)[:60]!r}, which is not supported.",
            hint=f"Supported: {', '.join(_CODECS)}.",
        )
    width, height = _numbers(codec.get("input_size"), 2, "codec.input_size")
    record = {"input_size": str(InputSize(int(height), int(width))), "codec": _CODECS[kind](codec)}
    return findings_of(record, f"meta.cfg codec {kind}")


def _msra(codec: Config) -> dict[str, Any]:
    return {
        "kind": "heatmap",
        "decoder": "dark" if codec.get("unbiased", False) else "quarter",
        "sigma": _number(codec.get("sigma", 2.0), "codec.sigma"),
        "blur_kernel": codec.get("blur_kernel_size", 11),
    }


def _udp(codec: Config) -> dict[str, Any]:
    variant, factor = codec.get("heatmap_type", "gaussian"), codec.get("radius_factor")
    if variant not in _UDP_DECODERS:
        raise CheckpointError(f"UDPHeatmap of heatmap_type {variant!r} is not supported.")
    if variant == "combined" and factor not in (None, RADIUS_FACTOR):
        raise CheckpointError(f"UDPHeatmap with radius_factor {factor!r} is not supported.")
    return {
        "kind": "heatmap",
        "decoder": _UDP_DECODERS[variant],
        "sigma": _number(codec.get("sigma", 2.0), "codec.sigma"),
        "blur_kernel": codec.get("blur_kernel_size", 11),
    }


def _simcc(codec: Config) -> dict[str, Any]:
    # `decode_visibility` adds visibilities, which no metric reads; keypoints and scores do not
    # change.
    if codec.get("use_dark", False):
        raise CheckpointError("SimCCLabel with use_dark is not supported.")
    sigma = codec.get("sigma", 6.0)
    pair = (sigma, sigma) if isinstance(sigma, int | float) else sigma
    return {
        "kind": "simcc",
        "split_ratio": _split_ratio(codec.get("simcc_split_ratio", 2.0)),
        "sigma": _numbers(pair, 2, "codec.sigma"),
        "normalize": bool(codec.get("normalize", True)),
    }


def _split_ratio(value: Any) -> float:
    ratio = _number(value, "codec.simcc_split_ratio")
    if not 0 < ratio <= MAX_SPLIT_RATIO:
        raise CheckpointError(
            f"The config text sets codec.simcc_split_ratio to {ratio}: bins per pixel are above 0.",
            hint="Give --spec FILE.yaml with codec: {kind: simcc, split_ratio: 2.0}, or the number"
            " that the network was trained with.",
        )
    return ratio


_CODECS: dict[str, Callable[[Config], dict[str, Any]]] = {
    "MSRAHeatmap": _msra,
    "UDPHeatmap": _udp,
    "SimCCLabel": _simcc,
    "RegressionLabel": lambda _codec: {"kind": "regression"},
}


def _crop(config: Config) -> tuple[Finding, ...]:
    found: list[Finding] = []
    steps = _test_pipeline(config)
    if "TopdownAffine" in steps:
        udp = bool(steps["TopdownAffine"].get("use_udp", False))
        found.append(Finding("crop.udp", udp, "meta.cfg TopdownAffine"))
    if "GetBBoxCenterScale" in steps:
        padding = _number(steps["GetBBoxCenterScale"].get("padding", 1.25), "padding")
        found.append(Finding("crop.padding", padding, "meta.cfg GetBBoxCenterScale"))
    inputs = lookup(config, "model.data_preprocessor")
    if isinstance(inputs, Mapping):
        record = {
            "channels": "rgb" if inputs.get("bgr_to_rgb", False) else "bgr",
            "mean": _numbers(inputs.get("mean") or (0, 0, 0), 3, "data_preprocessor.mean"),
            "std": _numbers(inputs.get("std") or (1, 1, 1), 3, "data_preprocessor.std"),
        }
        found.extend(findings_of({"crop": record}, "meta.cfg data_preprocessor"))
    return tuple(found)


def _test_pipeline(config: Config) -> dict[str, Mapping[str, Any]]:
    """Return the steps of the test pipeline, by type."""
    for path in _PIPELINES:
        steps = lookup(config, path)
        if isinstance(steps, list | tuple):
            return {
                str(step["type"]): step
                for step in steps
                if isinstance(step, Mapping) and "type" in step
            }
    return {}


def _flip(config: Config) -> tuple[Finding, ...]:
    test = lookup(config, "model.test_cfg")
    if not isinstance(test, Mapping):
        return ()
    flip = {
        "test": bool(test.get("flip_test", False)),
        "shift_heatmap": bool(test.get("shift_heatmap", False)),
        "shift_coords": bool(test["shift_coords"]) if "shift_coords" in test else None,
    }
    return findings_of({"flip": flip}, "meta.cfg test_cfg")


def _number(value: Any, name: str) -> float:
    if type(value) not in (int, float):
        raise CheckpointError(f"The config text sets {name} to {str(value)[:60]!r}.")
    return float(value)


def _numbers(values: Any, count: int, name: str) -> tuple[float, ...]:
    if not isinstance(values, list | tuple) or len(values) != count:
        raise CheckpointError(f"The config text sets {name} to {str(values)[:60]!r}.")
    return tuple(_number(value, name) for value in values)
