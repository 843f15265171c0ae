"""Persons to browse: their OKS, errors and groups, against the diagnosis; the data stay bounded."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_runs import persons_of, two_perturbed

from posebench.reporting.figures.style import Looks
from posebench.reporting.page.people.browser import (
    MOST_INLINE,
    MOST_PERSONS,
    MOST_VALUES,
    BrowserWish,
    make_browser,
    most_persons,
)
from posebench.reporting.page.people.instances import load_run_data, scored_detections
from posebench.reporting.page.people.persons import (
    ERRORS,
    CellPersons,
    Persons,
    all_persons,
    by_interest,
)
from posebench.results.store import PREDICTIONS, read_run
from posebench.scoring.diagnosis.diagnosis import COUNTED, diagnose
from posebench.scoring.diagnosis.strata import standard_strata


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_perturbed(tmp_path_factory.mktemp("persons"))


@pytest.fixture(scope="module")
def persons(run: Path) -> Persons:
    return persons_of(run)


def wish(page: Path, pictures: int | None = 0) -> BrowserWish:
    return BrowserWish(pictures, page, Looks({"heatmap": "heatmap", "simcc": "simcc"}))


@pytest.mark.parametrize("change", [{"record": "coco-wholebody-hand"}, {"category": 2}])
def test_parts_and_categories_of_one_file_are_apart(run: Path, change: dict[str, Any]) -> None:
    read = read_run(run)
    data = load_run_data(read)
    one, other = read.cells[:2]
    protocol = replace(other.result.protocol, **change)
    moved = replace(other, result=replace(other.result, protocol=protocol))
    assert data.of(one) is not None and data.of(moved) is None
    found, (problem,) = all_persons(replace(read, cells=(one, moved)), data)
    assert [len(each.cells) for each in found] == [1] and "is not here" in problem


def test_errors_are_those_that_the_diagnosis_counts(run: Path, persons: Persons) -> None:
    read = read_run(run)
    for name, found in persons.found.items():
        cell = persons.cells[name]
        kept = read.predictions(cell)
        assert kept is not None
        detections = scored_detections(cell, persons.dataset, kept)
        flips = persons.dataset.keypoints.flip_indices
        diagnosis = diagnose(persons.truth, detections, flips)
        counts = dict(zip(COUNTED, diagnosis.counts.counts.sum(axis=0), strict=True))
        has = {e: found.errors & (1 << ERRORS.index(e)) > 0 for e in ERRORS}
        assert has["not found"].sum() == counts["false negative"]
        assert np.isnan(found.keypoints).all(axis=(1, 2)).tolist() == has["not found"].tolist()
        for code, error in enumerate(ERRORS[:-1], 1):
            owners = diagnosis.errors.person[(diagnosis.errors.state == code).any(axis=1)]
            assert sorted(persons.rows[has[error]]) == sorted(owners)


def test_oks_is_that_of_the_definition(persons: Persons) -> None:
    truth = persons.truth
    for found in persons.found.values():
        for row, person in enumerate(persons.rows):
            offsets = found.keypoints[row] - truth.keypoints[person]
            if np.isnan(offsets).any():
                assert found.oks[row] == 0
                continue
            squared = (offsets**2).sum(axis=1) / (2 * truth.sigmas) ** 2
            similar = np.exp(-squared / 2 / truth.areas[person])
            expected = similar[truth.visibility[person] > 0].mean()
            assert found.oks[row] == pytest.approx(expected, abs=1e-6)


def test_sizes_and_crowding_are_the_strata_of_the_diagnosis(persons: Persons) -> None:
    strata = standard_strata(persons.truth)
    for family, codes in (("size", persons.size), ("overlapping people", persons.crowding)):
        for place, stratum in enumerate(s for s in strata if s.family == family):
            assert ((codes == place) == stratum.persons[persons.rows]).all()


def test_those_come_first_whom_checkpoints_differ_on(persons: Persons) -> None:
    order = [row for _, row in by_interest([persons])]
    one, other = persons.found.values()
    gaps = np.abs(one.oks - other.oks)[order]
    assert (np.diff(gaps) <= 1e-6).all()
    assert sorted(order) == list(range(len(persons.rows)))


def test_the_page_holds_at_most_so_many_persons_and_poses(tmp_path: Path, persons: Persons) -> None:
    assert most_persons(1) == MOST_PERSONS
    assert most_persons(40) == MOST_VALUES // 40
    # COCO val2017 has 11 004 persons: twelve checkpoints on all of them fit.
    count, models = 45_000, 12
    rng = np.random.default_rng(0)
    made = {
        f"a-checkpoint-with-a-long-name-{n}": CellPersons(
            rng.random(count), rng.integers(0, 32, count), np.zeros((count, 1, 2))
        )
        for n in range(models)
    }
    rows = rng.integers(0, len(persons.truth), count)
    codes = np.zeros(count, dtype=np.int64)
    many = replace(persons, rows=rows, size=codes, crowding=codes, found=made)
    found = make_browser([many], (), wish(tmp_path / "r.html"), ())
    assert (found.shown, found.of) == (MOST_VALUES // models, count)
    assert len(found.data) < 2_000_000
    document = json.loads(found.data)
    assert len(document["persons"]["image"]) == found.shown
    assert {len(each["oks"]) for each in document["models"]} == {found.shown}


def test_few_pictures_lie_in_the_page_and_many_beside_it(tmp_path: Path, persons: Persons) -> None:
    page = tmp_path / "report.html"
    few = make_browser([persons], (), wish(page, MOST_INLINE), ())
    assert (few.pictures, few.folder) == (MOST_INLINE, None)
    assert few.data.count("data:image/svg+xml;base64,") == MOST_INLINE
    assert list(tmp_path.iterdir()) == []
    every = make_browser([persons], (), wish(page, None), ())
    assert (every.pictures, every.folder) == (len(persons.rows), "report_people")
    assert "base64" not in every.data
    names = json.loads(every.data)["persons"]["picture"]
    assert len(set(names)) == len(names)
    for name in names:
        drawn = (tmp_path / name).read_text("utf-8")
        assert drawn.startswith("<svg xmlns=") and "data:image/webp" in drawn
        assert set(re.findall(r'id="(m\d)"', drawn)) <= {"m0", "m1"}


def test_a_run_without_predictions_says_so_once(tmp_path: Path, run: Path) -> None:
    read = read_run(run)
    data = load_run_data(read)
    bare = replace(read, folder=tmp_path / PREDICTIONS)
    found, problems = all_persons(bare, data)
    assert found == []
    assert len(problems) == 1 and "not in its folder" in problems[0]


def test_texts_of_a_run_do_not_end_the_element_of_the_data(
    tmp_path: Path, persons: Persons
) -> None:
    name = "</script><script>alert(1)</script>"
    hostile = replace(persons, found={name: next(iter(persons.found.values()))})
    found = make_browser([hostile], (name,), wish(tmp_path / "r.html"), ())
    assert "<" not in found.data
    assert json.loads(found.data)["models"][0]["name"] == name
