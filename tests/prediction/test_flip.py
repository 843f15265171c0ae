"""Flip test on cases whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from small_run import small_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from posebench.datasets.keypoints import KeypointSet
from posebench.networks.codecs import Codec, HeatmapCodec, RegressionCodec, SimccCodec
from posebench.networks.names import Paradigm
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, FlipSpec, HeadSpec, ModelSpec
from posebench.prediction.flip import _RULES, flip_average, predict_outputs, ready

FACE = KeypointSet("face", ("nose", "left_eye", "right_eye"), (0.1, 0.1, 0.1), ((1, 2),))
SIZE = InputSize(2, 6)
PLAIN = FlipSpec()


def heatmaps_of(columns: list[int]) -> Tensor:
    """Return (1, K, 2, 6) heatmaps with a 1 in row 1 of the given columns."""
    heatmaps = torch.zeros(1, len(columns), 2, 6)
    for keypoint, column in enumerate(columns):
        heatmaps[0, keypoint, 1, column] = 1
    return heatmaps


def face_spec(codec: Codec, flip: FlipSpec = PLAIN) -> ModelSpec:
    return ModelSpec(BackboneSpec("none"), HeadSpec(codec.kind), codec, SIZE, FACE, flip=flip)


def test_heatmaps_of_a_mirrored_person_come_back_in_place() -> None:
    # Column c of 6 mirrors to 5 - c, and the eyes change names.
    straight, mirrored = heatmaps_of([2, 1, 4]), heatmaps_of([3, 1, 4])
    (averaged,) = flip_average((straight,), (mirrored,), face_spec(HeatmapCodec()), 6)
    assert torch.equal(averaged, straight)


def test_shift_moves_flipped_heatmaps_right_and_keeps_column_zero() -> None:
    mirrored = torch.arange(6.0).expand(1, 3, 2, 6)
    spec = face_spec(HeatmapCodec(), FlipSpec(shift_heatmap=True))
    (averaged,) = flip_average((torch.zeros(1, 3, 2, 6),), (mirrored,), spec, 6)
    assert averaged[0, 0, 0].tolist() == [2.5, 2.5, 2.0, 1.5, 1.0, 0.5]


def test_simcc_flips_x_only_and_shifts_as_no_heatmap_does() -> None:
    x, y = torch.arange(12.0).reshape(1, 3, 4), torch.arange(15.0).reshape(1, 3, 5)
    mirrored = (x[:, [0, 2, 1]].flip(-1), y[:, [0, 2, 1]])
    spec = face_spec(SimccCodec(), FlipSpec(shift_heatmap=True))
    averaged = flip_average((x, y), mirrored, spec, 6)
    assert torch.equal(averaged[0], x)
    assert torch.equal(averaged[1], y)


def test_the_simcc_repository_shifts_flipped_x_left_and_keeps_the_last_bin() -> None:
    x, y = torch.zeros(1, 3, 6), torch.zeros(1, 3, 4)
    spec = face_spec(SimccCodec(), FlipSpec(shift_simcc=True))
    averaged = flip_average((x, y), (x + torch.arange(6.0), y + torch.arange(4.0)), spec, 6)
    assert averaged[0][0, 0].tolist() == [2.0, 1.5, 1.0, 0.5, 0.0, 0.0]
    assert averaged[1][0, 0].tolist() == [0.0, 0.5, 1.0, 1.5]


def test_probabilities_are_taken_of_each_pass_or_of_the_mean() -> None:
    # Softmax of ln [1, 3] is [1/4, 3/4]; of the mean of its logits with none, sqrt 3 to 1.
    x, y = torch.tensor([[[1.0, 3.0]] * 3]).log(), torch.zeros(1, 3, 2)
    zero = torch.zeros(1, 3, 2)
    root = 3**0.5
    for softmax, expected in (
        ("each", [0.375, 0.625]),
        ("mean", [1 / (1 + root), root / (1 + root)]),
    ):
        codec = SimccCodec(softmax=softmax)  # type: ignore[arg-type]
        averaged = flip_average((x, y), (zero, zero), face_spec(codec), 6)
        assert averaged[0][0, 1].tolist() == pytest.approx(expected)
        assert averaged[1][0, 1].tolist() == [0.5, 0.5]
        spec = replace(face_spec(codec), input_size=InputSize(1, 2))
        single = predict_outputs(Echo(spec), x[:, :, None], flip_test=False)
        assert single[0][0, 1].tolist() == pytest.approx([0.25, 0.75])


class Echo:
    """A network that puts out its input's channels as keypoints: heatmaps, or their marginals."""

    stride = 1
    fixed_size: InputSize | None = None

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,) if self.spec.paradigm == "heatmap" else (x.sum(2), x.sum(3))


@pytest.mark.parametrize("kind", ["heatmap", "simcc"])
def test_predict_outputs_of_a_network_that_knows_no_names(kind: str) -> None:
    spec = face_spec(HeatmapCodec() if kind == "heatmap" else SimccCodec())
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


class _Host(TorchDispatchMode):
    """Refuses what makes the host wait for a GPU, such as indices that lie in its own memory."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        waits = "aten.index.Tensor", "aten.lift_fresh.default", "aten._local_scalar_dense.default"
        assert str(func) not in waits, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("paradigm", get_args(Paradigm))
def test_a_flip_test_waits_for_no_batch(paradigm: str) -> None:
    model = small_model(paradigm)
    with torch.inference_mode():
        expected = predict_outputs(model, crops := torch.rand(2, 3, 64, 48), flip_test=True)
        with _Host():
            found = predict_outputs(model, crops, flip_test=True)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def test_offsets_of_a_mirrored_person_point_the_other_way_in_x() -> None:
    # Three channels per keypoint: label, offset in x, offset in y.
    label, x, y = torch.rand(3, 1, 3, 2, 6, generator=torch.Generator().manual_seed(0))
    straight = torch.stack((label, x, y), dim=2).flatten(1, 2)
    mirrored = torch.stack((label, -x, y), dim=2)[:, list(FACE.flip_indices)].flip(-1)
    spec = face_spec(HeatmapCodec(decoder="udp-regress"))
    (averaged,) = flip_average((straight,), (mirrored.flatten(1, 2),), spec, 6)
    assert torch.equal(averaged, straight)


@pytest.mark.parametrize(("shift", "mirrored_x"), [(True, [0.5, 0.75, 0.25]), (False, None)])
def test_coordinates_of_a_mirrored_person_come_back_in_place(
    shift: bool, mirrored_x: list[float] | None
) -> None:
    # Eight columns: pixel i is pixel 7 - i of the mirrored crop, as a fraction 7/8 - x.
    straight = torch.tensor([[[0.375, 0.1], [0.625, 0.2], [0.125, 0.3]]])
    mirrored = straight[:, list(FACE.flip_indices)].clone()
    mirrored[..., 0] = (0.875 if shift else 1) - mirrored[..., 0]
    if mirrored_x is not None:
        assert mirrored[0, :, 0].tolist() == mirrored_x
    spec = face_spec(RegressionCodec(), FlipSpec(shift_coords=shift))
    (averaged,) = flip_average((straight,), (mirrored,), spec, 8)
    assert torch.equal(averaged, straight)


def test_the_shift_is_a_pixel_of_the_size_that_runs() -> None:
    zeros = torch.zeros(1, 3, 2)
    for width in (4, 16):
        spec = face_spec(RegressionCodec())
        (averaged,) = flip_average((zeros,), (zeros,), spec, width)
        assert averaged[0, :, 0].tolist() == [(1 - 1 / width) / 2] * 3
        assert averaged[0, :, 1].tolist() == [0] * 3


def test_every_paradigm_has_its_rules() -> None:
    assert set(_RULES) == set(get_args(Paradigm))


def test_deviations_are_averaged_as_fractions() -> None:
    # The sigmoid of ln 3 is 3/4, that of 0 a half; each keypoint's mirror image has the other's.
    one = torch.tensor([[[0.25, 0.5, 3.0, 1.0]] * 3])
    one[..., 2:] = one[..., 2:].log()
    other = torch.tensor([[[0.5, 0.5, 0.0, 0.0]] * 3])
    spec = face_spec(RegressionCodec(), FlipSpec(shift_coords=False))
    (averaged,) = flip_average((one,), (other,), spec, 8)
    assert averaged[0, 0].tolist() == pytest.approx([0.375, 0.5, 0.625, 0.5])
    (single,) = ready((one,), spec)
    assert single[0, 0].tolist() == pytest.approx([0.25, 0.5, 0.75, 0.5])
