"""Bootstrap replicates of per-image tables, kept with a run so that they are made once. No torch.

A file has those of one table. Its checksum covers the table's name and the code that made it: one
that is damaged, of another table or of other code is left out, and its replicates are made again.
Deleting any of these files is safe.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posebench.files.hashing import SCORING_ROOMS, code_sha256
from posebench.files.writing import put_when_written
from posebench.results.image_tables import TABLES, load_table
from posebench.scoring.statistics.estimates import image_replicates
from posebench.scoring.statistics.image_table import ImageTable, Recipe

_log = logging.getLogger(__name__)
_FOLDER = "replicates"
_CHECKSUM = "sha256"
_IMAGES = "images"
_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """Which images are drawn: how many resamples, and what their generator starts from.

    `place` is that of a data set among those of a run, as each is a sample of its own.
    """

    replicates: int
    seed: int
    place: int = 0

    def generator(self) -> np.random.Generator:
        """Return a generator that draws the same for every table; at place 0, as for a report."""
        return np.random.default_rng([self.seed, self.place])


@dataclass(frozen=True, eq=False)
class SampledTable:
    """Replicates (B,) of what a table tells, and the hash of its images' ids.

    Tables of the same images meet the same draws. `is_whole` is false for tables of version 0.2 and
    before, which tell less.
    """

    images: bytes
    replicates: Mapping[Recipe, _Values]
    is_whole: bool = True


def replicates_path(run: Path, key: str) -> Path:
    """Return the path of the replicates of a run's table, by its key."""
    return run / _FOLDER / f"{key}.npz"


def sampled_table(run: Path, key: str, recipes: Sequence[Recipe], draws: Draws) -> SampledTable:
    """Return replicates of a run's table, by its key, for those recipes that it tells.

    What is not kept yet is made, and kept if the folder can be written. Raises `DataError` if the
    table is needed and cannot be read.
    """
    kept = _read(replicates_path(run, key), key)
    names = {recipe: _name(recipe, draws) for recipe in recipes}
    found = {recipe: kept[name] for recipe, name in names.items() if name in kept}
    if kept and len(found) == len(names):
        return SampledTable(kept[_IMAGES].tobytes(), found)
    table = load_table(run / TABLES, key)
    told = [recipe for recipe in names if recipe not in found and table.tells(recipe)]
    if told:
        made = image_replicates([table], told, draws.replicates, draws.generator())[0]
        new = {recipe: made[:, column] for column, recipe in enumerate(told)}
        keep_replicates(run, key, table, new, draws)
        both = {**found, **new}
        found = {recipe: both[recipe] for recipe in names if recipe in both}
    return SampledTable(_images(table).tobytes(), found, table.is_whole)


def keep_replicates(
    run: Path, key: str, table: ImageTable, made: Mapping[Recipe, _Values], draws: Draws
) -> None:
    """Keep replicates (B,) of a run's table beside those that are there, if that can be done."""
    path = replicates_path(run, key)
    arrays = {_IMAGES: _images(table), **_read(path, key)}
    arrays |= {_name(recipe, draws): values for recipe, values in made.items()}
    try:
        with put_when_written(path) as temporary:
            arrays |= {_CHECKSUM: _checksum(arrays, key)}
            np.savez(temporary, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        _log.debug("%s is not kept: %s", path, error)


def _read(path: Path, key: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file, none if it is not there or not as it was written."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except FileNotFoundError:
        return {}
    except Exception as error:  # numpy and zipfile raise many kinds of error
        _log.debug("%s is left out: %s", path, error)
        return {}
    checksum = arrays.pop(_CHECKSUM, None)
    return arrays if np.array_equal(checksum, _checksum(arrays, key)) else {}


def _checksum(arrays: Mapping[str, NDArray[Any]], key: str) -> NDArray[np.uint8]:
    made_with = f"{key} {code_sha256(rooms=SCORING_ROOMS)} {np.__version__}"
    digest = hashlib.sha256(made_with.encode())
    for name in sorted(arrays):
        digest.update(name.encode() + arrays[name].tobytes())
    return np.frombuffer(digest.digest(), dtype=np.uint8)


def _images(table: ImageTable) -> NDArray[np.uint8]:
    """Return the hash of the ids of a table's images."""
    digest = hashlib.sha256(table.matches.image_ids.tobytes()).digest()
    return np.frombuffer(digest, dtype=np.uint8)


@cache
def _name(recipe: Recipe, draws: Draws) -> str:
    """Return the name of replicates in a file: a hash of what they are of, and of the draws."""
    return hashlib.sha256(f"{recipe!r} of {draws!r}".encode()).hexdigest()
