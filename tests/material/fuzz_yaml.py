"""Suites, claims, recipes, specs and keypoint sets damaged at random, as records and as text."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from fuzzed_files import damaged
from small_run import small_checkpoint

from posebench.checkpoints import inspect_checkpoint
from posebench.cli.planned_claims import planned_claims
from posebench.datasets.keypoints import COCO, load_keypoint_set
from posebench.errors import PosebenchError
from posebench.files.records import mapping_from_record
from posebench.running.loading import LoadedCheckpoints
from posebench.running.network_plans import Storage
from posebench.running.plan import Place, plan_without_data
from posebench.suites.claims import find_claims
from posebench.suites.recipe import load_recipe
from posebench.suites.shipped import shipped_folder
from posebench.suites.suite import load_suite

CHARACTERS = (*"[]{}:&*!|>-\n\t '\"%@`#,?0é\x00\x1b\ufeff", "<<: ", "!!python/object:", "*a")
SPEC = {
    "input_size": "64x48",
    "keypoints": "coco",
    "codec": {"kind": "heatmap", "decoder": "dark", "sigma": 1.5, "blur_kernel": 11},
    "crop": {"mean": [0, 0, 0], "std": [1, 1, 1], "channels": "rgb", "padding": 1.25},
    "flip": {"test": True, "shift_heatmap": True},
    "backbone": {"family": "resnet", "options": {"depth": 18, "base_channels": 4, "out_stage": 3}},
    "head": {"kind": "heatmap", "deconv_channels": [8], "deconv_kernels": [4]},
    "weights": "averaged",
}
CLAIM = {
    "id": "c", "statement": "s", "treatment": {"size": "64x48"}, "control": {"size": "96x80"},
    "metric": "AP", "at": {"policy": ["native", "pool"]}, "match_by": ["dataset", "checkpoint"],
    "direction": "within", "margin": 0.01, "trend": "pixels", "relative_to": {"size": "64x48"},
}  # fmt: skip
SUITE = {
    "name": "n", "description": "d", "claims": ["claims.yaml"],
    "checkpoints": [{"file": "net.safetensors", "name": "a", "labels": {"pair": "s"}}],
    "datasets": [{"name": "people", "root": "x", "category": 1, "exif": "ignore"}, "synthetic"],
    "boxes": ["gt", {"file": "boxes.json", "min_score": 0.1, "nms": 0.5}],
    "sizes": ["native", "96x80", "0.5x"], "policies": ["native", "resample", "pool"],
    "flip": ["own", False], "decoders": ["own", "dark"], "engines": ["own", "torch"],
    "precision": ["fp32"], "batch_size": 2,
    "scoring": {"rescoring": "none", "nms": "none", "replicates": 20, "seed": 1},
}  # fmt: skip


@functools.cache
def _checkpoint(folder: Path) -> Path:
    return small_checkpoint(folder / "net.safetensors")


def try_yaml(folder: Path, seed: int) -> tuple[str, ...]:
    """Damage one YAML file and use it as what it is."""
    rng = np.random.default_rng(seed)
    checkpoint = _checkpoint(folder)
    plain = _plain_files()
    (folder / "claims.yaml").write_text(yaml.safe_dump(plain["claims"]))
    name = str(rng.choice(sorted(plain)))
    path = folder / f"{name}.yaml"
    if rng.random() < 0.7:
        changed = damaged(rng, plain[name], int(rng.integers(1, 4)))
        text = yaml.safe_dump(changed, allow_unicode=True)
    else:
        text = _scribbled(rng, yaml.safe_dump(plain[name]))
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        _use(name, path, checkpoint)
    except PosebenchError as error:
        assert len(str(error)) < 20_000
        return ()
    return ("used",)


@functools.cache
def _plain_files() -> dict[str, Any]:
    recipe = shipped_folder() / "recipes" / "heatmap-s.yaml"
    return {
        "suite": SUITE,
        "claims": {"claims": [CLAIM, {**CLAIM, "id": "d"}]},
        "recipe": yaml.safe_load(recipe.read_text()),
        "spec": SPEC,
        "keypoints": mapping_from_record(COCO),
    }


def _use(name: str, path: Path, checkpoint: Path) -> None:
    if name == "recipe":
        load_recipe(path)
    elif name == "keypoints":
        load_keypoint_set(path)
    elif name == "spec":
        inspect_checkpoint(checkpoint, path)
    else:
        suite = load_suite(path.with_name("suite.yaml")) if name == "suite" else None
        claims = find_claims(suite.claims if suite else ("claims.yaml",), path.parent)
        if suite is not None:
            place = Place(path.parent, Storage())
            plan = plan_without_data(suite, place, LoadedCheckpoints(), lambda *_: None)
            planned_claims(plan, claims)


def _scribbled(rng: np.random.Generator, text: str) -> str:
    """Return a text with some characters changed, doubled, or left out."""
    for _ in range(int(rng.integers(1, 6))):
        place = int(rng.integers(len(text) + 1))
        kind = rng.integers(4)
        piece = text[place : place + int(rng.integers(1, 40))]
        if kind == 0:
            text = text[:place] + str(rng.choice(CHARACTERS)) + text[place:]
        elif kind == 1:
            text = text[:place] + str(rng.choice(CHARACTERS)) + text[place + 1 :]
        elif kind == 2:
            text = text[:place] + text[place + len(piece) :]
        else:
            text = text[:place] + piece * int(rng.integers(2, 50)) + text[place:]
    return text
