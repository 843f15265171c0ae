"""`posebench inspect`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_run import small_checkpoint, small_model

from posebench.checkpoints.native import save_checkpoint
from posebench.files.hashing import sha256_of


@pytest.mark.parametrize("paradigm", ["heatmap", "simcc", "rle"])
def test_a_good_checkpoint(run: Callable[..., Any], tmp_path: Path, paradigm: str) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors", paradigm)
    done = run("inspect", path)
    assert (done.code, done.err) == (0, "")
    for said in (paradigm, sha256_of(path), "64x48", "17 (coco)", "mapped", "parameters"):
        assert said in done.out


def test_a_spec_file_overrules(run: Callable[..., Any], tmp_path: Path) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    spec = tmp_path / "spec.yaml"
    spec.write_text("codec: {decoder: dark}\n")
    done = run("inspect", path, "--spec", spec)
    assert done.code == 0
    assert "dark" in done.out and "spec.yaml" in done.out


def test_files_that_cannot_be_loaded(run: Callable[..., Any], tmp_path: Path) -> None:
    path = small_checkpoint(tmp_path / "net.safetensors")
    spec = tmp_path / "spec.yaml"
    spec.write_text("input_size: 64x64\nbackbone: {family: rsnet}\n")
    done = run("inspect", path, "--spec", spec)
    assert done.code == 2
    assert "cannot be loaded" in done.out
    path.write_bytes(path.read_bytes()[:50])
    done = run("inspect", path)
    assert done.code == 2
    assert "cut off" in done.err
    assert run("inspect", tmp_path / "none.pth").code == 2


def test_what_a_file_says_moves_no_cursor(run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, small_model("heatmap"), {"no\x1b[2Jte": "a\x1b[2Jb\nc" + "x" * 200})
    done = run("inspect", path)
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "provenance.no [2Jte: a [2Jb cxxx" in done.out
    assert max(map(len, done.out.splitlines())) < 200
