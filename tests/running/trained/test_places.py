"""Where training data lie is kept beside a run's record, and found again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab_suites import lab_suite

from posebench.errors import UsageError
from posebench.results.store import PLACES_FILE
from posebench.running.trained.places import (
    check_roots,
    keep_places,
    with_places,
    without_places,
)
from posebench.running.workload import data_requests
from posebench.suites.settling import settled
from posebench.suites.suite import Suite, load_suite


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    for name in ("people", "others"):
        (tmp_path / name).mkdir()
    (tmp_path / "people" / "keypoints.yaml").touch()
    (tmp_path / "own.yaml").touch()
    data = [
        "synthetic",
        {"folder": "people"},
        {"name": "more", "folder": "others", "keypoints": "own.yaml"},
        {"name": "third", "folder": "others", "keypoints": "coco"},
    ]
    path = lab_suite(tmp_path, data=data, seeds=[0])
    return settled(load_suite(path), tmp_path).suite


def test_a_record_names_data_and_the_places_lead_back(suite: Suite, tmp_path: Path) -> None:
    named = without_places(suite)
    assert named.trained is not None
    assert [(e.label, e.folder, e.keypoints) for e in named.trained.data_entries] == [
        ("synthetic", None, None),
        ("people", "people", None),
        ("more", "more", "own.yaml"),
        ("third", "third", "coco"),
    ]
    keep_places(tmp_path, suite)
    assert with_places(named, tmp_path) == suite


def test_a_folder_elsewhere(suite: Suite, tmp_path: Path) -> None:
    keep_places(tmp_path, suite)
    elsewhere = tmp_path / "elsewhere"
    found = with_places(without_places(suite), tmp_path, {"people": elsewhere})
    assert found.trained is not None
    assert found.trained.data_entries[1].folder == str(elsewhere)
    moved = with_places(without_places(suite), tmp_path, {"more": elsewhere})
    assert moved.trained is not None
    assert moved.trained.data_entries[2].keypoints == str(tmp_path / "own.yaml")
    check_roots(["people", "more"], [suite])
    with pytest.raises(UsageError, match="people"):
        check_roots(["peple"], [suite])


def test_results_call_data_by_their_label_wherever_they_lie(suite: Suite, tmp_path: Path) -> None:
    moved = with_places(without_places(suite), tmp_path, {"people": tmp_path / "elsewhere"})
    for each in (suite, moved):
        called = [request.called for request in data_requests(each, tmp_path, None)]
        assert called == ["synthetic", "people", "more", "third"]


@pytest.mark.parametrize("written", ["", "[]", '{"people": 3}', '{"people": {"folder": 3}}'])
def test_places_that_are_lost_or_damaged(suite: Suite, tmp_path: Path, written: str) -> None:
    (tmp_path / PLACES_FILE).write_text(written)
    named = without_places(suite)
    assert with_places(named, tmp_path) == named


def test_places_are_strings(suite: Suite, tmp_path: Path) -> None:
    keep_places(tmp_path, suite)
    kept = json.loads((tmp_path / PLACES_FILE).read_text())
    assert kept["people"] == {
        "folder": str(tmp_path / "people"),
        "keypoints": str(tmp_path / "people" / "keypoints.yaml"),
    }
