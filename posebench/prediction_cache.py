"""Predictions on disk, one file for each cell and decoder, to be scored again without a network.

A file is named by the hash of everything that moves a prediction, appears under its name when
complete, and holds no pickles. Deleting any of them is safe.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.datasets.coco import Instances, PoseDataset
from posebench.errors import DataError, EvaluationError
from posebench.evaluation.predictions import Predictions, instance_predictions
from posebench.identity import content_key
from posebench.records import put_when_written

# What numpy, zipfile and the checks below raise for a file that is not whole.
_DAMAGE = (
    OSError, KeyError, TypeError, ValueError, EOFError, zipfile.BadZipFile, zlib.error,
    EvaluationError,
)  # fmt: skip


@dataclass(frozen=True)
class CachedFile:
    """Where the predictions of one cell by one decoder are, or will be; `identity` names it."""

    path: Path
    identity: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class CachedPredictions:
    """What a file of the cache holds: predictions, and the network's GFLOPs."""

    predictions: Predictions
    gflops: float | None


def cached_file(folder: Path, identity: Mapping[str, Any]) -> CachedFile:
    """Return the file in `folder` that belongs to plain data, everything predictions rest on."""
    return CachedFile(folder / f"{content_key(identity)}.npz", identity)


def read_predictions(
    file: CachedFile, dataset: PoseDataset, instances: Instances
) -> CachedPredictions | None:
    """Return what the file holds on these instances, None where there is no file.

    Raises `DataError` for a file that is damaged.
    """
    try:
        with file.path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            if json.loads(str(arrays["identity"])) != json.loads(json.dumps(file.identity)):
                raise ValueError("it is of another cell")
            gflops = float(arrays["gflops"])
            predictions = instance_predictions(
                dataset,
                instances,
                arrays["keypoints"].astype(np.float64),
                arrays["keypoint_scores"],
                arrays["areas"],
            )
    except FileNotFoundError:
        return None
    except _DAMAGE as error:
        raise DataError(f"Cached predictions in {file.path} are damaged: {error}") from None
    return CachedPredictions(predictions, None if np.isnan(gflops) else gflops)


def write_predictions(file: CachedFile, kept: CachedPredictions) -> None:
    """Keep predictions by way of a temporary name; raise `DataError` if they cannot be written."""
    predictions = kept.predictions
    try:
        with put_when_written(file.path) as temporary:
            np.savez_compressed(
                temporary,
                identity=np.array(json.dumps(file.identity)),
                gflops=np.array(np.nan if kept.gflops is None else kept.gflops),
                keypoints=_narrow(predictions.keypoints),
                keypoint_scores=predictions.keypoint_scores,
                areas=predictions.areas,
            )
    except OSError as error:
        raise DataError(f"{file.path} cannot be written: {error.strerror or error}.") from None


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Return float64 values as float32 where that loses nothing."""
    narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow, values) else values
