"""Probes on disk: what is written is read back, and what was changed is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_probes import READING, stored

from posebench.errors import DataError
from posebench.results.probe_numbers import PROBE_NUMBERS
from posebench.results.probe_store import (
    has_arrays,
    read_arrays,
    read_probe,
    write_arrays,
    write_probe,
)
from posebench.results.probes import StoredProbe, Sums, stored_sums
from posebench.scoring.statistics.bootstrap import resampled_images


def written(folder: Path) -> StoredProbe:
    probe = replace(stored("p"), arrays=write_arrays(folder, "p", READING))
    write_probe(folder, probe)
    return probe


def test_a_probe_and_its_arrays_are_read_back(tmp_path: Path) -> None:
    probe = written(tmp_path)
    assert read_probe(tmp_path, "p") == probe and has_arrays(tmp_path, probe)
    arrays = read_arrays(tmp_path, probe)
    assert np.array_equal(arrays["distances"], READING.arrays["distances"])
    ((row, number, sums),) = stored_sums(arrays)
    assert (row, number, sums.value) == (0, "match PCK@0.1", READING.rows[0].sums[number].value)
    assert read_probe(tmp_path, "another") is None


def test_a_probe_that_was_edited_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written(tmp_path)
    path = tmp_path / "probes" / "p.json"
    path.write_text(path.read_text("utf-8").replace('"heatmap-s"', '"simcc-s"'), "utf-8")
    assert read_probe(tmp_path, "p") is None
    assert "checksum" in caplog.text


def test_arrays_that_are_damaged_or_gone_are_an_error(tmp_path: Path) -> None:
    probe = written(tmp_path)
    path = tmp_path / "probes" / "p.npz"
    other = {**READING.arrays, "distances": np.zeros(3)}
    np.savez_compressed(path, **other)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="does not fit"):
        read_arrays(tmp_path, probe)
    path.write_bytes(b"no archive")
    with pytest.raises(DataError, match="damaged"):
        read_arrays(tmp_path, probe)
    path.unlink()
    with pytest.raises(DataError, match="missing"):
        read_arrays(tmp_path, probe)
    assert not has_arrays(tmp_path, probe)


def test_a_number_under_resamples_is_that_of_the_units_drawn() -> None:
    rng = np.random.default_rng(0)
    values, units = rng.normal(size=60), rng.integers(8, size=60)
    sums = Sums.of(np.append(values, np.nan), np.append(units, 0), 8)
    assert sums.value == pytest.approx(values.mean())
    (weights,) = resampled_images(np.random.default_rng(1), 8, 20)
    by_hand = [np.repeat(values, row[units]).mean() for row in weights]
    assert sums.replicates(weights) == pytest.approx(by_hand)
    none = Sums(np.zeros(2), np.zeros(2))
    assert none.value is None and np.isnan(none.replicates(np.ones((1, 2)))).all()


def test_every_number_says_what_it_is_and_stands_in_the_documentation() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "probes.md").read_text("utf-8")
    for name, number in PROBE_NUMBERS.items():
        assert number.says and f"`{name}`" in page and f"## {number.probe}" in page
