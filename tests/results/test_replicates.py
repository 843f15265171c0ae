"""Kept replicates are those that would be made, bit for bit, or they are made again."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pickled_call import Call
from small_store import made_up_table

from posebench.results import replicates
from posebench.results.image_tables import TABLES, save_table
from posebench.results.replicates import Draws, SampledTable, replicates_path, sampled_table
from posebench.scoring.metrics import METRICS
from posebench.scoring.statistics.estimates import Resampling, image_replicates, resample

DRAWS = Draws(replicates=50, seed=7)
IMAGE_TABLES = [made_up_table(0.6, seed) for seed in (1, 2)]
RECIPES = [
    metric.recipe
    for metric in METRICS.values()
    if all(table.tells(metric.recipe) for table in IMAGE_TABLES)
]


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    return [save_table(tmp_path / TABLES, table) for table in IMAGE_TABLES]


@pytest.fixture
def nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function after which making replicates is an error."""
    return lambda: monkeypatch.setattr(replicates, "image_replicates", None)


def bits(found: SampledTable) -> dict[str, bytes]:
    return {recipe.name: values.tobytes() for recipe, values in found.replicates.items()}


def test_all_are_those_of_many_tables_and_metrics_at_once(
    tmp_path: Path, keys: list[str], nothing_is_made: Callable[[], None]
) -> None:
    together = image_replicates(IMAGE_TABLES, RECIPES, 50, np.random.default_rng([7, 0]))
    report = resample(IMAGE_TABLES, RECIPES, Resampling(50, 7)).replicates
    assert together.tobytes() == report.tobytes()
    assert {"AP", "AR", "PCK@0.1", "ECE"} < {recipe.name for recipe in RECIPES}
    expected = [
        {recipe.name: each[:, column].tobytes() for column, recipe in enumerate(RECIPES)}
        for each in together
    ]
    for recipe in RECIPES[:2]:  # one after the other, in one file
        sampled_table(tmp_path, keys[0], [recipe], DRAWS)
    assert [bits(sampled_table(tmp_path, key, RECIPES, DRAWS)) for key in keys] == expected
    nothing_is_made()
    assert [bits(sampled_table(tmp_path, key, RECIPES, DRAWS)) for key in keys] == expected


@pytest.mark.parametrize("other", [Draws(51, 7), Draws(50, 8), Draws(50, 7, place=1)])
def test_other_draws_are_others(tmp_path: Path, keys: list[str], other: Draws) -> None:
    first = bits(sampled_table(tmp_path, keys[0], RECIPES[:1], DRAWS))
    assert bits(sampled_table(tmp_path, keys[0], RECIPES[:1], other)) != first
    assert bits(sampled_table(tmp_path, keys[0], RECIPES[:1], DRAWS)) == first


def flip_a_bit(path: Path, _other: Path) -> None:
    written = bytearray(path.read_bytes())
    written[len(written) // 2] ^= 1
    path.write_bytes(written)


def cut(path: Path, _other: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def take_another_tables(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes())


def edit(path: Path, _other: Path) -> None:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez(path, **{name: values + values.dtype.type(1) for name, values in arrays.items()})


def pickled(path: Path, _other: Path) -> None:
    path.write_bytes(pickle.dumps(Call(Path.touch, path.with_name("called"))))


@pytest.mark.parametrize("spoil", [flip_a_bit, cut, take_another_tables, edit, pickled])
def test_what_is_not_as_it_was_written_is_made_again(
    tmp_path: Path, keys: list[str], spoil: Callable[[Path, Path], None]
) -> None:
    first = [bits(sampled_table(tmp_path, key, RECIPES, DRAWS)) for key in keys]
    own, other = (replicates_path(tmp_path, key) for key in keys)
    written = own.read_bytes()
    spoil(own, other)
    assert own.read_bytes() != written
    assert bits(sampled_table(tmp_path, keys[0], RECIPES, DRAWS)) == first[0]
    assert own.read_bytes() == written and not own.with_name("called").exists()


def test_those_of_other_code_are_made_again(
    tmp_path: Path, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled_table(tmp_path, keys[0], RECIPES[:1], DRAWS)
    written = replicates_path(tmp_path, keys[0]).read_bytes()
    monkeypatch.setattr(replicates, "code_sha256", lambda **_: "other")
    sampled_table(tmp_path, keys[0], RECIPES[:1], DRAWS)
    assert replicates_path(tmp_path, keys[0]).read_bytes() != written


def test_a_folder_that_cannot_be_written_is_read_all_the_same(
    tmp_path: Path, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def read_only(_path: Path) -> Iterator[Any]:
        raise OSError(30, "Read-only file system")
        yield

    monkeypatch.setattr(replicates, "put_when_written", read_only)
    found = bits(sampled_table(tmp_path, keys[0], RECIPES[:1], DRAWS))
    assert not replicates_path(tmp_path, keys[0]).exists()
    monkeypatch.undo()
    assert bits(sampled_table(tmp_path, keys[0], RECIPES[:1], DRAWS)) == found
