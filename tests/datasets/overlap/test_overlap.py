"""Planted copies are found, in both directions, and no two other pictures are taken for copies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import COPIES, SIZE, picture, write_picture

from posebench.datasets.overlap.exclusion import read_exclusion
from posebench.datasets.overlap.find import find_overlap
from posebench.datasets.overlap.report import image_set, overlap_report, write_overlap
from posebench.errors import DataError, UsageError


def silent(_label: str, _done: int, _total: int) -> None:
    return


def written(folder: Path, count: int) -> list[Path]:
    return [write_picture(folder / f"{index:06}.jpg", picture(index)) for index in range(count)]


def planted(folder: Path, count: int, among: int) -> list[tuple[Path, int, str]]:
    """Write copies of the first pictures, of every kind in turn, and return what they are of."""
    rng = np.random.default_rng(7)
    kinds = list(COPIES)
    found = []
    for number in range(count):
        kind, source = kinds[number % len(kinds)], number % among
        copy = COPIES[kind](picture(source), rng)
        path = folder / f"copy{number:05}.jpg"
        found.append((write_picture(path, copy, int(rng.integers(35, 95))), source, kind))
    return found


def check(count: int, copies: int, others: int, folder: Path) -> None:
    """Check recall and false pairs among pictures, copies and other pictures."""
    train = written(folder / "train", count)
    planted_copies = planted(folder / "val", copies, count)
    more = [
        write_picture(folder / "val" / f"other{i}.jpg", picture(i, seed=1)) for i in range(others)
    ]
    val = [path for path, _, _ in planted_copies] + more
    truth = {(source, place) for place, (_, source, _) in enumerate(planted_copies)}
    for sides, turned in (((train, val), False), ((val, train), True)):
        pairs = find_overlap(*sides, silent).pairs
        found = {(each.val, each.train) if turned else (each.train, each.val) for each in pairs}
        assert found - truth == set()
        assert len(found) >= 0.99 * len(truth)


def test_copies_are_found_and_nothing_else(tmp_path: Path) -> None:
    check(160, 80, 80, tmp_path)


@pytest.mark.slow
def test_copies_are_found_among_ten_thousand_pictures(tmp_path: Path) -> None:
    check(10_000, 400, 100, tmp_path)


def annotated(folder: Path, names: list[str], boxes: list[list[float]], size: Any) -> Path:
    """Write annotations of one person in each image."""
    height, width = size
    images = [
        {"id": 10 + i, "file_name": name, "width": width, "height": height}
        for i, name in enumerate(names)
    ]
    rows = [
        {"id": 100 + i, "image_id": 10 + i, "category_id": 1, "bbox": box}
        for i, box in enumerate(boxes)
    ]
    path = folder / "annotations" / "person_keypoints_val.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": rows}))
    return path


def test_persons_of_a_mirrored_crop_are_found(tmp_path: Path) -> None:
    image = picture(3)
    height, width = SIZE
    train, val = tmp_path / "t", tmp_path / "v"
    write_picture(train / "val" / "a.jpg", image)
    write_picture(val / "val" / "b.jpg", image[12:228, 16:304][:, ::-1])
    write_picture(val / "val" / "c.jpg", picture(4))
    x, y, w, h = 100.0, 60.0, 50.0, 90.0
    inside = [288 - (x - 16) - w, y - 12, w, h]
    annotated(train, ["a.jpg"], [[x, y, w, h]], (height, width))
    annotated(val, ["b.jpg", "c.jpg"], [inside, inside], (216, 288))
    report = overlap_report(image_set(train), image_set(val), silent)
    (pair,) = report.pairs
    assert (pair.train, pair.val, pair.flipped) == ("a.jpg", "b.jpg", True)
    assert pair.window[2] == pytest.approx(0.9, abs=0.03)
    (persons,) = pair.persons
    assert (persons.train, persons.val) == (100, 100)
    assert persons.iou > 0.85
    assert report.images == (10,)
    assert report.persons == (100,)
    write_overlap(tmp_path / "seen.json", report)
    exclusion = read_exclusion(tmp_path / "seen.json")
    assert exclusion.images == {10}
    assert exclusion.annotations_sha256 == report.annotations_sha256


def test_positions_in_a_folder_are_not_left_out_as_ids(tmp_path: Path) -> None:
    folder = write_picture(tmp_path / "a" / "a.jpg", picture(0)).parent
    report = overlap_report(image_set(folder), image_set(folder), silent)
    assert report.images == (0,)
    write_overlap(tmp_path / "seen.json", report)
    with pytest.raises(DataError, match="a folder of images"):
        read_exclusion(tmp_path / "seen.json")


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither annotations nor images"):
        image_set(tmp_path / "empty")
    broken = tmp_path / "broken" / "a.jpg"
    broken.parent.mkdir()
    broken.write_bytes(b"no image")
    good = image_set(write_picture(tmp_path / "good" / "a.jpg", picture(0)).parent)
    with pytest.raises(DataError, match="can be read"):
        overlap_report(image_set(broken.parent), good, silent)
    (tmp_path / "list.json").write_text('{"images": ["a"]}')
    with pytest.raises(DataError, match="lists no images"):
        read_exclusion(tmp_path / "list.json")
    for name in ("train", "val"):
        annotated(tmp_path / "two", [], [], SIZE).rename(
            tmp_path / "two" / "annotations" / f"person_keypoints_{name}.json"
        )
    with pytest.raises(UsageError, match="2 annotation files"):
        image_set(tmp_path / "two")


def test_sets_without_images_and_images_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (good,) = written(tmp_path / "good", 1)
    bad = tmp_path / "bad" / "x.jpg"
    bad.parent.mkdir()
    bad.write_bytes(b"no image")
    for train, val in ((good, bad), (bad, good)):
        with pytest.raises(DataError, match=r"No image of .*bad can be read"):
            overlap_report(image_set(train.parent), image_set(val.parent), silent)
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps({"images": [], "annotations": []}))
    nothing, some = image_set(empty, good.parent), image_set(good.parent)
    for two in ((nothing, some), (some, nothing)):
        with pytest.raises(DataError, match="lists no images"):
            overlap_report(*two, silent)


def test_images_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for place, folder in enumerate(("a", "b")):
        write_picture(tmp_path / "set" / folder / "1.jpg", picture(place))
    whole = image_set(tmp_path / "set")
    pairs = overlap_report(whole, whole, silent).pairs
    assert [(pair.train, pair.val) for pair in pairs] == [("a/1.jpg",) * 2, ("b/1.jpg",) * 2]


def test_folders_that_links_lead_to_are_looked_into_once(tmp_path: Path) -> None:
    written(tmp_path / "elsewhere", 2)
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "circle").symlink_to(folder)
    assert len(image_set(folder).paths) == 2


def test_a_picture_of_one_colour_is_like_no_other(tmp_path: Path) -> None:
    flat = [write_picture(tmp_path / f"{i}.jpg", np.full((*SIZE, 3), 90 + i)) for i in range(3)]
    assert find_overlap(flat, flat, silent).pairs == ()
