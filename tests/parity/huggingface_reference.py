"""Hugging Face's VitPose at its published sizes against posebench, network outputs only."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from posebench.checkpoints import load_checkpoint
from posebench.reporting.text_tables import markdown_table

# What the published config.json files set; everything else is transformers' default, as there.
_SMALL = {"hidden_size": 384, "num_experts": 6, "part_features": 96}
VARIANTS: dict[str, tuple[bool, dict[str, Any]]] = {
    "vitpose-base": (False, {}),
    "vitpose-base-simple": (True, {}),
    "vitpose-plus-small": (False, _SMALL),
    "vitpose-plus-base": (False, {"num_experts": 6, "part_features": 192}),
}
CROPS = 2
LIMIT = 1e-4


@dataclass(frozen=True)
class NetworkRow:
    """The largest difference of one network's heatmaps, relative to the largest of them."""

    name: str
    parameters: int
    raw: float


def compare_huggingface(name: str) -> NetworkRow:
    """Save a seeded network of transformers and compare what it and posebench compute of it."""
    import transformers

    models: Any = transformers  # whose annotations leave arguments out
    simple, options = VARIANTS[name]
    backbone = models.VitPoseBackboneConfig(out_indices=[12], **options)
    config = models.VitPoseConfig(
        backbone_config=backbone, num_labels=17, use_simple_decoder=simple
    )
    torch.manual_seed(1)
    model = models.VitPoseForPoseEstimation(config).eval()
    crops = torch.randn(CROPS, 3, 256, 192)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02)
        model.save_pretrained(folder)
        checkpoint = load_checkpoint(Path(folder))
        expected = model(crops, dataset_index=torch.zeros(CROPS, dtype=torch.long)).heatmaps
        (found,) = checkpoint.network(crops)
    assert checkpoint.parameters is not None
    gap = float((found - expected).abs().max() / expected.abs().max())
    return NetworkRow(name, checkpoint.parameters, gap)


def huggingface_lines() -> Iterator[str]:
    """Yield the report's section, line by line; nothing where transformers is not installed."""
    try:
        import transformers
    except ImportError:
        return
    yield from ("", "# Parity with Hugging Face's VitPose", "")
    yield (
        f"Seeded networks of transformers {transformers.__version__} at the published sizes, "
        f"written by its `save_pretrained`; heatmaps of {CROPS} random crops, limit {LIMIT:g}. "
        "Crop and decoder are compared with MMPose's above, whose they are; transformers' own "
        "image processor computes something else."
    )
    found = [compare_huggingface(name) for name in VARIANTS]
    rows = [(row.name, f"{row.parameters / 1e6:.2f} M", f"{row.raw:.1e}") for row in found]
    yield from ("", *markdown_table(("network", "parameters", "raw, relative"), rows), "")
