"""Decoded predictions of a cell on disk, named by their content: what galleries show. No torch."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import DataError
from posebench.evaluation.predictions import Predictions
from posebench.records import put_when_written

_NAMES = tuple(field.name for field in fields(Predictions))
_KEY_CHARACTERS = 20


def save_predictions(folder: Path, predictions: Predictions) -> str:
    """Write predictions below `folder` as float32 and return their key; what is there stays."""
    arrays = {name: _compact(getattr(predictions, name)) for name in _NAMES}
    digest = hashlib.sha256()
    for name, values in arrays.items():
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    key = digest.hexdigest()[:_KEY_CHARACTERS]
    path = predictions_path(folder, key)
    if not path.is_file():
        with put_when_written(path) as temporary:
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
    return key


def predictions_path(folder: Path, key: str) -> Path:
    """Return where the predictions of a key lie."""
    return folder / f"{key}.npz"


def load_predictions(folder: Path, key: str) -> Predictions:
    """Read predictions; raise `DataError` where they are missing or damaged."""
    path = predictions_path(folder, key)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            return Predictions(**{name: stored[name] for name in _NAMES})
    except FileNotFoundError:
        raise DataError(f"The predictions {path} are missing.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"The predictions {path} are damaged ({error}).",
            hint="Delete them and the cell that names them, and run the suite again.",
        ) from None


def _compact(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype == np.float64 else values
