"""The identity against products that are exact, shifted, and padded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted import middles, people_at, spec_of, subject_of
from torch.nn import functional

from posebench.errors import UnsupportedProbeError
from posebench.lab.probes.identity import identity
from posebench.networks.features import AnswerVectors, LearnedVectors
from posebench.results.probes import ProbeReading
from posebench.suites.probes import ProbeSettings

RNG = np.random.default_rng(0)
TOKENS = RNG.normal(size=(4, 6, 32, 24)).astype(np.float32)


def read(kernel: int = 1, off: float = 0.0, unit: bool = False) -> ProbeReading:
    tokens = TOKENS / np.linalg.norm(TOKENS, axis=1, keepdims=True) if unit else TOKENS
    weight = torch.randn(17, 6, kernel, kernel, generator=torch.Generator().manual_seed(0))
    bias = torch.full((17,), 0.25)
    made = functional.conv2d(torch.from_numpy(tokens), weight, bias, padding=kernel // 2).numpy()
    made[1, 3, 5, 7] += off
    vectors = AnswerVectors(LearnedVectors(weight.flatten(1), bias, kernel))
    people = people_at(middles(RNG, 4))
    subject = subject_of(
        spec_of("heatmap"), people, lambda n: (made[n],), lambda n: {"tokens": tokens[n]}, vectors
    )
    return identity(subject, ProbeSettings())


@pytest.mark.parametrize("kernel", [1, 3, 7])
def test_a_product_differs_by_less_than_rounding_may(kernel: int) -> None:
    trained, rounding = (row.values()["identity error"] for row in read(kernel).rows)
    assert trained is not None and rounding is not None
    assert 0 < trained < rounding < 1e-4


def test_what_is_no_product_differs_by_as_much_as_it_does() -> None:
    largest = np.abs(TOKENS).max()
    trained, rounding = (row.values()["identity error"] for row in read(off=10.0).rows)
    assert trained is not None and rounding is not None
    assert trained > rounding and trained * largest * 17 > 10


def test_tokens_of_one_length_have_product_and_cosine_peak_together() -> None:
    (equal, _), (others, _) = read(unit=True).rows, read().rows
    assert equal.values()["same peak by cosine"] == 1.0
    assert 0 < (others.values()["same peak by cosine"] or 0) < 1


def test_bins_are_products_of_codes_and_position_vectors() -> None:
    codes = RNG.normal(size=(3, 17, 5)).astype(np.float32)
    rows = {"simcc_x": RNG.normal(size=(192, 5)), "simcc_y": RNG.normal(size=(256, 5))}
    vectors = AnswerVectors(
        None, {name: LearnedVectors(torch.from_numpy(each).float()) for name, each in rows.items()}
    )
    subject = subject_of(
        spec_of("simcc"),
        people_at(middles(RNG, 3)),
        lambda n: tuple(codes[n] @ each.astype(np.float32).T for each in rows.values()),
        vectors=vectors,
        codes=lambda n: codes[n],
    )
    reading = identity(subject, ProbeSettings())
    errors = [row.values()["identity error"] for row in reading.rows]
    assert [row.where["output"] for row in reading.rows[::2]] == ["simcc_x", "simcc_y"]
    assert all(found < bound for found, bound in zip(errors[::2], errors[1::2], strict=True))


def test_a_network_without_such_a_layer_is_refused() -> None:
    subject = subject_of(
        spec_of("heatmap"), people_at(middles(RNG, 2)), lambda _: (np.zeros((17, 32, 24)),)
    )
    with pytest.raises(UnsupportedProbeError, match="cannot be found"):
        identity(subject, ProbeSettings())
