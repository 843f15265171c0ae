"""The list of numbers: what is listed is read, shown and ordered everywhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_run import made_up
from small_speed import SPEED

from posebench.results.cell import Status
from posebench.results.numbers import NUMBERS, bounds_of, main_metric, number_named, numbers_of
from posebench.results.speed import BatchSpeed, Memory
from posebench.scoring.metrics import METRICS
from posebench.scoring.statistics.image_table import ErrorMetric
from posebench.scoring.units import Unit

RESULT = made_up("heatmap-s", "64x48", "native", 0.5)


def test_every_metric_is_a_number_that_results_are_asked_for() -> None:
    assert [name for name, number in NUMBERS.items() if number.kind == "score"] == [*METRICS]
    assert NUMBERS["AR75"].read(RESULT) == (RESULT.metrics or {})["AR75"]


def test_data_without_ap_are_known_by_their_first_number() -> None:
    faces = replace(RESULT, metrics={"NME": 0.04, "PCK@0.1": 0.9})
    lost = replace(RESULT, status="failed", metrics=None)
    assert main_metric([]) == main_metric([lost]) == main_metric([lost, RESULT]) == "AP"
    assert main_metric([lost, faces]) == "NME"
    assert main_metric([faces, RESULT]) == "AP"
    assert (NUMBERS["NME"].better, NUMBERS["EPE"].unit.word) == ("lower", "px")


def test_numbers_of_a_cell_that_was_measured() -> None:
    result = replace(RESULT, speed=SPEED, instances_per_second=1.0)
    found = numbers_of(result, {"nose": 0.25})
    assert (found["AP"], found["PCK@0.1"], found["nose"]) == (0.5, 0.8, 0.25)
    assert {name: found[name] for name in ("p90 ms", "p99 ms", "peak MB", "% of limit")} == {
        "p90 ms": 12.0, "p99 ms": None, "peak MB": 300.0, "% of limit": 25.0,
    }  # fmt: skip
    assert (found["inst/s"], found["params M"]) == (SPEED.end_to_end.value, 1.234567)


def test_a_run_that_was_not_timed_has_its_own_speed() -> None:
    found = numbers_of(RESULT)
    assert (found["inst/s"], found["latency ms"], found["crops/s"]) == (248.04, None, None)


def test_no_batch_size_that_ran_has_no_rate() -> None:
    none = replace(SPEED, batches=(BatchSpeed(4, None, "no memory"),))
    assert NUMBERS["crops/s"].read(replace(RESULT, speed=none)) is None


def test_the_peak_is_that_of_the_accelerator_if_there_is_one() -> None:
    speed = replace(SPEED, memory=Memory(process=300_000_000, device=7_000_000))
    assert NUMBERS["peak MB"].read(replace(RESULT, speed=speed)) == 7.0


def test_whether_a_cell_runs_is_known_unless_it_failed() -> None:
    statuses: tuple[Status, ...] = ("ok", "unsupported", "failed", "skipped")
    runs = [NUMBERS["runs"].read(replace(RESULT, status=status)) for status in statuses]
    assert runs == [1.0, 0.0, None, None]


def test_a_name_that_is_not_listed_is_a_keypoint() -> None:
    nose = number_named("nose")
    assert (nose.kind, nose.better) == ("score", "higher")
    assert nose.recipe == ErrorMetric("nose", 0.1, keypoint="nose")


def test_bounds_are_of_numbers_with_an_interval() -> None:
    assert bounds_of(RESULT, "AP") == pytest.approx((0.48, 0.53))
    assert bounds_of(RESULT, "PCK@0.1") is None
    assert bounds_of(replace(RESULT, intervals=None), "AP") is None


@pytest.mark.parametrize(
    ("unit", "value", "text", "signed"),
    [
        (Unit("points", 100.0), 0.4965, "49.6", "+49.6"),
        (Unit("points", 100.0), -0.0004, "-0.0", "+0.0"),
        (Unit("ms", decimals=2), -1.234, "-1.23", "-1.23"),
        (Unit("GFLOPs", decimals=2, decimals_below_one=3), 0.0469, "0.047", "+0.047"),
        (Unit("GFLOPs", decimals=2, decimals_below_one=3), 1.0469, "1.05", "+1.05"),
    ],
)
def test_units(unit: Unit, value: float, text: str, signed: str) -> None:
    assert (unit.text(value), unit.signed(value)) == (text, signed)
