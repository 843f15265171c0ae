"""Predictions on disk: what comes back, under which name, and what is said of damage."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from posebench.errors import DataError
from posebench.evaluation.predictions import Predictions
from posebench.prediction_files import load_predictions, predictions_path, save_predictions


def predictions(count: int = 5) -> Predictions:
    rng = np.random.default_rng(0)
    return Predictions(
        image_ids=np.arange(count),
        ids=np.arange(count) + 7,
        keypoints=rng.uniform(0, 600, (count, 17, 2)),
        keypoint_scores=rng.random((count, 17)).astype(np.float32),
        bbox_xyxy=rng.random((count, 4)).astype(np.float32),
        bbox_scores=np.ones(count, dtype=np.float32),
        areas=np.ones(count, dtype=np.float32),
    )


def test_predictions_come_back_as_float32(tmp_path: Path) -> None:
    given = predictions()
    found = load_predictions(tmp_path, save_predictions(tmp_path, given))
    for name, values in vars(given).items():
        np.testing.assert_allclose(getattr(found, name), values, rtol=2**-24)
    assert found.keypoints.dtype == np.float32


def test_the_name_is_that_of_the_content(tmp_path: Path) -> None:
    key = save_predictions(tmp_path, predictions())
    before = predictions_path(tmp_path, key).stat().st_mtime_ns
    assert save_predictions(tmp_path, predictions()) == key
    assert predictions_path(tmp_path, key).stat().st_mtime_ns == before
    other = replace(predictions(), ids=np.arange(5))
    assert save_predictions(tmp_path, other) != key
    assert len(list(tmp_path.iterdir())) == 2


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing"):
        load_predictions(tmp_path, "none")
    path = predictions_path(tmp_path, save_predictions(tmp_path, predictions()))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match="damaged"):
        load_predictions(tmp_path, path.stem)
