"""Matching against tokens that are planted at each keypoint, or the same everywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from planted import COLUMNS, ROWS, SIZE, middles, people_at, spec_of, subject_of

from posebench.errors import UnsupportedProbeError
from posebench.lab.probes.episodes import draw_episodes, points_of
from posebench.lab.probes.sampling import grid_places, tokens_at
from posebench.lab.probes.tokens import tokens
from posebench.results.probes import ProbeReading
from posebench.suites.probes import ProbeSettings

RNG = np.random.default_rng(0)
PLACES = middles(RNG, 12)


def planted(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return maps (N, K, h, w) that are 1 in the cell of each keypoint."""
    maps = np.zeros((len(places), 17, ROWS, COLUMNS))
    for person, points in enumerate(places):
        for keypoint, (x, y) in enumerate(points):
            maps[person, keypoint, round((y - 1.5) / 4), round((x - 1.5) / 4)] = 1
    return maps


def read(maps: NDArray[np.float64], places: NDArray[np.float64] = PLACES) -> ProbeReading:
    subject = subject_of(
        spec_of("heatmap"), people_at(places), lambda n: (maps[n],), lambda n: {"stage1": maps[n]}
    )
    return tokens(subject, ProbeSettings())


def share(reading: ProbeReading, arm: str, shots: str = "1", points: str = "labelled") -> float:
    (row,) = (
        row
        for row in reading.rows
        if row.arm == arm and (row.where["points"], row.where["shots"]) == (points, shots)
    )
    found = row.values()["match PCK@0.1"]
    assert found is not None
    return found


@pytest.mark.parametrize("shots", ["1", "5"])
def test_planted_tokens_are_all_found_and_places_are_not(shots: str) -> None:
    reading = read(planted(PLACES))
    assert share(reading, "trained", shots) == 1.0
    assert share(reading, "place", shots) < 0.3
    (row,) = (r for r in reading.rows if r.arm == "trained" and r.where["shots"] == shots
              and r.where["points"] == "labelled")  # fmt: skip
    assert (row.where["layer"], row.where["stride"]) == ("stage1", "4")


def test_tokens_that_say_nothing_find_nothing() -> None:
    noise = np.random.default_rng(1).normal(size=(12, 8, ROWS, COLUMNS))
    assert share(read(noise), "trained") < 0.15


def test_where_all_stand_alike_the_place_alone_finds_everything() -> None:
    alike = PLACES[:1].repeat(12, axis=0)
    reading = read(planted(alike), alike)
    assert share(reading, "place") == share(reading, "place", "5") == 1.0
    assert share(reading, "place", points="between") == 1.0


def test_swapped_tokens_are_found_at_the_other_keypoint() -> None:
    maps = planted(PLACES)
    maps[:6, [9, 10]] = maps[:6, [10, 9]]
    # Half the people show the left wrist where others show the right one.
    assert share(read(maps), "trained") < 1.0


def test_an_example_keeps_what_was_wanted_and_what_was_found() -> None:
    arrays = read(planted(PLACES)).arrays
    wanted, found = arrays["example/0/wanted"], arrays["example/0/found/stage1"]
    assert found == pytest.approx(wanted[1])
    assert arrays["example/0/person"].dtype == np.uint8


def test_support_people_are_others_on_other_images_and_the_seed_decides() -> None:
    people = people_at(PLACES)
    people.image[:] = np.arange(12) // 2
    points = points_of(people)["labelled"]
    one, two = (draw_episodes(people, points, 5, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one.support, two.support)
    assert (people.image[one.support] != people.image[one.person][:, None]).all()
    assert all(len(set(row)) == 5 for row in one.support.tolist())


def test_bones_are_sought_in_their_middles_and_only_between_known_ends() -> None:
    people = people_at(PLACES)
    people.labelled[0, 5] = False
    middle = points_of(people)["between"]
    bone = people.keypoint_set.skeleton.index((5, 6))
    assert middle.places[1, bone] == pytest.approx(PLACES[1, [5, 6]].mean(axis=0))
    assert not middle.known[0, bone] and middle.known[1, bone]


def test_tokens_are_read_in_the_middle_of_their_pixels() -> None:
    maps = torch.arange(ROWS * COLUMNS, dtype=torch.float32).reshape(1, 1, ROWS, COLUMNS)
    middle = grid_places(SIZE, 4)
    assert torch.allclose(tokens_at(maps, middle[None], SIZE)[0, :, 0], maps.flatten(), atol=1e-3)
    # Half-way between two cells of a row.
    assert tokens_at(maps, torch.tensor([[[3.5, 1.5]]]), SIZE).item() == pytest.approx(
        0.5, abs=1e-3
    )


def test_one_image_gives_nothing_to_match() -> None:
    people = people_at(PLACES)
    people.image[:] = 0
    subject = subject_of(spec_of("heatmap"), people, lambda _: (), lambda _: {})
    with pytest.raises(UnsupportedProbeError, match="too few people"):
        tokens(subject, ProbeSettings())
