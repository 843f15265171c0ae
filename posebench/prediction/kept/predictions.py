"""Predictions on disk, one file for each cell and decoder, to be scored again without a network.

A file is named by the hash of everything that moves a prediction, and appears under that name only
when it is complete. It holds the hash of its content, and no pickles. Deleting any of them is safe.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from posebench.errors import DataError, in_one_line
from posebench.files.cache import mark_used
from posebench.files.hashing import content_key
from posebench.files.writing import put_when_written
from posebench.prediction.predictions import Predictions, check_finite

_log = logging.getLogger(__name__)
_Read = TypeVar("_Read")
_NAMES = tuple(field.name for field in fields(Predictions))
_IDENTITY = "identity"
_CHECKSUM = "sha256"


@dataclass(frozen=True)
class CachedFile:
    """Where the predictions of one cell are, or will be; `identity` names it.

    `shared` is the place of a copy in another folder.
    """

    path: Path
    identity: Mapping[str, Any]
    shared: Path | None = None

    @property
    def places(self) -> tuple[Path, ...]:
        """Where to read from, as far as they are there: the file itself, then the copy."""
        both = (self.path,) if self.shared is None else (self.path, self.shared)
        return tuple(place for place in both if place.is_file())

    @property
    def is_kept(self) -> bool:
        """Whether there is something to read."""
        return bool(self.places)


@dataclass(frozen=True, eq=False)
class CachedPredictions:
    """What a file of the cache holds: predictions, and the network's GFLOPs.

    `place` is where they were read.
    """

    predictions: Predictions
    gflops: float | None
    place: Path | None = None


def cached_file(
    folder: Path, identity: Mapping[str, Any], shared: Path | None = None
) -> CachedFile:
    """Return the file in `folder` named by `identity`, which is all that predictions rest on."""
    name = f"{content_key(identity)}.npz"
    return CachedFile(folder / name, identity, None if shared is None else shared / name)


def read_predictions(file: CachedFile) -> CachedPredictions | None:
    """Return what the file or its copy holds, or None if neither is there.

    Raises `DataError` if all that is there is damaged.
    """
    found = _first_sound(file, lambda place: _read_own(file, place, "gflops"))
    if found is None:
        return None
    place, (predictions, gflops) = found
    if place != file.path and file.path.is_file():
        _log.warning("Cached predictions in %s are damaged; %s is read.", file.path, place)
    mark_used(place)
    return CachedPredictions(predictions, None if np.isnan(gflops) else gflops, place)


def read_gflops(file: CachedFile) -> float | None:
    """Return the GFLOPs that a kept file notes, without reading its predictions.

    None means that the network does not run in torch. Raises `DataError` if the file is damaged.
    """
    found = _first_sound(file, lambda place: _read_gflops(file, place))
    gflops = np.nan if found is None else found[1]
    return None if np.isnan(gflops) else gflops


def _read_gflops(file: CachedFile, place: Path) -> float:
    try:
        with place.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            identity = json.loads(str(stored["identity"]))
            gflops = float(stored["gflops"])
    except Exception as error:  # numpy and zipfile raise many kinds of error
        raise _damaged(place, error) from None
    _check_identity(file, place, identity)
    return gflops


def noted_gflops(files: Iterable[CachedFile]) -> Iterator[float | None]:
    """Yield the GFLOPs that kept files of one network note, without damaged ones."""
    for file in files:
        if file.is_kept:
            try:
                yield read_gflops(file)
            except DataError as error:
                _log.debug("%s", in_one_line(error))  # reported when it is to be read


def load_predictions(path: Path) -> Predictions:
    """Return the predictions of a file, whatever cell it is of.

    Raises `DataError` if it is damaged.
    """
    identity, predictions, _ = _read(path, "gflops")
    if content_key(identity) != path.stem:
        raise _damaged(path, "it is of another cell")
    return predictions


def write_predictions(file: CachedFile, kept: CachedPredictions) -> None:
    """Keep predictions by way of a temporary name.

    Raises `DataError` if they cannot be written.
    """
    write_arrays(file, kept.predictions, gflops=np.nan if kept.gflops is None else kept.gflops)


def share_predictions(file: CachedFile, source: Path, *, replace: bool = False) -> None:
    """Copy a file from `source`, one of its two places, to the other.

    A copy that is there already stays, unless `replace` is set. The file itself is always replaced:
    it would be the source if it were sound. Raises `DataError` if the copy cannot be written.
    """
    if file.shared is None:
        return
    if source == file.path:
        target, is_due = file.shared, replace or not file.shared.is_file()
    else:
        target, is_due = file.path, True
    if is_due:
        try:
            with put_when_written(target) as temporary:
                shutil.copyfile(source, temporary)
        except OSError as error:
            raise DataError(f"{target} cannot be written: {error.strerror or error}.") from None


def write_arrays(file: CachedFile, predictions: Predictions, **numbers: float) -> None:
    """Write a file with predictions and numbers.

    Raises `DataError` if it cannot be written.
    """
    arrays = {name: getattr(predictions, name) for name in _NAMES}
    arrays["keypoints"] = _narrow(arrays["keypoints"])
    arrays |= {name: np.array(number) for name, number in numbers.items()}
    arrays[_IDENTITY] = np.array(json.dumps(file.identity))
    arrays[_CHECKSUM] = np.array(_checksum(arrays))
    try:
        with put_when_written(file.path) as temporary:
            np.savez(temporary, **arrays)
    except OSError as error:
        raise DataError(f"{file.path} cannot be written: {error.strerror or error}.") from None


def read_arrays(file: CachedFile, number: str) -> tuple[Predictions, float]:
    """Return a file's predictions and the number of this name; raise `DataError` for damage."""
    return _read_own(file, file.path, number)


def _first_sound(file: CachedFile, read: Callable[[Path], _Read]) -> tuple[Path, _Read] | None:
    """Return the first place that can be read and what it holds, None where none is there.

    Raises the `DataError` of the first place where none can be read.
    """
    damage: DataError | None = None
    for place in file.places:
        try:
            return place, read(place)
        except DataError as error:
            damage = damage or error
    if damage is not None:
        raise damage
    return None


def _read_own(file: CachedFile, place: Path, number: str) -> tuple[Predictions, float]:
    identity, predictions, value = _read(place, number)
    _check_identity(file, place, identity)
    return predictions, value


def _check_identity(file: CachedFile, place: Path, identity: Any) -> None:
    if identity != json.loads(json.dumps(file.identity)):
        raise _damaged(place, "it is of another cell")


def _read(path: Path, number: str) -> tuple[Any, Predictions, float]:
    """Return the identity that a file holds, its predictions, and the number of this name.

    Raises `DataError` if the file is damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        checksum = arrays.pop(_CHECKSUM, None)
        if set(arrays) != {*_NAMES, _IDENTITY, number}:
            raise ValueError("it holds other arrays than it should")
        if checksum is not None and str(checksum) != _checksum(arrays):
            raise ValueError("its content does not fit its checksum")
        values = {name: arrays[name] for name in _NAMES}
        values["keypoints"] = values["keypoints"].astype(np.float64)
        predictions = Predictions(**values)
        if checksum is None:  # a file from before 0.2
            check_finite(predictions)
        return json.loads(str(arrays[_IDENTITY])), predictions, float(arrays[number])
    except Exception as error:  # numpy and zipfile raise many kinds of error
        raise _damaged(path, error) from None


def _checksum(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return the SHA-256 of arrays: names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _damaged(path: Path, why: object) -> DataError:
    return DataError(f"Cached predictions in {path} are damaged: {why}")


def _narrow(values: NDArray[Any]) -> NDArray[Any]:
    """Return float64 values as float32 if that loses nothing."""
    narrow = values.astype(np.float32)
    return narrow if np.array_equal(narrow, values) else values
