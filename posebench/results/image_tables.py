"""Per-image tables on disk, named by their content; intervals come from them. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import DataError
from posebench.files.records import record_from_mapping
from posebench.files.writing import put_when_written
from posebench.scoring.matching.matching import MatchRules, MatchTable
from posebench.scoring.statistics.image_table import ErrorTable, ImageTable

# The folder of a run that holds them.
TABLES = "tables"
_ARRAYS = {
    "image_ids": np.int64,
    "detection": np.int64,
    "image": np.int64,
    "rank": np.int64,
    "scores": np.float64,
    "person": np.int32,
    "ignored": np.bool_,
    "person_count": np.int64,
}
# Not in files of version 0.2 and before.
_ERRORS = {"error_image": np.int64, "errors": np.float32, "keypoints": np.uint8}
_OKS = "oks"
# In front of the arrays of a part of the body, by its name, of a category, by its id, and of
# distances, by their scale.
_PART = "part"
_CATEGORY = "category"
_DISTANCES = "distances"
_KEY_CHARACTERS = 20


def save_table(folder: Path, table: ImageTable) -> str:
    """Write a per-image table below `folder` and return its key; a sound one is left alone."""
    arrays = _match_arrays(table.matches)
    if table.errors is not None:
        arrays |= _error_arrays(table.errors)
    if table.oks is not None:
        arrays[_OKS] = table.oks
    parts = {f"{_PART}:{name}": _match_arrays(each) for name, each in table.parts.items()}
    parts |= {f"{_CATEGORY}:{name}": _match_arrays(each) for name, each in table.categories.items()}
    parts |= {f"{_DISTANCES}:{name}": _error_arrays(each) for name, each in table.distances.items()}
    for prefix, own in parts.items():
        arrays |= {f"{prefix}:{name}": values for name, values in own.items()}
    key = _key(arrays)
    path = table_path(folder, key)
    if not is_sound(folder, key):
        with put_when_written(path) as temporary:
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
    return key


def _match_arrays(matches: MatchTable) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {name: getattr(matches, name) for name in _ARRAYS}
    arrays["ignored"] = np.packbits(matches.ignored)
    if matches.crowd_index is not None:
        arrays["crowd_index"] = matches.crowd_index
    arrays["rules"] = _bytes_of(_rules_text(matches.rules))
    return arrays


def _error_arrays(errors: ErrorTable) -> dict[str, NDArray[Any]]:
    values = errors.image, errors.errors, _bytes_of(json.dumps(errors.keypoints))
    return dict(zip(_ERRORS, values, strict=True))


def _key(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()[:_KEY_CHARACTERS]


def table_path(folder: Path, key: str) -> Path:
    """Return the path of a key's table."""
    return folder / f"{key}.npz"


def is_sound(folder: Path, key: str) -> bool:
    """Tell whether the table of a key is there and holds what its name says."""
    try:
        load_table(folder, key)
    except DataError:
        return False
    return True


def load_table(folder: Path, key: str) -> ImageTable:
    """Read a per-image table.

    Raises `DataError` if it is missing or damaged.
    """
    path = table_path(folder, key)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
            if _key(arrays) != key:
                raise ValueError("its content does not fit its name")
            return _image_table(arrays)
    except FileNotFoundError:
        raise DataError(f"The per-image table {path} is missing.") from None
    except Exception as error:  # numpy and zipfile raise many kinds of error
        raise DataError(
            f"The per-image table {path} is damaged ({error}).",
            hint="Run the suite again: its cell is scored anew.",
        ) from None


def _rules_text(rules: MatchRules) -> str:
    # The table has an axis in the order of the area ranges.
    return json.dumps({**vars(rules), "area_ranges": dict(rules.area_ranges)})


def _bytes_of(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def _image_table(arrays: Mapping[str, NDArray[Any]]) -> ImageTable:
    matches, oks = _matches(arrays), arrays.get(_OKS)
    if oks is not None and oks.shape != matches.scores.shape:
        raise ValueError("oks has another shape than the rest")
    parts = {name: _matches(own) for name, own in _below(arrays, _PART).items()}
    found = {name: _errors(own) for name, own in _below(arrays, _DISTANCES).items()}
    distances = {name: errors for name, errors in found.items() if errors is not None}
    own = {name: _matches(each) for name, each in _below(arrays, _CATEGORY).items()}
    return ImageTable(matches, _errors(arrays), oks, parts, distances, own)


def _below(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the arrays below a prefix, by the name that follows it and then by their own."""
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for key, values in arrays.items():
        if key.startswith(f"{prefix}:"):
            name, _, own = key.removeprefix(f"{prefix}:").rpartition(":")
            found.setdefault(name, {})[own] = values
    return found


def _errors(arrays: Mapping[str, NDArray[Any]]) -> ErrorTable | None:
    if not _ERRORS.keys() <= arrays.keys():
        return None
    image, errors, text = (arrays[name].astype(kind, copy=False) for name, kind in _ERRORS.items())
    names = tuple(json.loads(text.tobytes()))
    if errors.shape != (image.size, len(names)):
        raise ValueError("errors has another shape than the rest")
    return ErrorTable(names, image, errors)


def _matches(arrays: Mapping[str, NDArray[Any]]) -> MatchTable:
    values: dict[str, Any] = {
        name: arrays[name].astype(kind, copy=False) for name, kind in _ARRAYS.items()
    }
    shape = values["person"].shape
    bits = np.unpackbits(arrays["ignored"], count=int(np.prod(shape)))
    values["ignored"] = bits.reshape(shape).astype(np.bool_)
    rules = record_from_mapping(MatchRules, json.loads(arrays["rules"].tobytes()), where="rules")
    table = MatchTable(rules=rules, crowd_index=arrays.get("crowd_index"), **values)
    _check_shapes(table)
    return table


def _check_shapes(table: MatchTable) -> None:
    """Check that arrays are of one table: their bytes, which the key is made of, do not say so.

    Raises `ValueError` if they are not.
    """
    found, images = table.detection.shape, table.image_ids.shape
    areas = (len(table.rules.area_ranges),)
    wanted = {
        "detection": (table.detection.size,),
        "image_ids": (table.image_ids.size,),
        **dict.fromkeys(("image", "rank", "scores"), found),
        "person": (len(table.rules.thresholds), *areas, *found),
        "person_count": (*areas, *images),
    }
    if table.crowd_index is not None:
        wanted["crowd_index"] = images
    for name, shape in wanted.items():
        if getattr(table, name).shape != shape:
            raise ValueError(f"{name} has another shape than the rest")
