"""A suite that trains two tiny arms, and a training that takes no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

from posebench.checkpoints.native import save_checkpoint
from posebench.lab.training import Recipe, TrainingOutcome
from posebench.lab.training.initial_weights import initialise
from posebench.lab.training.provenance import portable
from posebench.networks.model import build_model

BASE: dict[str, Any] = {
    "model": {
        "backbone": {
            "family": "resnet",
            "options": {"depth": 18, "base_channels": 4, "out_stage": 3},
        },
        "head": {"kind": "heatmap"},
        "codec": {"kind": "heatmap"},
        "input_size": "64x48",
    },
    "optimisation": {"samples": 64, "batch_size": 8, "precision": "fp32"},
    "data": {"scenes": 8},
    "evaluations": 4,
}
ARMS: dict[str, Any] = {
    "heatmap": {},
    "simcc": {"model.head": {"kind": "simcc"}, "model.codec": {"kind": "simcc"}},
}


def lab_suite(folder: Path, suite: dict[str, Any] | None = None, **trained: Any) -> Path:
    """Write a suite of a heatmap and a SimCC arm, and its base recipe; `trained` has more keys."""
    (folder / "base.yaml").write_text(yaml.safe_dump(BASE), encoding="utf-8")
    fields = {"base": "base.yaml", "arms": ARMS, "factor": ["model.head", "model.codec"], **trained}
    written = {
        "name": "lab",
        "description": "d",
        "scoring": {"replicates": 20},
        "trained": fields,
        **(suite or {}),
    }
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    return path


def instant_training(
    recipe: Recipe,
    out: Path,
    _evaluate: object,
    progress: Callable[[str, int, int], None],
    _device: str,
) -> TrainingOutcome:
    """Write the initial weights as the trained ones."""
    model = build_model(recipe.model)
    initialise(model, recipe.seed)
    progress("train", recipe.steps, recipe.steps)
    checkpoint = out / f"{recipe.name}.safetensors"
    made = {"recipe": portable(recipe), "data": {"sha256": "da" * 32}}
    save_checkpoint(checkpoint, model.eval(), made, dtype=torch.float32)
    at_sizes = {}
    for factor in recipe.test_sizes:
        size = recipe.model.input_size.scaled(factor)
        at_sizes[size] = out / f"{recipe.name}@{size}.safetensors"
        sized = build_model(replace(recipe.model, input_size=size))
        initialise(sized, recipe.seed)
        save_checkpoint(at_sizes[size], sized.eval(), made, dtype=torch.float32)
    curve = out / f"{recipe.name}.curve.json"
    curve.write_text(json.dumps({"curve": []}), encoding="utf-8")
    return TrainingOutcome(checkpoint, curve, {"AP": 0.5}, at_sizes)
