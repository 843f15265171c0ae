"""Which checkpoints run together."""

from __future__ import annotations

from pathlib import Path

import pytest

from posebench.running import passes as module
from posebench.running.passes import most_cells, pass_name, passes


def file(folder: Path, name: str, size: int) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    return path


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([40, 60, 1], [[0, 1], [2]]),
        ([101, 1, 1], [[0], [1, 2]]),
        ([1, 200, 1], [[0], [1], [2]]),
        ([30, 30, 30], [[0, 1, 2]]),
        ([], []),
    ],
)
def test_weights_that_fit_run_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], groups: list[list[int]]
) -> None:
    monkeypatch.setattr(module, "WEIGHTS_OF_A_PASS", 100)
    files = [(file(tmp_path, str(index), size), None) for index, size in enumerate(sizes)]
    assert list(passes(range(len(sizes)), files.__getitem__, 100)) == groups


def test_cells_of_a_checkpoint_count_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WEIGHTS_OF_A_PASS", 100)
    path, absent = file(tmp_path, "a", 80), tmp_path / "absent"
    assert list(passes([path, path, absent, path], lambda each: (each, "none"), 100)) == [
        [path, path, absent, path]
    ]


def test_each_transform_of_a_checkpoint_counts_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WEIGHTS_OF_A_PASS", 100)
    path = file(tmp_path, "a", 50)
    transforms = ["none", "w8", "none", "w4"]
    assert list(passes(transforms, lambda each: (path, each), 100)) == [
        ["none", "w8", "none"],
        ["w4"],
    ]


def test_names() -> None:
    assert pass_name(["a"]) == pass_name(["a", "a"]) == "a"
    assert pass_name(["a", "a", "b", "c"]) == "a and 2 more"


def test_predictions_of_many_cells_are_not_held_together(tmp_path: Path) -> None:
    assert list(passes(range(5), lambda _: (tmp_path / "absent", None), 2)) == [[0, 1], [2, 3], [4]]
    # A full COCO val cell with detected boxes: 104 125 crops of 17 keypoints, 71 MB.
    assert most_cells(104_125, 17) == 15
    assert most_cells(0, 17) > 1000
    assert most_cells(10**9, 17) == 1
