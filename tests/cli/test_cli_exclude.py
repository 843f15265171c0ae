"""`eval --exclude`: the number without some images is that of annotations without them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from posebench.results.store import read_run


def annotations_of(folder: Path) -> Path:
    (path,) = (folder / "annotations").glob("*.json")
    return path


def test_both_numbers_are_shown_and_kept(
    run: Callable[..., Any], people: Path, tmp_path: Path
) -> None:
    raw = json.loads(annotations_of(people).read_text())
    first = raw["images"][0]["id"]
    seen = tmp_path / "seen.json"
    seen.write_text(json.dumps([first]))
    out, report = tmp_path / "run", tmp_path / "out.json"
    whole = ("eval", "heatmap-s", "--dataset", people, "--replicates", 20, "--interval", "bca")
    done = run(*whole, "--exclude", seen, "--out", out, "--json", report)
    assert done.code == 0, done.err
    (score,) = json.loads((out / "excluded.json").read_text())["scores"]
    assert json.loads(report.read_text())["excluded"]["scores"] == [score]
    assert (score["images"], score["left_out"]) == (len(raw["images"]), 1)

    fewer = tmp_path / "fewer"
    shutil.copytree(people, fewer)
    raw["images"] = raw["images"][1:]
    raw["annotations"] = [row for row in raw["annotations"] if row["image_id"] != first]
    annotations_of(fewer).write_text(json.dumps(raw))
    other = tmp_path / "other"
    assert run("eval", "heatmap-s", "--dataset", fewer, "--out", other).code == 0
    numbers = [(read_run(folder).cells[0].result.metrics or {})["AP"] for folder in (out, other)]
    assert [score["whole"]["value"], score["without"]["value"]] == pytest.approx(numbers, abs=1e-9)
    difference = score["difference"]
    assert difference["value"] == pytest.approx(numbers[1] - numbers[0], abs=1e-9)
    assert difference["low"] <= difference["high"]
    low = (read_run(out).cells[0].result.intervals or pytest.fail("no intervals")).low["AP"]
    assert score["whole"]["low"] == pytest.approx(low), "the suite asks for BCa"
    assert f"{100 * numbers[0]:.1f} [" in done.out and f"{100 * numbers[1]:.1f} [" in done.out


def test_a_file_of_other_images_is_refused(
    run: Callable[..., Any], people: Path, tmp_path: Path
) -> None:
    seen = tmp_path / "seen.json"
    command = ("eval", "heatmap-s", "--dataset", people, "--replicates", 0, "--exclude", seen)
    seen.write_text("[987654321]")
    refused = run(*command)
    assert (refused.code, refused.out) == (2, ""), "refused before anything is predicted"
    assert "lists 1 images, none of which is in" in refused.err
    ids = [row["id"] for row in json.loads(annotations_of(people).read_text())["images"]]
    seen.write_text(json.dumps(ids))
    refused = run(*command)
    assert refused.out == "" and "leaves out all images" in refused.err


def test_of_several_data_sets_the_file_is_of_one(
    run: Callable[..., Any], people: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(people, other)
    raw = json.loads(annotations_of(other).read_text())
    for row in raw["images"]:
        row["id"] += 1000
    for row in raw["annotations"]:
        row["image_id"] += 1000
    annotations_of(other).write_text(json.dumps(raw))
    seen = tmp_path / "seen.json"
    seen.write_text(json.dumps([raw["images"][0]["id"]]))
    done = run("eval", "heatmap-s", "--dataset", f"{people},{other}", "--replicates", 0,
               "--exclude", seen, "--out", tmp_path / "run")  # fmt: skip
    assert done.code == 0, done.err
    (score,) = json.loads((tmp_path / "run" / "excluded.json").read_text())["scores"]
    assert score["place"].startswith("other ") and score["left_out"] == 1
    assert "brackets" not in done.out


def test_overlap_lists_what_two_sets_share(
    run: Callable[..., Any], people: Path, tmp_path: Path
) -> None:
    seen = tmp_path / "seen.json"
    shown = run("data", "overlap", people, people, "--out", seen)
    assert shown.code == 0, shown.err
    raw = json.loads(annotations_of(people).read_text())
    found = json.loads(seen.read_text())
    assert found["images"] == sorted(row["id"] for row in raw["images"])
    assert len(found["persons"]) == len(raw["annotations"])
    assert f"{len(raw['images'])} images, of which {len(raw['images'])} are in" in shown.out
