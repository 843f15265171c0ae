"""Uneven bins: even ones are a special case, and quantiles have equal shares of the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from posebench.errors import EvaluationError, SpecError
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.lab.training.initial_weights import initialise
from posebench.networks.codecs import SimccCodec, check_decoder
from posebench.networks.codecs.uneven_bins import nearest_bins, quantile_positions
from posebench.networks.model import PoseModel, build_model
from posebench.networks.policies import apply_policy
from posebench.networks.sizes import InputSize
from posebench.networks.spec import BackboneSpec, HeadSpec, ModelSpec

SIZE, OTHER = InputSize(64, 48), InputSize(128, 96)
EVEN = SimccCodec(sigma=(3.0, 4.0), normalize=False)
AS_EVEN = replace(
    EVEN,
    positions=(
        tuple(float(j) / 96 for j in range(96)),
        tuple(float(j) / 128 for j in range(128)),
    ),
)


def skewed(count: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.stack([rng.beta(2, 5, count) * 47, rng.beta(5, 1, count) * 63], axis=-1)


def test_even_places_encode_and_decode_as_even_bins_do() -> None:
    keypoints = skewed(34).reshape(2, 17, 2).astype(np.float32)
    visible = np.ones((2, 17), dtype=bool)
    shapes = [(2, 17, 96), (2, 17, 128)]
    one, other = (c.encode(keypoints, visible, SIZE, shapes) for c in (EVEN, AS_EVEN))
    for wanted, found in zip(one, other, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
    one_decoded, other_decoded = (c.decode(one[:2], SIZE) for c in (EVEN, AS_EVEN))
    np.testing.assert_allclose(other_decoded.keypoints, one_decoded.keypoints, rtol=1e-6)
    nothing = AS_EVEN.decode((np.zeros((1, 1, 96)), np.zeros((1, 1, 128))), SIZE)
    assert nothing.keypoints.tolist() == [[[-0.5, -0.5]]]


def test_quantiles_are_nearest_to_equal_shares_of_the_coordinates() -> None:
    coordinates = skewed()
    positions = quantile_positions(coordinates, (24, 32), SIZE)
    codec = replace(EVEN, positions=positions)
    _, places = codec.places(SIZE)
    shares = np.bincount(nearest_bins(places, coordinates[:, 1]), minlength=32) / 4000
    assert np.abs(shares * 32 - 1).max() < 0.35
    assert np.diff(places).max() > 10 * np.diff(places).min()
    across = np.array(positions[0])
    np.testing.assert_allclose(across + across[::-1], 47 / 48)


def test_a_keypoint_comes_back_at_its_nearest_place() -> None:
    codec = replace(EVEN, positions=quantile_positions(skewed(), (96, 128), SIZE))
    keypoints = skewed(17)[None].astype(np.float32)
    targets = codec.encode(
        keypoints, np.ones((1, 17), dtype=bool), SIZE, [(1, 17, 96), (1, 17, 128)]
    )
    decoded = codec.decode(targets[:2], SIZE)
    for axis, places in enumerate(codec.places(SIZE)):
        distance = np.abs(places - keypoints[..., axis, None])
        np.testing.assert_allclose(
            np.abs(decoded.keypoints - keypoints)[..., axis], distance.min(axis=-1), atol=1e-5
        )
        # The Gaussian is one of pixels: 3 bins of half a pixel are a standard deviation of 1.5.
        nearest = places[distance.argmin(axis=-1)]
        wanted = np.exp(-((places - nearest[..., None]) ** 2) / (2 * (EVEN.sigma[axis] / 2) ** 2))
        np.testing.assert_allclose(targets[axis], wanted, atol=1e-5)


def test_equal_coordinates_still_make_different_places() -> None:
    positions = quantile_positions(np.full((50, 2), 10.0), (8, 8), SIZE)
    assert SimccCodec(positions=positions).bins(SIZE) == (8, 8)
    with pytest.raises(SpecError, match="need labelled keypoints"):
        quantile_positions(np.empty((0, 2)), (8, 8), SIZE)


@pytest.mark.parametrize(
    ("x", "y", "said"),
    [
        ((0.1, 0.5, 0.9), (0.5,), "y needs two bins"),
        ((0.1, 0.5, 1.9), (0.1, 0.5), "x needs two bins or more, at 0 to 1"),
        ((0.1, 0.9), (0.5, 0.5), "the y bins must ascend"),
        ((0.1, 0.2, 0.9), (0.1, 0.5), "alike from the left and from the right"),
    ],
)
def test_places_that_do_not_fit_are_refused(x, y, said) -> None:
    with pytest.raises(SpecError, match=said):
        SimccCodec(positions=(x, y))


def test_they_have_no_expectation_and_are_read_back_from_plain_data() -> None:
    with pytest.raises(EvaluationError, match="no expectation decoder"):
        check_decoder(AS_EVEN, "expectation")
    check_decoder(EVEN, "expectation")
    assert record_from_mapping(SimccCodec, mapping_from_record(AS_EVEN), where="") == AS_EVEN


def test_at_another_size_the_same_bins_spread_over_the_input() -> None:
    backbone = BackboneSpec("resnet", {"depth": 18, "base_channels": 4, "out_stage": 3})
    model = build_model(ModelSpec(backbone, HeadSpec("simcc"), AS_EVEN, SIZE)).eval()
    initialise(model, 0)
    stretched = apply_policy(model, OTHER, "interpolate")
    with torch.no_grad():
        outputs = stretched(torch.zeros(1, 3, 128, 96))
    assert [output.shape[-1] for output in outputs] == [96, 128]
    assert isinstance(stretched.network, PoseModel)
    biases = (m.get_parameter("head.mlp_head_x.bias") for m in (model, stretched.network))
    assert torch.equal(*biases)
    assert AS_EVEN.places(OTHER)[0][-1] == 95.0
