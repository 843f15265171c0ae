"""Category, area rule and the reading of images: options of eval and bench, fields of a suite."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
import yaml
from small_run import edit_annotations, small_checkpoint

from posebench.results.store import read_run

QUICK = ("--repeats", 1, "--seconds", 0.01, "--warmup", 0, "--batch-sizes", 1)


@pytest.fixture(scope="module")
def heatmap(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_checkpoint(tmp_path_factory.mktemp("weights") / "heatmap.safetensors")


@pytest.fixture
def zoo(people: Path, tmp_path: Path) -> Path:
    """Return scenes whose every second person is a cat of category 2, and none has an area."""
    folder = shutil.copytree(people, tmp_path / "zoo")

    def change(raw: Any) -> None:
        raw["categories"].append({**raw["categories"][0], "id": 2, "name": "cat"})
        for row in raw["annotations"]:
            del row["area"]
        for row in raw["annotations"][::2]:
            row["category_id"] = 2

    edit_annotations(folder / "annotations" / "person_keypoints_val.json", change)
    return folder


def instances(folder: Path, category: int) -> int:
    rows = json.loads(next(folder.glob("annotations/*.json")).read_text())["annotations"]
    return sum(row["category_id"] == category for row in rows)


@pytest.mark.parametrize(("command", "more"), [("eval", ("--replicates", 0)), ("bench", QUICK)])
def test_one_category_by_either_command(
    run: Any, zoo: Path, heatmap: Path, tmp_path: Path, command: str, more: tuple[object, ...]
) -> None:
    ask = (command, heatmap, "--dataset", zoo, "--area-rule", "box", *more)
    refused = run(*ask)
    assert refused.code == 2 and "--category NAME" in refused.err
    results = tmp_path / "r.json"
    assert run(*ask, "--category", "cat", "--json", results).code == 0
    (result,) = json.loads(results.read_text())["results"]
    protocol = result["protocol"]
    assert (protocol["category"], protocol["area_rule"]) == (2, "box")
    assert protocol["instances"] == instances(zoo, 2)


def test_resized_images_are_taken_where_asked(
    run: Any, people: Path, heatmap: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(people, tmp_path / "half")
    for path in (folder / "val").glob("*.[jp][pn]g"):
        cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), None, fx=0.5, fy=0.5))
    ask = ("eval", heatmap, "--dataset", folder, "--replicates", 0)
    refused = run(*ask)
    assert refused.code == 2 and "--allow-resized" in refused.err
    done = run(*ask, "--allow-resized")
    assert done.code == 0 and "[images-resampled]" in done.out


def test_a_suite_says_how_its_data_are_read(
    run: Any, zoo: Path, heatmap: Path, tmp_path: Path
) -> None:
    entry = {"name": str(zoo), "area_rule": "box", "exif": "ignore", "allow_resized": True}
    plain = {
        "name": "zoo", "description": "d", "checkpoints": [str(heatmap)],
        "datasets": [{**entry, "category": 2}, {**entry, "category": "person"}],
        "scoring": {"replicates": 0},
    }  # fmt: skip
    suite = tmp_path / "zoo.yaml"
    suite.write_text(yaml.safe_dump(plain))
    assert run("run", suite, "--out", tmp_path / "run").code == 0
    protocols = [cell.result.protocol for cell in read_run(tmp_path / "run").cells]
    assert [each.category for each in protocols] == [2, 1]
    assert {(each.exif, each.allow_resized) for each in protocols} == {("ignore", True)}
    suite.write_text(yaml.safe_dump({**plain, "datasets": [{**entry, "exif": "turn"}]}))
    assert "exif" in run("run", suite).err


def test_runs_that_read_images_otherwise_do_not_compare(
    run: Any, people: Path, heatmap: Path, tmp_path: Path
) -> None:
    for name, more in (("a", ()), ("b", ("--exif", "ignore"))):
        ask = ("eval", heatmap, "--dataset", people, "--replicates", 0, "--out", tmp_path / name)
        assert run(*ask, *more).code == 0
    done = run("compare", tmp_path / "a", tmp_path / "b")
    assert done.code == 1 and "exif (apply / ignore)" in done.out


def test_files_that_do_not_say_were_read_with_the_defaults(
    run: Any, people: Path, heatmap: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a"
    assert run("eval", heatmap, "--dataset", people, "--replicates", 0, "--out", out).code == 0
    (path,) = out.glob("cells/*.json")
    document = json.loads(path.read_text())
    for name in ("category", "exif", "allow_resized"):
        del document["result"]["protocol"][name]
    old = shutil.copytree(out, tmp_path / "old")
    (path,) = old.glob("cells/*.json")
    del document["sha256"]
    path.write_text(json.dumps(document))
    assert run("compare", old, out).code == 0
