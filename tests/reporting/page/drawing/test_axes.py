"""Scales and ticks of plots."""

from __future__ import annotations

import math

import pytest

from posebench.reporting.page.drawing.axes import Scale, linear_axis, log_axis


def test_a_scale_maps_ends_and_clips() -> None:
    scale = Scale(10, 1000, 0, 300, log=True)
    assert [scale(v) for v in (10, 100, 1000)] == pytest.approx([0, 150, 300])
    assert scale(1e6) == 300
    assert Scale(0, 80, 200, 0)(20) == 150


@pytest.mark.parametrize("top", [0.013, 0.4, 1.0, 7.3, 64.9, 99.9, 100.0])
def test_linear_ticks_are_round_and_hold_the_data(top: float) -> None:
    axis = linear_axis("AP", 0, top, 0, 100)
    values = [value for value, _ in axis.ticks]
    assert values[0] == 0
    assert values[-1] >= top * (1 - 1e-9)
    assert 3 <= len(values) <= 7
    step = values[1] / 10 ** math.floor(math.log10(values[1]) + 1e-9)
    assert min(abs(step - good) for good in (1, 2, 2.5, 5)) < 1e-6
    assert [label for _, label in axis.ticks] == [f"{value:.4g}" for value in values]


@pytest.mark.parametrize("values", [[0.2, 2.4], [5, 6, 7], [900, 900], [0.03, 300]])
def test_log_ticks_lie_within_and_say_something(values: list[float]) -> None:
    axis = log_axis("cost", values, 0, 100)
    ticks = [value for value, _ in axis.ticks]
    assert 1 <= len(ticks) <= 15
    assert all(axis.scale.low <= tick <= axis.scale.high for tick in ticks)
    assert all(0 <= axis.scale(value) <= 100 for value in values)
