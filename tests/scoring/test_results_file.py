"""Results files as people have them: reading into columns, and what is wrong in dirty ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from posebench.datasets import json_rows
from posebench.errors import DataError
from posebench.files import json_file
from posebench.scoring.matching.detections import detections_from_results
from posebench.scoring.results_file import read_detections
from posebench.scoring.results_json import read_coco_results

Row = dict[str, Any]


def results(count: int, joints: int = 2) -> list[Row]:
    rng = np.random.default_rng(count)
    return [
        {
            "image_id": int(rng.integers(1, 9)),
            "category_id": 1,
            "keypoints": rng.normal(0, 100, 3 * joints).tolist(),
            "score": float(rng.random()),
            "bbox": rng.random(4).tolist(),
        }
        for _ in range(count)
    ]


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "results.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("block", [1, 7, 300, 1 << 18])
def test_blocks_of_any_size_give_what_json_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indent: int | None, block: int
) -> None:
    monkeypatch.setattr(json_rows, "_BYTES_AT_ONCE", block)
    rows = [{**row, "note": "}, {[", "parts": [{"a": 1}, {"b": 2}]} for row in results(9)]
    path = written(tmp_path, "\ufeff" + json.dumps(rows, indent=indent))
    found = read_detections(path, 2).detections
    expected = [row["keypoints"] for row in read_coco_results(path, 2)]
    np.testing.assert_array_equal(
        np.concatenate([found.keypoints, found.keypoint_scores[..., None]], axis=2).reshape(9, 6),
        expected,
    )
    assert found.image_ids.tolist() == [row["image_id"] for row in rows]
    assert found.scores.tolist() == [row["score"] for row in rows]
    assert found.areas.tolist() == [row["bbox"][2] * row["bbox"][3] for row in rows]


def test_areas_without_boxes_are_the_extent_of_all_keypoints(tmp_path: Path) -> None:
    row = {"image_id": 1, "category_id": 1, "score": 1, "keypoints": [3, 9, 0, 5, 2, 1]}
    found = read_detections(written(tmp_path, json.dumps([row])), 2)
    assert found.detections.areas.tolist() == [14.0]
    assert found.findings == ()


def test_an_empty_list_is_read_and_said(tmp_path: Path) -> None:
    found = read_detections(written(tmp_path, " [ ]\n"), 17)
    assert len(found.detections) == 0 and found.detections.keypoints.shape == (0, 17, 2)
    assert [str(item) for item in found.findings] == ["The list of results is empty."]


def test_other_categories_are_left_out_and_said(tmp_path: Path) -> None:
    rows = results(5)
    rows[2]["category_id"] = 3
    found = read_detections(written(tmp_path, json.dumps(rows)), 2)
    assert len(found.detections) == 4
    assert "1 results of categories other than 1 (person)" in str(found.findings[0])


def test_duplicates_are_kept_and_said(tmp_path: Path) -> None:
    rows = results(6)
    found = read_detections(written(tmp_path, json.dumps([*rows, rows[1], rows[4]])), 2)
    assert len(found.detections) == 8
    assert found.findings[0].count == 2
    assert f"in image {rows[1]['image_id']}" in found.findings[0].offenders


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("keypoints", [1.0, 2.0, float("nan"), 1.0, 2.0, 3.0]),
        ("keypoints", [1.0, 2.0, float("inf"), 1.0, 2.0, 3.0]),
        ("keypoints", [1.0, 2.0, "3", 1.0, 2.0, 3.0]),
        ("keypoints", [1.0, 2.0, None, 1.0, 2.0, 3.0]),
        ("keypoints", [1.0, 2.0, 10**400, 1.0, 2.0, 3.0]),
        ("keypoints", [1.0, 2.0, 3.0]),
        ("keypoints", "abcdef"),
        ("keypoints", None),
        ("image_id", "7"),
        ("image_id", 7.0),
        ("category_id", None),
        ("score", "0.5"),
        ("score", float("nan")),
        ("bbox", [1, 2, 3]),
        ("bbox", [1, 2, 3, None]),
    ],
)
def test_unsound_rows_are_named(tmp_path: Path, key: str, value: Any) -> None:
    rows = results(8)
    rows[3][key] = value
    rows[6][key] = value
    with pytest.raises(DataError, match=rf"`{key}` .*: entry 3.*, entry 6.*\.") as error:
        read_detections(written(tmp_path, json.dumps(rows)), 2)
    assert "score" in str(error.value.hint)
    assert detections_from_results(rows, 2) is None


@pytest.mark.parametrize("key", ["image_id", "category_id", "keypoints", "score"])
def test_missing_fields_are_named(tmp_path: Path, key: str) -> None:
    rows = results(3)
    del rows[1][key]
    with pytest.raises(DataError, match=rf"`{key}` (is|are) missing: entry 1\."):
        read_detections(written(tmp_path, json.dumps(rows)), 2)


@pytest.mark.parametrize("number", [2**63, 2**70])
def test_image_ids_beyond_64_bits(tmp_path: Path, number: int) -> None:
    rows = results(2)
    rows[1]["image_id"] = number
    with pytest.raises(DataError, match="`image_id` does not fit 64 bits: entry 1"):
        read_detections(written(tmp_path, json.dumps(rows)), 2)


def test_boxes_in_some_rows_only(tmp_path: Path) -> None:
    rows = results(4)
    del rows[2]["bbox"]
    with pytest.raises(DataError, match="Only 3 of 4 results have a bbox"):
        read_detections(written(tmp_path, json.dumps(rows)), 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("{}", "does not hold a list"),
        ('{"annotations": [{"a": 1}, {"b": 2}]}', "does not hold a list"),
        ("[1, 2]", "Entry 0 of the results file .* is not an object"),
        ('[{"a": 1}, {"a": 2}, [3]]', "Entry 2 of the results file .* is not an object"),
        ('[{"a": 1}, {"a": 2}', "cut off"),
        ('[{"a": 1}, {"a": "tw', "cut off"),
        ('[{"a": 1}, {"a": 01}, {"a": 2}]', "not valid JSON"),
        ('[{"a": 1}] [{"a": 2}]', "not valid JSON"),
        (b'[{"a": "\xff"}]', "not JSON text"),
        (b"PK\x03\x04\xff\xfe", "not JSON text"),
    ],
)
def test_files_that_are_no_list_of_objects(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_detections(written(tmp_path, text), 2)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no results file"):
        read_detections(tmp_path / "none.json", 2)


def test_unsound_rows_of_many_blocks_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "_BYTES_AT_ONCE", 500)
    monkeypatch.setattr(json_rows, "_LONGEST_ROW", 2000)
    rows = results(60)
    rows[7]["score"] = rows[55]["score"] = float("nan")
    with pytest.raises(DataError, match=r"`score` is not .*: entry 7 .*, entry 55"):
        read_detections(written(tmp_path, json.dumps(rows)), 2)


def test_cut_off_after_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "_BYTES_AT_ONCE", 500)
    text = json.dumps(results(60))
    with pytest.raises(DataError, match="cut off: it ends after"):
        read_detections(written(tmp_path, text[:-40]), 2)


def test_a_file_broken_early_is_not_read_as_one_long_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "_BYTES_AT_ONCE", 500)
    monkeypatch.setattr(json_rows, "_LONGEST_ROW", 2000)
    text = json.dumps(results(60)).replace('"score"', '"score', 1)
    with pytest.raises(DataError, match="not valid JSON"):
        read_detections(written(tmp_path, text), 2)


def test_text_only_the_standard_library_reads(tmp_path: Path) -> None:
    """A lone surrogate, which strict parsers refuse, does not matter in a name."""
    rows = [{**row, "name": "\ud800"} for row in results(3)]
    assert len(read_detections(written(tmp_path, json.dumps(rows)), 2).detections) == 3


def test_only_a_broken_file_needs_memory_for_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_rows, "_BYTES_AT_ONCE", 500)
    monkeypatch.setattr(json_file, "free_memory", lambda: 10_000)
    text = json.dumps(results(60))
    assert len(read_detections(written(tmp_path, text), 2).detections) == 60
    with pytest.raises(DataError, match=r"cut off, .* somewhere after its first 5\d entries"):
        read_detections(written(tmp_path, text[:-40]), 2)
