"""Raw outputs on disk: what a network answered for every instance, to decode and score again.

One folder per network run, named by its content: `raw.json` beside chunks of compressed float16
arrays. A folder appears only when it is complete, so that a stopped run leaves nothing that looks
like one. A value is kept as its distance from its map's peak, so that the peak stays where it is.
On 271 synthetic people, the argmax keypoints of the embedded heatmap-m and simcc-m stay the same;
those of DARK and UDP move by at most 0.007 image pixels, those by expectation by 0.014; one quarter
offset of 4 607 differs, and no AP does. (As plain float16, values tie with their peak, and 14 % of
SimCC's keypoints move.)
"""

from __future__ import annotations

import json
import math
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.errors import DataError, PosebenchError
from posebench.files.hashing import content_key, sha256_of
from posebench.files.records import mapping_from_record, record_from_mapping
from posebench.files.writing import write_json

SCHEMA_VERSION = 1
# What the protocol adds if numbers were decoded from float16, in this run or an earlier one.
KEPT_PRECISION = ", outputs kept as fp16"
# Instances per file: 60 MB of float16 heatmaps at 384x288.
_CHUNK = 256
# Coordinates and their deviations: values that decoding reads all alike.
_FEW = 4

Outputs = tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, eq=False)
class Packed:
    """Maps (N, K, ...) as distances from their peak, most exact where decoding looks.

    A map is `peaks` + `distances` · 2^`exponents`: float32 (N, K), float16 ≤ 0 (N, K, ...) and
    int16 (N, K). Distances of maps of a few values, which are coordinates, are float32.
    """

    peaks: NDArray[np.float32]
    exponents: NDArray[np.int16]
    distances: NDArray[np.float16] | NDArray[np.float32]


_PACKED = tuple(field.name for field in fields(Packed))


def pack(output: NDArray[np.float32]) -> Packed:
    """Return maps (N, K, ...) as they are kept."""
    axes = tuple(range(2, output.ndim))
    peaks = output.max(axis=axes, keepdims=True)
    distances = output - peaks
    shape = output.shape[:2]
    if math.prod(output.shape[2:]) <= _FEW:
        return Packed(peaks.reshape(shape), np.zeros(shape, dtype=np.int16), distances)
    # Powers of two, which are exact, make the best of float16's range, up to 2^15.
    exponents = np.frexp(distances.min(axis=axes, keepdims=True))[1] - 15
    halves = np.ldexp(distances, -exponents).astype(np.float16)
    return Packed(peaks.reshape(shape), exponents.reshape(shape).astype(np.int16), halves)


def unpack(packed: Packed) -> NDArray[np.float32]:
    """Return maps (N, K, ...) from what was kept."""
    shape = (*packed.peaks.shape, *(1,) * (packed.distances.ndim - 2))
    exponents = packed.exponents.reshape(shape).astype(np.int32)
    distances = np.ldexp(packed.distances.astype(np.float32), exponents)
    maps: NDArray[np.float32] = packed.peaks.reshape(shape) + distances
    return maps


@dataclass(frozen=True)
class Chunk:
    """One file of a folder, with the SHA-256 of its bytes."""

    file: str
    instances: int
    sha256: str


@dataclass(frozen=True)
class RawRecord:
    """What `raw.json` holds beside the chunks' list.

    `identity` is all that the outputs depend on, and names the folder; `description` is what
    decoding and scoring need besides. A chunk has the positions of its instances in the run
    (`rows`), their `image_ids`, `ids`, `bbox_xyxy` and `bbox_scores`, and the fields of `Packed`
    for the network's outputs 0 and 1.
    """

    identity: Mapping[str, Any]
    description: Mapping[str, Any]
    gflops: float | None = None
    chunks: tuple[Chunk, ...] = ()
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class RawFolder:
    """Where the outputs of one network run are kept, or will be."""

    path: Path
    record: RawRecord

    @property
    def is_complete(self) -> bool:
        """Tell whether an earlier run has filled the folder."""
        return (self.path / "raw.json").is_file()


def raw_folder(parent: Path, name: str, record: RawRecord) -> RawFolder:
    """Return the folder in `parent` that `record.identity` names; `name` is for the eye."""
    return RawFolder(parent / f"{name}_{content_key(record.identity)[:16]}", record)


def read_record(folder: RawFolder) -> RawRecord:
    """Return the record of a complete folder.

    Raises `DataError` if the record is damaged or of another cell.
    """
    path = folder.path / "raw.json"
    try:
        mapping = json.loads(path.read_text(encoding="utf-8"))
        record = record_from_mapping(RawRecord, mapping, where=str(path))
    except (OSError, ValueError, TypeError, AttributeError, PosebenchError) as error:
        raise _damaged(folder, f"raw.json: {error}") from None
    if record.identity != json.loads(json.dumps(folder.record.identity)):
        raise _damaged(folder, "raw.json is of another cell")
    return record


def read_outputs(folder: RawFolder, count: int) -> Iterator[tuple[NDArray[np.intp], Outputs]]:
    """Yield rows and their outputs, chunk by chunk.

    Raises `DataError` if the folder is damaged or does not have `count` instances.
    """
    seen = 0
    for chunk in read_record(folder).chunks:
        path = folder.path / chunk.file
        try:
            if sha256_of(path) != chunk.sha256:
                raise _damaged(folder, f"the SHA-256 of {chunk.file} is not the one in raw.json")
            with np.load(path, allow_pickle=False) as arrays:
                rows = arrays["rows"].astype(np.intp)
                outputs = sum(name.startswith("peaks_") for name in arrays.files)
                packed = [
                    Packed(*(arrays[f"{field}_{index}"] for field in _PACKED))
                    for index in range(outputs)
                ]
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise _damaged(folder, f"{chunk.file}: {error}") from None
        seen += len(rows)
        yield rows, tuple(map(unpack, packed))
    if seen != count:
        raise _damaged(folder, f"{seen} of {count} instances are there")


def _damaged(folder: RawFolder, reason: str) -> DataError:
    return DataError(
        f"The raw outputs in {folder.path} cannot be used: {reason}.",
        hint="Delete that folder, and the network will run again.",
    )


class RawWriter:
    """Fills a folder under a temporary name; `close` gives it its own, `discard` removes it.

    `arrays` are what is kept of every instance besides the outputs, each (N, ...).
    """

    def __init__(self, folder: RawFolder, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._folder = folder
        self._arrays = arrays
        self._pending: list[tuple[NDArray[np.intp], list[Packed]]] = []
        self._chunks: list[Chunk] = []
        try:
            folder.path.parent.mkdir(parents=True, exist_ok=True)
            work = tempfile.mkdtemp(dir=folder.path.parent, prefix=f".{folder.path.name}.")
        except OSError as error:
            raise DataError(f"{folder.path} cannot be written: {error.strerror}.") from None
        self._work = Path(work)

    def keep(self, rows: NDArray[np.intp], outputs: Outputs) -> Outputs:
        """Keep the outputs of a batch and return them as they are kept.

        Raises `DataError` if they cannot be written.
        """
        packed = [pack(output) for output in outputs]
        self._pending.append((rows, packed))
        if sum(len(kept) for kept, _ in self._pending) >= _CHUNK:
            self._write()
        return tuple(map(unpack, packed))

    def _write(self) -> None:
        rows = np.concatenate([kept for kept, _ in self._pending])
        arrays = {name: values[rows] for name, values in self._arrays.items()}
        for index, parts in enumerate(zip(*(packed for _, packed in self._pending), strict=True)):
            for name in _PACKED:
                arrays[f"{name}_{index}"] = np.concatenate([getattr(part, name) for part in parts])
        path = self._work / f"{len(self._chunks):05}.npz"
        try:
            np.savez_compressed(path, rows=rows, **arrays)
            self._chunks.append(Chunk(path.name, len(rows), sha256_of(path)))
        except OSError as error:
            raise DataError(f"{path} cannot be written: {error.strerror}.") from None
        self._pending.clear()

    def close(self) -> None:
        """Write what is left and the record, and give the folder its name."""
        if self._pending:
            self._write()
        record = mapping_from_record(self._folder.record)
        chunks = [mapping_from_record(chunk) for chunk in self._chunks]
        try:
            write_json(self._work / "raw.json", {**record, "chunks": chunks})
            self._work.chmod(stat.S_IMODE(self._folder.path.parent.stat().st_mode))
            if not self._folder.is_complete:  # another run may have been faster
                self._work.rename(self._folder.path)
        except OSError as error:
            raise DataError(f"{self._folder.path} cannot be written: {error.strerror}.") from None
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what is left under the temporary name."""
        shutil.rmtree(self._work, ignore_errors=True)
