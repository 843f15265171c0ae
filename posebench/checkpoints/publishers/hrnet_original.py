"""Files of the HRNet and SimpleBaseline repositories: bare names, settings of their test configs.

Facts: leoxiaobin/deep-high-resolution-net.pytorch and microsoft/human-pose-estimation.pytorch,
`lib/core/{inference,function}.py`, `lib/dataset/JointsDataset.py`, `experiments/`. A training
checkpoint's `best_state_dict` is the same model at the same moment as its `state_dict`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from posebench.checkpoints import file_names
from posebench.checkpoints.findings import Finding, findings_of
from posebench.checkpoints.publishers.publisher import (
    TRAINING_STATE,
    Publisher,
    StateFile,
    Weights,
    unwrapped,
)

_HEAD = re.compile(r"(deconv_layers|final_layer|mlp_head_[xy])\.")
DEFAULT = "default of the repository's test configs"


def is_original(file: StateFile) -> bool:
    """Tell whether backbone and head lie side by side in a file, under these repositories' names.

    The SimCC repository has them too.
    """
    names = unwrapped(file.state)
    return "conv1.weight" in names and "final_layer.weight" in names


def sort_weights(file: StateFile) -> Weights:
    """Put tensors under `backbone` and `head`, as MMPose 1.x names them."""
    state = unwrapped(file.state)
    upsampled = any(name.startswith("deconv_layers.") for name in state)
    maps = "head.deconv_head." if upsampled and has_simcc_head(file) else "head."
    tensors = {}
    for name, tensor in state.items():
        match = _HEAD.match(name)
        below = "head." if match and match[1].startswith("mlp") else maps
        tensors[(below if match else "backbone.") + name] = tensor
    return Weights(tensors, ((TRAINING_STATE, file.others),))


def has_simcc_head(file: StateFile) -> bool:
    """Tell whether a file with these names ends in one linear layer per axis."""
    return "mlp_head_x.weight" in unwrapped(file.state)


def find_crop(shapes: Mapping[str, tuple[int, ...]]) -> tuple[Finding, ...]:
    """Return the crop: HRNet was trained on RGB, ResNet on BGR with mean and std in RGB's order."""
    is_hrnet = any(name.startswith("backbone.transition1.") for name in shapes)
    channels, network = ("rgb", "HRNet") if is_hrnet else ("bgr", "ResNet")
    found = Finding("crop.channels", channels, f"{DEFAULT} for {network}")
    return (*findings_of({"crop": {"padding": 1.25, "udp": False}}, DEFAULT), found)


def find_provenance(_file: StateFile) -> Mapping[str, Any]:
    """Return nothing, because these files do not record how they were made."""
    return {}


def _find_settings(
    file: StateFile, shapes: Mapping[str, tuple[int, ...]], _overrides: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    record = {
        "codec": {"decoder": "quarter", "rules": "hrnet"},
        "flip": {"test": True, "shift_heatmap": True},
    }
    caffe = Finding("backbone.options.style", "caffe", "file name")
    return (
        *findings_of(record, DEFAULT),
        *find_crop(shapes),
        *file_names.find_decoder(file.name),
        *((caffe,) if "caffe" in file.name.lower() else ()),
    )


HRNET = Publisher(
    "hrnet-original",
    lambda file: is_original(file) and not has_simcc_head(file),
    sort_weights,
    _find_settings,
    find_provenance,
)
