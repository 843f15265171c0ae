"""What is shown of training: a line for each checkpoint, or bars, with the time left."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from lab_suites import lab_suite
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from posebench.reporting.training_display import TrainingShown, training_line
from posebench.running.trained.forecast import Forecast
from posebench.running.trained.train_suite import PlannedTraining
from posebench.suites.arms import trainings_of
from posebench.suites.suite import load_suite


@pytest.fixture
def planned(tmp_path: Path) -> list[PlannedTraining]:
    trained = load_suite(lab_suite(tmp_path)).trained
    assert trained is not None
    found = trainings_of(trained, tmp_path)
    return [PlannedTraining(each, each.name) for each in found]


def test_lines_say_what_is_left(
    planned: list[PlannedTraining], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    file = io.StringIO()
    display = TrainingShown(Console(file=file, width=200))
    display.begun([replace(planned[0], begun=True), planned[1]])
    # It goes on from its fourth step of eight, 32 crops.
    display.step("heatmap_synthetic_s0", "train", 4, 8)
    display.step("heatmap_synthetic_s0", "train", 8, 8)
    now = 110.0
    display.finished("heatmap_synthetic_s0", None)
    display.finished("simcc_synthetic_s0", "the loss is nan")
    assert file.getvalue().splitlines() == [
        "2 checkpoints of the lab: 0 trained before, 2 to train, 1 of them go on",
        "heatmap_synthetic_s0: trained (1 left, 3 crops/s, about 20 s left)",
        "simcc_synthetic_s0: could not be trained: the loss is nan (0 left)",
    ]


def test_bars_show_all_and_each(planned: list[PlannedTraining]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, console=console) as bars:
        display = TrainingShown(console, bars)
        display.begun(planned)
        display.step("simcc_synthetic_s0", "render", 1, 8)
        assert [task.description for task in bars.tasks] == ["all", "simcc_synthetic_s0: render"]
        display.step("simcc_synthetic_s0", "train", 0, 8)
        display.step("simcc_synthetic_s0", "train", 4, 8)
        assert [task.percentage for task in bars.tasks] == [25.0, 50.0]
        display.finished("simcc_synthetic_s0", None)
        assert [task.description for task in bars.tasks] == ["all"]


def test_what_could_not_be_measured_is_said(planned: list[PlannedTraining]) -> None:
    text = training_line(planned, Forecast({"simcc_synthetic_s0": 8.0}), 1)
    assert text.endswith(
        "8 s with 1 side by side; 1 could not be measured. Evaluations come on top."
    )
