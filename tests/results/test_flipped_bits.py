"""Stored files with flipped bits: never another number, and no error but posebench's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_speed import SPEED
from small_store import made_up_table, result, run_folder

from posebench.errors import PosebenchError
from posebench.prediction.kept.predictions import (
    CachedPredictions,
    cached_file,
    load_predictions,
    read_predictions,
    write_predictions,
)
from posebench.prediction.predictions import Predictions
from posebench.results.image_tables import load_table, save_table, table_path
from posebench.results.store import read_cell
from posebench.scoring.matching.matching import MatchTable
from posebench.scoring.statistics.image_table import ErrorTable, ImageTable

FEW, MANY = 400, 5000
IDENTITY = {"checkpoint_sha256": "c" * 64, "size": "64x48", "decoder": "own"}


def made_up_predictions(count: int = 20) -> Predictions:
    rng = np.random.default_rng(1)
    return Predictions(
        image_ids=np.arange(count, dtype=np.int64),
        ids=np.arange(count, dtype=np.int64) + 100,
        keypoints=rng.uniform(0, 200, (count, 17, 2)),
        keypoint_scores=rng.uniform(0, 1, (count, 17)).astype(np.float32),
        bbox_xyxy=rng.uniform(0, 200, (count, 4)).astype(np.float32),
        bbox_scores=rng.uniform(0, 1, count).astype(np.float32),
        areas=rng.uniform(0, 9000, count).astype(np.float32),
    )


def a_cell(folder: Path) -> tuple[Path, Callable[[], object]]:
    run_folder(folder, {"a": result(speed=SPEED)}, labels={"a": {"pair": "s"}})
    return folder / "cells" / "a.json", lambda: read_cell(folder, "a")


def cached(folder: Path) -> tuple[Path, Callable[[], object]]:
    file = cached_file(folder, IDENTITY)
    write_predictions(file, CachedPredictions(made_up_predictions(), 0.5))
    return file.path, lambda: read_predictions(file)


def of_a_run(folder: Path) -> tuple[Path, Callable[[], object]]:
    path, _ = cached(folder)
    return path, lambda: load_predictions(path)


def a_table(folder: Path) -> tuple[Path, Callable[[], object]]:
    key = save_table(folder, made_up_table(0.5))
    return table_path(folder, key), lambda: load_table(folder, key)


def plain(value: Any) -> Any:
    """Return a record as values that compare by `==`."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    tables = ImageTable | MatchTable | ErrorTable
    if isinstance(value, CachedPredictions | Predictions | tables):
        return {name: plain(each) for name, each in vars(value).items()}
    return value


@pytest.mark.parametrize("flips", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
@pytest.mark.parametrize("store", [a_cell, cached, of_a_run, a_table])
def test_no_flipped_bits_make_another_number(
    tmp_path: Path, store: Callable[[Path], tuple[Path, Callable[[], object]]], flips: int
) -> None:
    path, read = store(tmp_path)
    whole, right = path.read_bytes(), plain(read())
    assert right is not None
    rng = np.random.default_rng(flips)
    told = 0
    for _ in range(flips):
        damaged = bytearray(whole)
        for place in rng.integers(8 * len(whole), size=rng.integers(1, 4)):
            damaged[place // 8] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        try:
            found = read()
        except PosebenchError:
            told += 1
            continue
        told += found is None
        assert found is None or plain(found) == right
    assert told > flips / 2


@pytest.mark.parametrize("store", [cached, of_a_run])
def test_content_that_is_exchanged_is_told(
    tmp_path: Path, store: Callable[[Path], tuple[Path, Callable[[], object]]]
) -> None:
    path, read = store(tmp_path)
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays["keypoints"] = arrays["keypoints"] + 1
    np.savez_compressed(path, **arrays)
    with pytest.raises(PosebenchError, match="does not fit its checksum"):
        read()
    del arrays["sha256"]  # as files of before 0.2, which are read if they can be right
    np.savez_compressed(path, **arrays)
    assert read() is not None
    arrays["keypoints"][0] = np.nan
    np.savez_compressed(path, **arrays)
    with pytest.raises(PosebenchError, match="NaN"):
        read()


def test_the_predictions_of_another_cell_are_told(tmp_path: Path) -> None:
    path, read = of_a_run(tmp_path)
    other = cached_file(tmp_path, {**IDENTITY, "decoder": "dark"})
    write_predictions(other, CachedPredictions(made_up_predictions(3), None))
    path.write_bytes(other.path.read_bytes())
    with pytest.raises(PosebenchError, match="of another cell"):
        read()
