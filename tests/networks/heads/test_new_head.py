"""A head in `HEADS` is known everywhere: the one here has only its bins size-locked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.native import save_checkpoint
from posebench.errors import UnsupportedSizeError
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import SimccCodec
from posebench.networks.grids import SizeLockedLayer, bins_at
from posebench.networks.heads import HEADS, HeadFamily, Surroundings
from posebench.networks.heads.losses import divergence_of_bins
from posebench.networks.model import PoseModel, build_model
from posebench.networks.policies import apply_policy
from posebench.networks.shapes import Shapes
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

SIZE, OTHER = InputSize(128, 96), InputSize(192, 160)


@dataclass(frozen=True)
class MeanOptions:
    width: int = 4


class MeanHead(nn.Module):
    """The mean of each keypoint's maps, and a linear layer per axis."""

    def __init__(self, options: MeanOptions, around: Surroundings) -> None:
        super().__init__()
        assert isinstance(around.codec, SimccCodec)
        self.keypoints, bins = around.keypoints, bins_at(around.codec, around.size)
        self.mix = nn.Conv2d(around.in_channels, around.keypoints * options.width, 1)
        self.x = nn.Linear(options.width, bins.x)
        self.y = nn.Linear(options.width, bins.y)

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        mean = self.mix(features).mean((2, 3)).unflatten(1, (self.keypoints, -1))
        return self.x(mean), self.y(mean)


def recognise(shapes: Shapes, _backbone: BackboneSpec | None) -> dict[str, Any] | None:
    return {"width": shapes["x.weight"][1]} if "mix.weight" in shapes else None


def set_bias(head: MeanHead, _generator: torch.Generator) -> None:
    head.x.bias.fill_(0.5)


MEAN = HeadFamily(
    options=MeanOptions,
    build=MeanHead,
    recognise=recognise,
    channels=lambda shapes: shapes["mix.weight"][0] // shapes["x.weight"][1],
    codec=SimccCodec,
    loss=divergence_of_bins,
    size_locked=(
        SizeLockedLayer("x", cells=0, bins="x"),
        SizeLockedLayer("y", cells=0, bins="y"),
    ),
    initialise=set_bias,
)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> PoseModel:
    monkeypatch.setitem(HEADS, "mean", MEAN)
    backbone = BackboneSpec("cspnext", {"deepen_factor": 0.167, "widen_factor": 0.125})
    spec = ModelSpec(backbone, HeadSpec("mean", {"width": 3}), SimccCodec(), SIZE)
    model = build_model(spec).eval()
    initialise(model, 0)
    return model


def outputs(network: Any, size: InputSize) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        result: tuple[Tensor, ...] = network(
            torch.randn(1, 3, size.height, size.width, generator=generator)
        )
    return result


def test_its_own_initial_weights_come_last(model: PoseModel) -> None:
    assert model.get_parameter("head.x.bias").unique().tolist() == [0.5]
    assert model.get_parameter("head.y.bias").unique().tolist() == [0]


def test_its_files_are_recognised_with_their_trained_size(model: PoseModel, tmp_path: Path) -> None:
    path = tmp_path / "mean.pth"
    torch.save({"state_dict": model.state_dict(), "meta": {}}, path)
    found = load_checkpoint(path)
    assert found.spec.head == HeadSpec("mean", {"width": 3})
    assert (found.spec.input_size, found.spec.paradigm) == (SIZE, "simcc")
    own = tmp_path / "mean.safetensors"
    save_checkpoint(own, model, {}, dtype=torch.float32)
    for checkpoint in (found, load_checkpoint(own)):
        pairs = zip(outputs(checkpoint.network, SIZE), outputs(model, SIZE), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)


def test_it_runs_at_other_sizes_by_policy(model: PoseModel) -> None:
    with pytest.raises(UnsupportedSizeError, match=r"192\+256 bins are fixed by training"):
        apply_policy(model, OTHER, "native")
    pooled = outputs(apply_policy(model, OTHER, "pool"), OTHER)
    stretched = outputs(apply_policy(model, OTHER, "interpolate"), OTHER)
    assert [output.shape[-1] for output in pooled] == [192, 256]
    assert [output.shape[-1] for output in stretched] == [320, 384]
