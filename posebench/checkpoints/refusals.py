"""Recognise, by names in their files, networks that posebench does not evaluate, and say so.

Names: MMPose 0.x and 1.x, MMDetection, MMPretrain, HigherHRNet, DEKR, OpenPose, torchvision and
ultralytics, each as its own code writes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from posebench.errors import CheckpointError
from posebench.networks.backbones import Shapes

_ONE_STAGE = "which finds people and their keypoints in one pass over the image"
_BOTTOM_UP = "which finds the keypoints of a whole image and then groups them"
_INTEGRAL = "which answers with the expectation over a whole map"
_HINT = "posebench evaluates top-down networks with heatmap, SimCC or regression heads."
_CLASSIFIER_HINT = "Give the pose network that was trained from these weights."
# No pose network has more coordinates: 133 keypoints with x, y and two deviations.
_MANY_CLASSES = 600


@dataclass(frozen=True)
class _Kind:
    """A kind of network: a pattern that some tensor's name matches, and the words for it."""

    pattern: str
    what: str
    hint: str = _HINT


# The first kind that fits is named.
_BY_NAME = (
    _Kind(r"^head\.dcc\.", f"RTMO, {_ONE_STAGE}"),
    _Kind(r"^head\.head_module\.(conv_pose|out_kpt)", f"YOLOX-Pose, {_ONE_STAGE}"),
    _Kind(r"\b(pose_embed|class_embed)\.", f"ED-Pose or a detection transformer, {_ONE_STAGE}"),
    _Kind(r"\bmodel\.\d+\.(cv4\.\d+\.\d|m_kpt\.|cv4_kpts)", f"YOLO-pose, {_ONE_STAGE}"),
    _Kind(r"\bmodel\.\d+\.(dfl\.|cv3\.\d+\.\d|m\.\d\.weight)", "a YOLO detector"),
    _Kind(r"(displacement_conv_layers|offset_(feature|conv)_layers)\.", f"DEKR, {_BOTTOM_UP}"),
    _Kind(r"^head\.(iia_module|gfd_module)\.", f"CID, {_BOTTOM_UP}"),
    _Kind(r"\bfinal_layers\.\d", f"HigherHRNet, {_BOTTOM_UP}"),
    _Kind(r"^(model\d_\d\.|initial_stage\.|refinement_stages\.)", f"OpenPose, {_BOTTOM_UP}"),
    _Kind(r"\broi_heads?\.keypoint", "Keypoint R-CNN, a detector that adds keypoints"),
    _Kind(r"\b(bbox_head|rpn_head|roi_heads?|rpn|mask_head)\.", "an object detector"),
    _Kind(r"^head\.(cls|reg|obj)_preds\.", "an object detector (YOLOX)"),
    _Kind(r"^head\.simplebaseline_head\.", f"an integral or DSNT head, {_INTEGRAL}"),
    _Kind(r"\bpredict_layers\.\d", "MSPN or RSN, a heatmap network of several stages"),
    _Kind(r"\bmulti_(final|deconv)_layers\.", "CPM or an hourglass, a network of several stages"),
    _Kind(r"^head\.layers\.head\.", "an image classifier", _CLASSIFIER_HINT),
    _Kind(r"^(classifier|incre_modules)\.", "an image classifier", _CLASSIFIER_HINT),
)
# `type='…'` of the estimator, the detector or the head in the text of a config.
_BY_TYPE = {
    "BottomupPoseEstimator": "a bottom-up or one-stage pose network, which takes a whole image",
    "AssociativeEmbedding": f"associative embedding, {_BOTTOM_UP}",
    "DisentangledKeypointRegressor": f"DEKR, {_BOTTOM_UP}",
    "PoseLifter": "a network that lifts keypoints to 3D",
    "ImageClassifier": "an image classifier",
    "IntegralRegressionHead": f"an integral head, {_INTEGRAL}",
    "DSNTHead": f"an integral or DSNT head, {_INTEGRAL}",
    "RTMDet": "an object detector (RTMDet)",
    "FasterRCNN": "an object detector (Faster R-CNN)",
    "YOLOX": "an object detector (YOLOX)",
}
# A last layer that is fully connected, and whether it is a pose network's, below its head.
_FULLY_CONNECTED = re.compile(r"^(module\.)?(?P<head>(keypoint_)?head\.)?fc\.weight$")
# Names that occur in only one family of backbones.
_BACKBONES = (
    (r"stage\d\.\d+\.fuse_layers\.", "HRNet"),
    (r"(pos_embed|layers\.\d+\.attn|blocks\.\d+\.attn)", "a ViT unlike ViTPose's"),
    (r"(patch_embed|stages\.0\.blocks)", "Swin"),
    (r"conv1\.conv\.weight", "MobileNetV2 or a ShuffleNet"),
    (r"layer1\.0\.(att|conv2\.conv)", "ViPNAS"),
    (r"(module\.)?transformer\.keypoint_token", "TokenPose"),
    (r"layer1\.0\.conv1\.weight", "ResNet"),
)


def refuse_other_networks(shapes: Shapes, meta: Mapping[str, Any]) -> None:
    """Raise `CheckpointError`, naming the kind, if a state dict is not of a top-down network.

    `shapes` has the file's own names; `meta` may hold the text of its config.
    """
    text = meta.get("cfg", meta.get("config"))
    typed = re.findall(r"type['\"]?\s*[=:]\s*['\"](\w+)", text) if isinstance(text, str) else []
    named = next((_BY_TYPE[name] for name in typed if name in _BY_TYPE), None)
    kind = _kind_by_names(shapes) or _kind_by_last_layer(shapes)
    if kind is None and named is not None:
        kind = _Kind("", named)
    if kind is None and all(name.startswith("backbone.") for name in shapes):
        kind = _Kind("", "a backbone alone, without a head", _CLASSIFIER_HINT)
    if kind is not None:
        raise CheckpointError(f"This is {kind.what}.", hint=kind.hint)


def nearest_family(shapes: Shapes) -> str:
    """Name the family of backbones that these tensors' names resemble, as part of a sentence."""
    for pattern, family in _BACKBONES:
        if any(re.match(rf"(backbone\.)?{pattern}", name) for name in shapes):
            return f"; its names look like {family}"
    return ""


def _kind_by_names(shapes: Shapes) -> _Kind | None:
    return next(
        (
            kind
            for kind in _BY_NAME
            for pattern in (re.compile(kind.pattern),)
            if any(pattern.search(name) for name in shapes)
        ),
        None,
    )


def _kind_by_last_layer(shapes: Shapes) -> _Kind | None:
    """Tell a classifier from a regression head; both end in one fully connected layer."""
    for name, shape in shapes.items():
        match = _FULLY_CONNECTED.match(name)
        if match is None or len(shape) != 2:
            continue
        if match["head"] is None or shape[0] > _MANY_CLASSES or shape[0] % 2:
            return _Kind("", f"an image classifier of {shape[0]} classes", _CLASSIFIER_HINT)
    return None
