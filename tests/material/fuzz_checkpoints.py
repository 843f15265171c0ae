"""What checkpoints say of themselves, damaged at random: MMPose's configs, posebench's records."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from fuzzed_files import damaged
from safetensors import safe_open
from small_networks import SPECS, config_text, make_model

from posebench.checkpoints import inspect_checkpoint, load_checkpoint
from posebench.checkpoints.native import save_checkpoint
from posebench.errors import PosebenchError

LITERALS = (
    "0", "-1", "1", "2.5", "nan", "1e400", "-1e400", "1e9", "1e-30", "10**9", "9" * 30, "None",
    "True", "''", "'x'", "'RTMCCHead'", "'UDPHeatmap'", "[]", "{}", "()", "[[]]", "[1] * 99",
    "(48, 64)", "(0, 0)", "(1e9, 1e9)", "[None] * 3", "dict()", "dict(type='CSPNeXt')", "codec",
    "model", "['\\x1b[31m']", "'x' * 9", "__import__('os')", "1 if True else 2", "-0.0",
)  # fmt: skip
_VALUE = re.compile(r"(?<=[=\[(, ])(?:-?\d[\d.]*|True|False|'[^'\n]*')(?=[,)\]\n])")
META: dict[str, Any] = {
    "epoch": 3,
    "dataset_meta": {
        "dataset_name": "coco",
        "num_keypoints": 17,
        "flip_indices": list(range(17)),
        "keypoint_id2name": {index: f"k{index}" for index in range(17)},
        "sigmas": [0.05] * 17,
    },
    "mmengine_version": "0.10.3",
}


def try_checkpoint(folder: Path, seed: int) -> tuple[str, ...]:
    """Damage what a checkpoint says of itself, then inspect and load it."""
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(sorted(SPECS)))
    path = _native(rng, folder, kind) if rng.random() < 0.4 else _mmpose(rng, folder, kind)
    try:
        inspected = inspect_checkpoint(path)
        assert all(len(str(each)) < 20_000 for each in inspected.evidence)
        load_checkpoint(path)
    except PosebenchError as error:
        assert len(str(error)) < 20_000
        return ()
    return ("used",)


@functools.cache
def _state(kind: str) -> dict[str, torch.Tensor]:
    return make_model(kind).state_dict()


def _mmpose(rng: np.random.Generator, folder: Path, kind: str) -> Path:
    text = config_text(kind)
    for _ in range(int(rng.integers(1, 4))):
        values = list(_VALUE.finditer(text))
        chosen = values[rng.integers(len(values))]
        way = rng.integers(5)
        if way == 0:
            lines = text.splitlines(keepends=True)
            del lines[rng.integers(len(lines))]
            text = "".join(lines)
        elif way == 1:
            begin = int(rng.integers(len(text)))
            text = text[:begin] + text[begin + int(rng.integers(1, 9)) :]
        else:
            text = text[: chosen.start()] + str(rng.choice(LITERALS)) + text[chosen.end() :]
        if not _VALUE.search(text):
            break
    meta = META if rng.random() < 0.5 else damaged(rng, META, 1)
    content: Any = {"meta": {**meta, "cfg": text}, "state_dict": _state(kind)}
    if rng.random() < 0.1:
        content["meta"] = rng.choice(["text", text])
    if rng.random() < 0.1:
        content["state_dict_ema"] = {}
    path = folder / "net.pth"
    torch.save(content, path)
    return path


@functools.cache
def _record(folder: Path, kind: str) -> tuple[str, dict[str, Any]]:
    """Return the key and the record of a file that posebench wrote."""
    path = folder / f"{kind}.safetensors"
    save_checkpoint(path, make_model(kind), {"recipe": {"name": "tiny"}, "assumed": ["keypoints"]})
    with safe_open(path, "pt") as file:
        ((key, text),) = file.metadata().items()
    return key, json.loads(text)


def _native(rng: np.random.Generator, folder: Path, kind: str) -> Path:
    key, record = _record(folder, kind)
    text = json.dumps(damaged(rng, record, int(rng.integers(1, 4))))
    if rng.random() < 0.1:
        text = text[: int(rng.integers(len(text)))]
    path = folder / "damaged.safetensors"
    safetensors.torch.save_file(dict(_state(kind)), path, {key: text})
    return path
