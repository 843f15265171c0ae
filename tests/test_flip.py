"""Flip test on cases whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from posebench.codecs import HeatmapCodec, SimccCodec
from posebench.flip import flip_average, predict_outputs
from posebench.keypoints import KeypointSet
from posebench.sizes import InputSize
from posebench.spec import BackboneSpec, FlipSpec, HeadSpec, ModelSpec

FACE = KeypointSet("face", ("nose", "left_eye", "right_eye"), (0.1, 0.1, 0.1), ((1, 2),))
SWAP = FACE.flip_indices


def heatmaps_of(columns: list[int]) -> Tensor:
    """Return (1, K, 2, 6) heatmaps with a 1 in row 1 of the given columns."""
    heatmaps = torch.zeros(1, len(columns), 2, 6)
    for keypoint, column in enumerate(columns):
        heatmaps[0, keypoint, 1, column] = 1
    return heatmaps


def test_heatmaps_of_a_mirrored_person_come_back_in_place() -> None:
    # Column c of 6 mirrors to 5 - c, and the eyes change names.
    straight, mirrored = heatmaps_of([2, 1, 4]), heatmaps_of([3, 1, 4])
    (averaged,) = flip_average((straight,), (mirrored,), SWAP, shift_heatmap=False)
    assert torch.equal(averaged, straight)


def test_shift_moves_flipped_heatmaps_right_and_keeps_column_zero() -> None:
    mirrored = torch.arange(6.0).expand(1, 3, 2, 6)
    (averaged,) = flip_average((torch.zeros(1, 3, 2, 6),), (mirrored,), SWAP, shift_heatmap=True)
    assert averaged[0, 0, 0].tolist() == [2.5, 2.5, 2.0, 1.5, 1.0, 0.5]


def test_simcc_flips_x_only_and_never_shifts() -> None:
    x, y = torch.arange(12.0).reshape(1, 3, 4), torch.arange(15.0).reshape(1, 3, 5)
    mirrored = (x[:, [0, 2, 1]].flip(-1), y[:, [0, 2, 1]])
    averaged = flip_average((x, y), mirrored, SWAP, shift_heatmap=True)
    assert torch.equal(averaged[0], x)
    assert torch.equal(averaged[1], y)


class Echo:
    """A network that puts out its input's channels as keypoints: heatmaps, or their marginals."""

    stride = 1

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,) if self.spec.paradigm == "heatmap" else (x.sum(2), x.sum(3))


@pytest.mark.parametrize("kind", ["heatmap", "simcc"])
def test_predict_outputs_of_a_network_that_knows_no_names(kind: str) -> None:
    codec = HeatmapCodec() if kind == "heatmap" else SimccCodec()
    head = HeadSpec("heatmap" if kind == "heatmap" else "simcc")
    spec = ModelSpec(BackboneSpec("none"), head, codec, InputSize(2, 6), FACE)
    crop = heatmaps_of([2, 1, 4])
    swapped = heatmaps_of([2, 4, 1])
    plain = predict_outputs(Echo(spec), crop, flip_test=False)
    assert all(torch.equal(a, b) for a, b in zip(plain, Echo(spec)(crop), strict=True))
    flipped = predict_outputs(Echo(spec), crop, flip_test=True)
    expected = Echo(spec)((crop + swapped) / 2)
    assert all(torch.equal(a, b) for a, b in zip(flipped, expected, strict=True))
    if kind == "heatmap":
        shifting = replace(spec, flip=FlipSpec(shift_heatmap=True))
        (shifted,) = predict_outputs(Echo(shifting), crop, flip_test=True)
        assert torch.equal(shifted, (crop + heatmaps_of([3, 5, 2])) / 2)


def test_offsets_of_a_mirrored_person_point_the_other_way_in_x() -> None:
    # Three channels per keypoint: label, offset in x, offset in y.
    label, x, y = torch.rand(3, 1, 3, 2, 6, generator=torch.Generator().manual_seed(0))
    straight = torch.stack((label, x, y), dim=2).flatten(1, 2)
    mirrored = torch.stack((label, -x, y), dim=2)[:, list(SWAP)].flip(-1).flatten(1, 2)
    (averaged,) = flip_average((straight,), (mirrored,), SWAP, shift_heatmap=False)
    assert torch.equal(averaged, straight)
