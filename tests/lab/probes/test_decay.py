"""Decay against maps that are Gaussians of a known width."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from planted import COLUMNS, ROWS, SIZE, middles, people_at, spec_of, subject_of

from posebench.datasets.keypoints import COCO, KeypointSet
from posebench.errors import UnsupportedProbeError
from posebench.lab.probes.decay import decay, half_width, radial_profile, scaled_responses
from posebench.networks.codecs import HeatmapCodec
from posebench.results.probes import ProbeReading
from posebench.suites.probes import ProbeSettings

HALF_OF_A_GAUSSIAN = math.sqrt(2 * math.log(2))
PLACES = np.full((6, 17, 2), (48.0, 64.0))


def gaussian(at: float, cells: int, sigma: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * ((np.arange(cells) - at) / sigma) ** 2))


def values(reading: ProbeReading, arm: str, axis: str, around: str) -> dict[str, float]:
    (row,) = (
        row
        for row in reading.rows
        if (row.arm, row.where) == (arm, {"axis": axis, "around": around})
    )
    return {name: value for name, value in row.values().items() if value is not None}


@pytest.mark.parametrize("wider", [1.0, 1.5])
def test_a_gaussian_heatmap_has_the_width_of_its_gaussian(wider: float) -> None:
    sigma = 2.0
    x, y = 48 / SIZE.width * COLUMNS, 64 / SIZE.height * ROWS
    made = np.outer(gaussian(y, ROWS, wider * sigma), gaussian(x, COLUMNS, wider * sigma))
    maps = 5 * made[None].repeat(17, axis=0) - 1
    subject = subject_of(spec_of("heatmap", sigma=sigma), people_at(PLACES), lambda _: (maps,))
    reading = decay(subject, ProbeSettings())
    for around in ("predicted peak", "label"):
        found = values(reading, "trained", "plane", around)
        assert found["half width"] == pytest.approx(wider * HALF_OF_A_GAUSSIAN, abs=0.06)
        assert found["fall"] == pytest.approx(
            found["response within 1σ"] - found["response beyond 3σ"]
        )
    target = values(reading, "target", "plane", "label")
    if wider == 1:
        assert target["half width"] == pytest.approx(found["half width"], abs=0.01)
        assert found["response beyond 3σ"] < 0.005


def test_simcc_is_read_along_each_axis_whatever_the_offset_of_its_bins() -> None:
    x, y = gaussian(96, 192, 8.0), gaussian(128, 256, 16.0)
    outputs = (np.tile(3 * x + 7, (17, 1)), np.tile(y - 2, (17, 1)))
    subject = subject_of(spec_of("simcc"), people_at(PLACES), lambda _: outputs)
    reading = decay(subject, ProbeSettings())
    found = {axis: values(reading, "trained", axis, "label")["half width"] for axis in "xy"}
    assert found["x"] == pytest.approx(HALF_OF_A_GAUSSIAN, abs=0.03)
    assert found["y"] == pytest.approx(2 * HALF_OF_A_GAUSSIAN, abs=0.06)


def test_a_peak_beside_the_label_is_narrow_around_itself_alone() -> None:
    made = np.outer(gaussian(4, ROWS, 2.0), gaussian(4, COLUMNS, 2.0))[None].repeat(17, axis=0)
    subject = subject_of(spec_of("heatmap"), people_at(PLACES), lambda _: (made,))
    reading = decay(subject, ProbeSettings())
    assert values(reading, "trained", "plane", "predicted peak")["fall"] > 0.7
    assert values(reading, "trained", "plane", "label")["fall"] < 0.01


def test_without_its_keypoints_labelled_only_the_predicted_peak_is_read() -> None:
    others = KeypointSet("others", ("a", "b"), (0.1, 0.1), ())
    rng = np.random.default_rng(0)
    people = people_at(middles(rng, 3, 2), others)
    noise = rng.normal(size=(17, ROWS, COLUMNS))
    reading = decay(
        subject_of(spec_of("heatmap", COCO), people, lambda _: (noise,)), ProbeSettings()
    )
    assert [row.where["around"] for row in reading.rows] == ["predicted peak"]
    assert any("other keypoints" in note for note in reading.notes)


def test_outputs_that_are_no_maps_have_no_peak() -> None:
    spec = replace(spec_of("heatmap"), codec=cast("HeatmapCodec", None))
    subject = subject_of(spec, people_at(PLACES), lambda _: ())
    with pytest.raises(UnsupportedProbeError, match="neither maps nor bins"):
        decay(subject, ProbeSettings())


def test_profiles_have_the_mean_of_each_ring_and_leave_out_the_peak() -> None:
    distances = np.array([[0.0, 0.2, 0.4, 0.9, 9.0]])
    responses = np.array([[1.0, 0.8, 0.6, 0.2, 5.0]])
    profile = radial_profile(responses, distances)
    assert profile[:, 0, :2] == pytest.approx(np.array([[0.3, 0.9], [0.7, 0.2]]))
    assert np.isnan(profile[:, 0, 2:]).all()
    # On the line from (0.3, 0.7) to (0.9, 0.2).
    assert half_width(profile)[0] == pytest.approx(0.54)
    assert half_width(np.ones((2, 1, 16)))[0] == 8.0


def test_a_flat_map_has_no_response() -> None:
    assert np.isnan(scaled_responses(np.ones((1, 5)))).all()


def test_a_codec_without_training_targets_is_named() -> None:
    spec = replace(spec_of("heatmap"), codec=HeatmapCodec(decoder="udp-regress"))
    people = people_at(middles(np.random.default_rng(0), 2))
    maps = np.random.default_rng(1).normal(size=(3 * 17, ROWS, COLUMNS))
    reading = decay(subject_of(spec, people, lambda _: (maps,)), ProbeSettings())
    assert {row.arm for row in reading.rows} == {"trained"}
    assert any("training targets" in note for note in reading.notes)
