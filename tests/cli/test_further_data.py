"""Whole bodies and faces through the whole command line: eval, table, compare, claims, score."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from small_run import small_checkpoint

from posebench.datasets.keypoints import KEYPOINT_SETS
from posebench.results.numbers import NUMBERS
from posebench.results.store import read_run
from posebench.scoring.statistics.estimates import image_replicates

Run = Callable[..., Any]
ENDS = {"keypoints": (0, 17), "foot_kpts": (17, 23), "face_kpts": (23, 91),
        "lefthand_kpts": (91, 112), "righthand_kpts": (112, 133)}  # fmt: skip


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a few images with annotations in the layouts of COCO-WholeBody and WFLW."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(4)
    images: list[dict[str, Any]] = [
        {"id": i, "file_name": f"{i}.png", "width": 160, "height": 120} for i in range(1, 6)
    ]
    for folder in ("coco/val2017", "wflw/images"):
        (root / folder).mkdir(parents=True)
        for image in images:
            pixels = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
            cv2.imwrite(str(root / folder / image["file_name"]), pixels)
    for file, count in (
        ("coco/annotations/coco_wholebody_val_v1.0.json", 133),
        ("wflw/annotations/face_landmarks_wflw_test.json", 98),
    ):
        rows = [_person(rng, number, 1 + number % 5, count) for number in range(1, 8)]
        (root / file).parent.mkdir()
        document = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "one"}]}
        (root / file).write_text(json.dumps(document))
    return root


def _person(rng: np.random.Generator, number: int, image: int, count: int) -> dict[str, Any]:
    points = [20, 15] + rng.uniform(0, 1, (count, 2)) * [100, 80]
    flat = np.c_[points, np.full(count, 2)].ravel().tolist()
    row = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "area": 4000.0,
           "bbox": [20.0, 15.0, 100.0, 80.0], "num_keypoints": min(count, 17)}  # fmt: skip
    if count == 133:
        return {**row, **{name: flat[3 * a : 3 * b] for name, (a, b) in ENDS.items()}}
    face = {"num_keypoints": count, "center": [70.0, 55.0], "scale": 0.5}
    return {**row, "keypoints": flat, **face}


def nets(folder: Path, name: str) -> list[Path]:
    keypoints = KEYPOINT_SETS[name]
    return [
        small_checkpoint(folder / f"{kind}.safetensors", kind, keypoints=keypoints)
        for kind in ("heatmap", "simcc")
    ]


def test_faces_from_networks_to_gates(run: Run, data_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run("eval", *nets(tmp_path, "wflw"), "--dataset", "wflw", "--data-root", data_root,
               "--out", out, "--replicates", "50", "--no-flip", "--predictions",
               tmp_path / "found")  # fmt: skip
    assert done.code == 0, done
    assert "scored by posebench, distances as in MMPose" in done.out
    assert "NME 95%" in done.out and "NME and PCK in points" in done.out
    assert " AP" not in done.out.partition("Against heatmap")[0]
    assert "NME in points; 95 % intervals" in done.out
    cells = read_run(out).cells
    for cell in cells:
        assert next(iter(cell.result.metrics)) == "NME"
        assert cell.result.intervals.low["NME"] < cell.result.metrics["NME"]
        assert (cell.result.protocol.record, cell.result.protocol.nms) == ("wflw", "none")
        table = read_run(out).table(cell)
        draws = image_replicates([table], [NUMBERS["NME"].recipe], 5, np.random.default_rng(0))
        assert np.isfinite(draws).all()
    shown = run("table", out)
    assert f"{100 * cells[0].result.metrics['NME']:.1f}" in shown.out
    verdicts = run("claims", out)
    assert "simcc has a lower NME than heatmap." in verdicts.out
    compared = run("compare", out, out)
    assert compared.code == 0 and "gate 'NME rise 0 significant': passed" in compared.out
    assert run("compare", out, out, "--gate", "NME rise 0.5").code == 0
    wrong = run("compare", out, out, "--gate", "NME drop 0.5")
    assert wrong.code == 2 and 'Write "NME rise 0.5"' in wrong.err
    drawn = tmp_path / "drawn.svg"
    assert run("plot", out, "--kind", "resolution", "--out", drawn).code == 0
    assert "NME (points)" in drawn.read_text()
    page = tmp_path / "page.html"
    assert run("report", out, "--out", page).code == 0
    assert "the best NME of each protocol is bold" in page.read_text()
    # The file of predictions, scored as another tool's, says the same.
    files = sorted((tmp_path / "found").glob("*.json"))
    ann = data_root / "wflw/annotations/face_landmarks_wflw_test.json"
    scored = run("score", *files, "--ann", ann, "--dataset", "wflw", "--replicates", "50",
                 "--json", tmp_path / "scored.json")  # fmt: skip
    assert scored.code == 0 and "NME" in scored.out
    report = json.loads((tmp_path / "scored.json").read_text())["report"]
    for score, cell in zip(report["scores"], cells, strict=True):
        assert score["metrics"]["NME"]["value"] == pytest.approx(
            cell.result.metrics["NME"], rel=1e-6
        )


def test_faces_without_some_images_and_no_way_between_aps(
    run: Run, data_root: Path, tmp_path: Path
) -> None:
    out, seen = tmp_path / "run", tmp_path / "seen.json"
    first, _ = nets(tmp_path, "wflw")
    ann = data_root / "wflw/annotations/face_landmarks_wflw_test.json"
    seen.write_text(json.dumps([json.loads(ann.read_text())["images"][0]["id"]]))
    done = run("eval", first, "--dataset", "wflw", "--data-root", data_root, "--out", out,
               "--replicates", "20", "--no-flip", "--exclude", seen)  # fmt: skip
    assert done.code == 0, done
    (score,) = json.loads((out / "excluded.json").read_text())["scores"]
    assert score["metric"] == "NME"
    assert score["whole"]["value"] == pytest.approx(read_run(out).cells[0].result.metrics["NME"])
    refused = run("explain", out, out)
    assert refused.code == 2 and "has no AP" in refused.err


def test_whole_bodies_by_part(run: Run, data_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first, _ = nets(tmp_path, "coco-wholebody")
    done = run("eval", first, "--dataset", "coco-wholebody", "--data-root", data_root, "--out",
               out, "--replicates", "20", "--predictions", tmp_path / "found.json")  # fmt: skip
    assert done.code == 0, done
    for name in ("AP(body)", "AP(foot)", "AP(face)", "AP(left hand)", "AP(right hand)"):
        assert name in done.out
    (cell,) = read_run(out).cells
    assert len([name for name in cell.result.metrics if name.startswith("A")]) == 60
    assert cell.result.intervals.low["AR50(face)"] is not None
    assert run("table", out, "--metric", "AP,AP(face),AR(left hand)", "--ci").code == 0
    assert run("compare", out, out, "--gate", "AP(face) drop 0.3 significant").code == 0
    ann = data_root / "coco/annotations/coco_wholebody_val_v1.0.json"
    scored = run("score", tmp_path / "found.json", "--ann", ann, "--dataset", "coco-wholebody",
                 "--replicates", "20", "--json", tmp_path / "scored.json")  # fmt: skip
    assert scored.code == 0 and "AP(right hand, L)" in scored.out
    report = json.loads((tmp_path / "scored.json").read_text())["report"]
    values = {name: each["value"] for name, each in report["scores"][0]["metrics"].items()}
    assert values == {name: cell.result.metrics[name] for name in values}
    for arguments in ((out, tmp_path / "found.json"), (tmp_path / "found.json", out)):
        explained = run(
            "explain", *arguments, "--replicates", "20", "--json", tmp_path / "why.json"
        )
        assert explained.code == 0, explained.err
        why = json.loads((tmp_path / "why.json").read_text())["report"]
        assert why["mine"]["ap"] == why["theirs"]["ap"] == cell.result.metrics["AP"]


def test_results_of_more_keypoints_name_the_data_set(
    run: Run, data_root: Path, tmp_path: Path
) -> None:
    row = {"image_id": 1, "category_id": 1, "keypoints": [1.0] * 399, "score": 0.5}
    (tmp_path / "found.json").write_text(json.dumps([row]))
    ann = data_root / "coco/annotations/coco_wholebody_val_v1.0.json"
    done = run("score", tmp_path / "found.json", "--ann", ann)
    assert done.code == 2 and "Are they coco-wholebody? Name the data set" in done.err
    faces = data_root / "wflw/annotations/face_landmarks_wflw_test.json"
    done = run("score", tmp_path / "found.json", "--ann", faces)
    assert done.code == 2 and "posebench data ls" in done.err


def test_a_person_without_a_result_is_said(run: Run, data_root: Path, tmp_path: Path) -> None:
    faces = data_root / "wflw/annotations/face_landmarks_wflw_test.json"
    rows = [
        {key: row[key] for key in ("image_id", "category_id", "keypoints")} | {"score": 1.0}
        for row in json.loads(faces.read_text())["annotations"]
        if row["image_id"] != 3
    ]
    (tmp_path / "found.json").write_text(json.dumps(rows))
    done = run("score", tmp_path / "found.json", "--ann", faces, "--dataset", "wflw")
    assert done.code == 0 and "there is no result" in done.out
    assert "[results-persons-missing]" in done.out and "AP follows it" not in done.out
    assert "image 3 (0 of 2)" in done.out
    wrong = run("score", tmp_path / "found.json", "--ann", faces, "--dataset", "wflw", "--official")
    assert wrong.code == 2 and "scored by distances" in wrong.err


def test_data_sets_are_listed_and_shown(run: Run) -> None:
    done = run("data", "ls")
    assert done.code == 0
    assert len(done.out.splitlines()) == 22
    assert any(line.startswith("wflw ") and "NME" in line for line in done.out.splitlines())
    done = run("data", "show", "coco-wholebody")
    assert done.code == 0
    for text in ("AP(left hand, L)", "annotations/coco_wholebody_{split}_v1.0.json",
                 "CC BY-NC 4.0", "xtcocotools", "left_big_toe/right_big_toe"):  # fmt: skip
        assert text in done.out
    done = run("data", "show", "wlfw")
    assert done.code == 2 and "'wflw'" in done.err


def test_sound_faces_score_best(run: Run, data_root: Path) -> None:
    faces = data_root / "wflw/annotations/face_landmarks_wflw_test.json"
    done = run("data", "check", faces, "--record", "wflw", "--images", data_root / "wflw/images")
    assert done.code == 0
    assert "ground truth as prediction: NME 0.0 points" in done.out
