"""`posebench convert`, and the evaluation of what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_run import small_checkpoint

from posebench.checkpoints import load_checkpoint


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_embedded_checkpoint(run: Callable[..., Any], tmp_path: Path, dtype: str) -> None:
    target = tmp_path / "net.safetensors"
    done = run("convert", "heatmap-s", target, "--dtype", dtype)
    assert (done.code, done.err) == (0, "")
    assert "128x96, 17 keypoints (coco)" in done.out
    assert done.out.splitlines()[-1] == f"evaluate it: posebench eval {target}"
    assert load_checkpoint(target).provenance["source_file"] == "heatmap-s.safetensors"
    again = run("convert", "heatmap-s", target)
    assert again.code == 2
    assert "exists already" in again.err and "--force" in again.err
    assert run("convert", "heatmap-s", target, "--force").code == 0


def test_mistakes(run: Callable[..., Any], tmp_path: Path) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    for arguments, words in (
        ((path, tmp_path / "net.onnx"), "must end in .safetensors"),
        ((path, tmp_path / "x.safetensors", "--dtype", "float8"), "float8"),
        ((tmp_path / "none.pth", tmp_path / "x.safetensors"), "There is no file"),
        ((path, path, "--force"), "the file to convert"),
    ):
        done = run("convert", *arguments)
        assert done.code == 2
        assert words in done.err
    assert list(tmp_path.iterdir()) == [path]


def test_evaluation_is_the_same(run: Callable[..., Any], people: Path, tmp_path: Path) -> None:
    source, target = small_checkpoint(tmp_path / "a.safetensors"), tmp_path / "b.safetensors"
    assert run("convert", source, target).code == 0
    numbers = []
    for path in (source, target):
        out = tmp_path / f"{path.stem}.json"
        assert run("eval", path, "--dataset", people, "--json", out).code == 0
        (result,) = json.loads(out.read_text())["results"]
        numbers.append(result["metrics"])
    assert numbers[0] == numbers[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("ultralight_simplepose_256x192.onnx", 0.47, 0.53),
        ("pp_tinypose_256x192/model.xml", 0.61, 0.69),
    ],
)
def test_real_networks_on_real_images(
    run: Callable[..., Any], shared_dir: Path, coco_mini: Path, tmp_path: Path,
    name: str, low: float, high: float,
) -> None:  # fmt: skip
    """AP of both as measured by others on these 79 images; a converted file has the same."""
    source, target = shared_dir / "data" / "weights" / name, tmp_path / "net.safetensors"
    assert run("convert", source, target).code == 0
    out = tmp_path / "results.json"
    options = ("--dataset", "coco", "--data-root", coco_mini, "--no-flip", "--json", out)
    assert run("eval", source, target, *options).code == 0
    scores = [result["metrics"]["AP"] for result in json.loads(out.read_text())["results"]]
    assert low < scores[0] < high
    assert scores[0] == scores[1]
