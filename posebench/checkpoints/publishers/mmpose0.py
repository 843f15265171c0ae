"""Input size, decoder, crop and flip test from an MMPose 0.x config.

Defaults are those of MMPose 0.29: `models/heads/topdown_heatmap_base_head.py`,
`models/heads/deeppose_regression_head.py`, `models/detectors/top_down.py`,
`core/evaluation/top_down_eval.py`, `datasets/pipelines/top_down_transform.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.publishers.mmconfig import lookup, odd_values_refused
from posebench.errors import CheckpointError
from posebench.networks.sizes import InputSize

Config = Mapping[str, Any]
_DECODERS = {"default": "quarter", "unbiased": "dark", None: "argmax"}
_UDP_DECODERS = {"gaussianheatmap": "udp", "combinedtarget": "udp-regress"}
_REGRESSION_HEAD = "DeepposeRegressionHead"
_HEADS = (
    *("TopdownHeatmapSimpleHead", "TopDownSimpleHead", "ViPNASHeatmapSimpleHead"),
    _REGRESSION_HEAD,
)
DATA_SETS = {
    "TopDownCocoDataset": "coco",
    "TopDownOCHumanDataset": "coco",
    "TopDownCrowdPoseDataset": "crowdpose",
    "TopDownAicDataset": "aic",
    "TopDownMpiiDataset": "mpii",
    "TopDownCocoWholeBodyDataset": "coco-wholebody",
    "FaceCocoWholeBodyDataset": "coco-wholebody-face",
    "HandCocoWholeBodyDataset": "hand21",
    "OneHand10KDataset": "hand21",
    "FreiHandDataset": "hand21",
    "Face300WDataset": "300w",
    "FaceWFLWDataset": "wflw",
    "FaceCOFWDataset": "cofw",
    "FaceAFLWDataset": "aflw",
    "AnimalAP10KDataset": "ap10k",
    "AnimalPoseDataset": "animalpose",
    "TopDownJhmdbDataset": "jhmdb",
}


def is_old(config: Config) -> bool:
    """Tell whether a config is of MMPose 0.x, which keeps the input size in `data_cfg`."""
    return "data_cfg" in config


def find_old_settings(config: Config) -> tuple[Finding, ...]:
    """Return the input size, codec, crop and flip test of a 0.x config.

    Raises `CheckpointError` if posebench would compute a setting differently.
    """
    kind = lookup(config, "model.type")
    head = lookup(config, "model.keypoint_head.type")
    if kind not in (None, "TopDown") or head not in (None, *_HEADS):
        raise CheckpointError(
            f"The config text is of MMPose 0.x for {str(kind)[:40]} with {str(head)[:40]}, which "
            "is not supported.",
            hint=f"Supported: TopDown with {', '.join(_HEADS)}.",
        )
    size = lookup(config, "data_cfg.image_size")
    with odd_values_refused():
        regression = head == _REGRESSION_HEAD
        codec = {"kind": "regression"} if regression else _codec(config)
        record: dict[str, Any] = {"codec": codec, "crop": _crop(config)}
        if isinstance(size, list | tuple) and len(size) == 2:
            record["input_size"] = str(InputSize(int(size[1]), int(size[0])))
        test = lookup(config, "model.test_cfg") or {}
        record["flip"] = {
            "test": bool(test.get("flip_test", True)),
            "shift_heatmap": bool(test.get("shift_heatmap", False)),
        }
        if regression:
            record["flip"]["shift_coords"] = bool(test.get("regression_flip_shift", False))
    return findings_of(record, "meta config of MMPose 0.x")


def _codec(config: Config) -> dict[str, Any]:
    test = lookup(config, "model.test_cfg") or {}
    if test.get("use_udp", False):
        setting = test.get("target_type", "GaussianHeatmap")
        decoder = _UDP_DECODERS.get(str(setting).lower())
    else:
        setting = test.get("post_process", "default")
        decoder = _DECODERS.get(setting if isinstance(setting, str) else None)
    if decoder is None:
        raise CheckpointError(f"Decoding by {str(setting)[:40]!r} (MMPose 0.x) is not supported.")
    return {
        "kind": "heatmap",
        "decoder": decoder,
        "blur_kernel": test.get("modulate_kernel", 11),
    }


def _crop(config: Config) -> dict[str, Any]:
    """Return the crop of the test pipeline: 0.x pads by 1.25 unless a step says otherwise."""
    pipeline = lookup(config, "data.test.pipeline") or config.get("val_pipeline") or ()
    steps = {step.get("type"): step for step in pipeline if isinstance(step, Mapping)}
    crop: dict[str, Any] = {"udp": bool(steps.get("TopDownAffine", {}).get("use_udp", False))}
    if "TopDownGetBboxCenterScale" in steps:
        crop["padding"] = steps["TopDownGetBboxCenterScale"].get("padding", 1.25)
    normalise = steps.get("NormalizeTensor", {})
    for name in ("mean", "std"):
        if name in normalise:  # of values 0-1
            crop[name] = tuple(round(float(value) * 255, 6) for value in normalise[name])
    return crop
