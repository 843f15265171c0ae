"""Position codes whose cosines, dimensions and spacing have a closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted import middles, people_at, spec_of, subject_of

from posebench.errors import UnsupportedProbeError
from posebench.lab.probes import Probe
from posebench.lab.probes.decay import decay
from posebench.lab.probes.position_code import code_numbers, gaussian_code, position_code, principal
from posebench.networks.codecs import SimccCodec
from posebench.networks.codecs.regression import RegressionCodec
from posebench.networks.features import AnswerVectors, LearnedVectors
from posebench.suites.probes import ProbeSettings

SIGMA = 8.0
PEOPLE = people_at(middles(np.random.default_rng(0), 2))


def test_a_gaussian_code_has_the_cosines_of_overlapping_gaussians() -> None:
    # The product of two Gaussians d apart is exp(-d²/4σ²) of that of one with itself.
    inner = gaussian_code(600, SIGMA)[200:400]
    found = code_numbers(inner, SIGMA)
    assert found["near cosine"] == pytest.approx(math.exp(-0.25), abs=1e-6)
    far = [math.exp(-0.25 * (d / SIGMA) ** 2) for d in range(32, 200)]
    pairs = [200 - d for d in range(32, 200)]
    assert found["far cosine"] == pytest.approx(np.average(far, weights=pairs), abs=1e-6)
    assert found["half distance"] == pytest.approx(2 * math.sqrt(math.log(2)), abs=0.01)
    assert found["spacing variation"] == pytest.approx(0, abs=1e-6)


def test_a_circle_has_two_dimensions_and_even_steps() -> None:
    angle = np.arange(200) * 2 * math.pi / 200
    found = code_numbers(np.stack([np.cos(angle), np.sin(angle)], axis=1), SIGMA)
    assert found["effective dimension"] == pytest.approx(2)
    assert found["spacing variation"] == pytest.approx(0, abs=1e-9)
    assert found["near cosine"] == pytest.approx(math.cos(2 * math.pi * 8 / 200))


def test_a_line_of_growing_steps_is_uneven() -> None:
    # Steps 1 to 99: mean 50, variance (99² - 1) / 12.
    places = np.cumsum(np.arange(100.0))[:, None] * [1.0, 0.0]
    found = code_numbers(places, SIGMA)
    assert found["spacing variation"] == pytest.approx(math.sqrt((99**2 - 1) / 12) / 50)
    assert found["effective dimension"] == pytest.approx(1)


def test_random_vectors_are_alike_at_no_distance_but_evenly_spaced() -> None:
    found = code_numbers(np.random.default_rng(0).normal(size=(256, 400)), SIGMA)
    assert found["near minus far"] == pytest.approx(0, abs=0.02)
    assert (found["spacing variation"] or 1) < 0.05


def test_components_have_the_variance_that_was_put_in() -> None:
    rng = np.random.default_rng(0)
    along, variances = principal(rng.normal(size=(5000, 3)) * [3.0, 2.0, 1.0])
    assert variances == pytest.approx([9, 4, 1], rel=0.08)
    assert (along**2).mean(axis=0) == pytest.approx(variances)


def test_both_axes_are_read_with_the_training_targets_beside_them() -> None:
    rows = {"simcc_x": gaussian_code(192, SIGMA), "simcc_y": gaussian_code(256, SIGMA)}
    vectors = AnswerVectors(
        None, {name: LearnedVectors(torch.from_numpy(each).float()) for name, each in rows.items()}
    )
    empty = (np.zeros((17, 192)), np.zeros((17, 256)))
    subject = subject_of(spec_of("simcc"), PEOPLE, lambda _: empty, vectors=vectors)
    found = {
        (row.arm, row.where["axis"]): row.values()
        for row in position_code(subject, ProbeSettings()).rows
    }
    for axis in "xy":
        trained, target = found["trained", axis], found["target", axis]
        assert trained == pytest.approx(target, rel=1e-4)


@pytest.mark.parametrize("probe", [position_code, decay])
def test_bins_at_quantiles_have_no_distance(probe: Probe) -> None:
    spec = spec_of("simcc")
    assert isinstance(spec.codec, SimccCodec)
    places = tuple(np.linspace(0.0, 0.75, 192).tolist()), tuple((np.arange(256.0) / 256).tolist())
    uneven = replace(spec, codec=replace(spec.codec, positions=places))
    rows = {"simcc_x": torch.ones(192, 4), "simcc_y": torch.ones(256, 4)}
    vectors = AnswerVectors(None, {name: LearnedVectors(each) for name, each in rows.items()})
    empty = (np.zeros((17, 192)), np.zeros((17, 256)))
    subject = subject_of(uneven, PEOPLE, lambda _: empty, vectors=vectors)
    with pytest.raises(UnsupportedProbeError, match="at quantiles"):
        probe(subject, ProbeSettings())


def test_the_reason_fits_a_network_that_is_no_heatmap() -> None:
    spec = replace(spec_of("heatmap"), codec=RegressionCodec())
    with pytest.raises(UnsupportedProbeError, match="not bins"):
        position_code(subject_of(spec, PEOPLE, lambda _: (np.zeros((17, 2)),)), ProbeSettings())
    vectors = AnswerVectors(LearnedVectors(torch.eye(17)))
    subject = subject_of(spec_of("simcc"), PEOPLE, lambda _: (), vectors=vectors)
    with pytest.raises(UnsupportedProbeError, match="cannot be found"):
        position_code(subject, ProbeSettings())


def test_a_heatmap_has_no_position_code() -> None:
    subject = subject_of(spec_of("heatmap"), PEOPLE, lambda _: (np.zeros((17, 32, 24)),))
    with pytest.raises(UnsupportedProbeError, match="no position vectors"):
        position_code(subject, ProbeSettings())
