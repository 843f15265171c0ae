"""`posebench score` and `posebench diagnose`: their options on categories, intervals, outputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzed_files import sound_files


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return annotations of two categories and results on them."""
    drawn = (sound_files(np.random.default_rng(seed)) for seed in range(100))
    made = next(
        found
        for found in drawn
        if {row["category_id"] for row in found["results"]} == {1, 2}
        and not any(row["iscrowd"] for row in found["annotations"]["annotations"])
    )
    paths = tmp_path / "gt.json", tmp_path / "dt.json"
    paths[0].write_text(json.dumps(made["annotations"]))
    paths[1].write_text(json.dumps(made["results"]))
    return paths


def test_categories_have_a_row_each(run: Callable[..., Any], files: tuple[Path, Path]) -> None:
    done = run("score", files[1], "--ann", files[0], "--replicates", 0)
    assert done.code == 0
    assert all(text in done.out for text in ("1 (person)", "2 (dog)", "mean", "without intervals"))
    assert "[" not in done.out.split("AP of category")[1]
    done = run("score", files[1], "--ann", files[0], "--replicates", 20, "--category", "dog")
    assert done.code == 0 and "mean" not in done.out
    assert (
        "No annotation with keypoints"
        in run("score", files[1], "--ann", files[0], "--category", "cow").err
    )


def test_diagnose_wants_one_category(run: Callable[..., Any], files: tuple[Path, Path]) -> None:
    done = run("diagnose", files[1], "--ann", files[0], "--replicates", 5)
    assert done.code == 2 and "--category" in done.err
    done = run("diagnose", files[1], "--ann", files[0], "--replicates", 5, "--category", "1")
    assert done.code == 0
    told = " ".join(done.out.split())
    assert "corrections put no keypoint on its label" in told and "lie at similarity 0.5" in told


@pytest.mark.parametrize("command", ["score", "diagnose"])
def test_what_cannot_be_used(
    run: Callable[..., Any], files: tuple[Path, Path], tmp_path: Path, command: str
) -> None:
    arguments = (command, files[1], "--ann", files[0], "--category", "1")
    done = run(*arguments, "--json", tmp_path)
    assert done.code == 2 and "is a folder" in done.err
    done = run(*arguments, "--replicates", 1_000_000_000)
    assert done.code == 2 and "100000" in done.err
