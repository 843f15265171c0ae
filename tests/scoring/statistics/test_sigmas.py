"""Sigmas from repeated labels: a closed form, labels of known spread, what cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.datasets.keypoints import COCO, load_keypoint_set
from posebench.datasets.repeats import load_repeats, mirror_pairs
from posebench.datasets.rules import LoadOptions
from posebench.errors import DataError, UsageError
from posebench.scoring.statistics.sigmas import estimate_sigmas, estimated_set

NAMES = ["tail", "left_ear", "right_ear"]
AREA = 2500.0


def write(path: Path, people: list[tuple[str, list[float], list[list[float]]]]) -> Path:
    """Write persons as image name, box and keypoints (K, 3); ids run backwards."""
    names = list(dict.fromkeys(name for name, _, _ in people))
    ids = {name: len(names) - index for index, name in enumerate(names)}
    rows = [
        {
            "id": len(people) - index,
            "image_id": ids[name],
            "category_id": 1,
            "bbox": box,
            "area": AREA,
            "iscrowd": 0,
            "num_keypoints": sum(v > 0 for _, _, v in points),
            "keypoints": [value for point in points for value in point],
        }
        for index, (name, box, points) in enumerate(people)
    ]
    images = [{"id": ids[name], "file_name": name, "width": 900, "height": 900} for name in names]
    category = {"id": 1, "name": "cat", "keypoints": NAMES, "skeleton": [[1, 2], [1, 3]]}
    document: dict[str, Any] = {"images": images, "annotations": rows, "categories": [category]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def estimated(paths: list[Path], replicates: int = 0) -> Any:
    return estimate_sigmas(load_repeats(paths, LoadOptions()), replicates, 0)


def test_two_labels_of_one_person_in_closed_form(tmp_path: Path) -> None:
    """Of two labels d apart, half of d squared is the variance."""
    box = [100.0, 100.0, 80.0, 60.0]
    base = [[120.0, 120.0, 2.0], [150.0, 130.0, 2.0], [160.0, 130.0, 1.0]]
    moved = [[123.0, 124.0, 2.0], [150.0, 140.0, 2.0], [0.0, 0.0, 0.0]]
    files = [
        write(tmp_path / "a.json", [("x.jpg", box, base)]),
        write(tmp_path / "b.json", [("x.jpg", [101.0, 100.0, 80.0, 60.0], moved)]),
    ]
    tail, left, right = estimated(files).sigmas
    assert tail.sigma == pytest.approx(5 / np.sqrt(2) / 50)
    assert left.sigma == right.sigma == pytest.approx(10 / np.sqrt(2) / 50)
    assert (tail.repeats, left.repeats, right.repeats) == (1, 1, 1)


@pytest.mark.parametrize("annotators", [2, 4])
def test_sigmas_of_known_spread_are_found_within_their_intervals(
    tmp_path: Path, annotators: int
) -> None:
    rng = np.random.default_rng(1)
    truth = np.array([0.02, 0.06, 0.06])
    people = [(f"{i // 2}.jpg", [50.0 + 400 * (i % 2), 50.0, 300.0, 300.0]) for i in range(240)]
    places = [np.array(box[:2]) + rng.uniform(50, 250, (3, 2)) for _, box in people]
    files = []
    for number in range(annotators):
        labelled = []
        for (name, box), place in zip(people, places, strict=True):
            # Sigma is of the distance: of each axis it is the square root of a half of that.
            noise = rng.normal(size=(3, 2)) * truth[:, None] * np.sqrt(AREA / 2)
            points = [[float(x), float(y), 2.0] for x, y in place + noise]
            labelled.append((name, box, points))
        order = rng.permutation(len(labelled))
        files.append(write(tmp_path / f"{number}.json", [labelled[i] for i in order]))
    found = estimated(files, replicates=300)
    assert (found.images, found.persons, found.alone) == (120, 240, (0,) * annotators)
    for sigma, true in zip(found.sigmas, truth, strict=True):
        assert sigma.low < true < sigma.high
        assert sigma.sigma == pytest.approx(true, rel=0.12)
    assert found.sigmas[1].repeats == 2 * 240 * (annotators - 1)


def test_persons_without_a_partner_are_left_out_and_mistakes_are_named(tmp_path: Path) -> None:
    def people(shift: float) -> list[tuple[str, list[float], list[list[float]]]]:
        return [
            (f"{i}.jpg", [10.0, 10.0, 100.0, 100.0], [[40.0 + shift * (i % 2), 50.0, 2.0]] * 3)
            for i in range(30)
        ]

    first, second = people(1.0), people(2.0)
    second[7][2][0] = [90.0, 50.0, 2.0]
    lonely = [("0.jpg", [500.0, 500.0, 90.0, 90.0], [[550.0, 540.0, 2.0]] * 3)]
    files = [write(tmp_path / "a.json", first), write(tmp_path / "b.json", second + lonely)]
    found = estimated(files)
    assert (found.persons, found.alone) == (30, (0, 1))
    assert (found.farthest[0].image, found.farthest[0].keypoint) == ("7.jpg", "tail")
    assert found.farthest[0].distance > 3


def test_the_set_is_written_and_read(run: Any, tmp_path: Path) -> None:
    box = [100.0, 100.0, 80.0, 60.0]
    files = [
        write(tmp_path / f"{d}.json", [("x.jpg", box, [[120.0 + d, 120.0, 2.0]] * 3)])
        for d in (0, 7)
    ]
    out = tmp_path / "cat.yaml"
    done = run("data", "sigmas", *files, "--out", out)
    assert done.code == 0, done.err
    assert "0.0990" in done.out and "fewer than 100 repeats" in done.out
    found = load_keypoint_set(out)
    assert found.name == "cat"
    assert found.keypoints == tuple(NAMES)
    assert found.sigmas == (0.099, 0.099, 0.099)
    assert (found.flip_pairs, found.skeleton) == (((1, 2),), ((0, 1), (0, 2)))


def test_what_tells_no_sigma_is_refused(tmp_path: Path) -> None:
    box = [100.0, 100.0, 80.0, 60.0]
    same = [("x.jpg", box, [[120.0, 120.0, 2.0], [130.0, 120.0, 2.0], [140.0, 120.0, 2.0]])]
    one = write(tmp_path / "a.json", same)
    with pytest.raises(UsageError, match="at least two annotators"):
        estimated([one])
    with pytest.raises(UsageError, match="the same content"):
        estimated([one, write(tmp_path / "b.json", same)])
    alike = write(tmp_path / "c.json", [*same, ("y.jpg", box, same[0][2])])
    with pytest.raises(DataError, match="labelled alike every time"):
        estimated_set(estimated([one, alike]), "cat")
    other = write(tmp_path / "d.json", [("y.jpg", box, same[0][2])])
    with pytest.raises(DataError, match="No person of"):
        estimated([one, other])


def test_sides_are_known_by_name() -> None:
    assert mirror_pairs(COCO.keypoints) == COCO.flip_pairs
    assert mirror_pairs(["L knee", "R knee", "tail_r", "tail_l", "leftover"]) == ((0, 1), (2, 3))
