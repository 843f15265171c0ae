"""What claims rest on: replicates of cells, shared within a data set and between none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_store import made_up_table, result, run_folder

from posebench.judging.claim_cells import replicates_of
from posebench.results.store import read_run


def test_cells_share_draws_within_a_data_set_only(tmp_path: Path) -> None:
    cells = {"a": result(), "b": result("simcc-s"), "c": result(annotations_sha256="of another")}
    folder = run_folder(tmp_path, cells, {name: made_up_table(0.6) for name in cells})
    draws = replicates_of(read_run(folder), cells, ["AP"])
    # The same matches, so that only the draws can make a difference.
    np.testing.assert_array_equal(draws["a", "AP"], draws["b", "AP"])
    assert abs(np.corrcoef(draws["a", "AP"], draws["c", "AP"])[0, 1]) < 0.3
    alone = replicates_of(read_run(folder), ["c"], ["AP"])
    np.testing.assert_array_equal(alone["c", "AP"], draws["c", "AP"])


def test_a_metric_that_a_table_cannot_tell_is_left_out(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {"a": result()}, {"a": made_up_table(0.6)})
    draws = replicates_of(read_run(folder), ["a"], ["AP", "AP(hard)", "PCK@0.1", "nose", "tail"])
    assert list(draws) == [("a", "AP"), ("a", "PCK@0.1"), ("a", "nose")]


def test_pck_meets_the_resamples_of_ap(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {"a": result()}, {"a": made_up_table(0.6)})
    draws = replicates_of(read_run(folder), ["a"], ["AR50", "PCK@0.1", "nose", "left_wrist"])
    # A person who is right has the nose within a tenth, and no other keypoint.
    np.testing.assert_array_equal(draws["a", "nose"], draws["a", "AR50"])
    np.testing.assert_array_equal(draws["a", "PCK@0.1"], draws["a", "AR50"] / 2)
    assert not draws["a", "left_wrist"].any()


def test_old_tables_are_said_once_and_do_not_spoil_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = made_up_table(0.6)
    old = replace(table, errors=None, oks=None)
    tables = {"a": table, "b": old, "c": old}
    folder = run_folder(tmp_path, {name: result() for name in tables}, tables)
    draws = replicates_of(read_run(folder), tables, ["AP", "PCK@0.1", "ECE"])
    assert [name for name, metric in draws if metric == "PCK@0.1"] == ["a"]
    assert [name for name, metric in draws if metric == "ECE"] == ["a"]
    np.testing.assert_array_equal(draws["a", "AP"], draws["b", "AP"])
    (record,) = caplog.records
    assert "2 cells were scored by version 0.2 or before" in record.getMessage()
    assert "interval of PCK@0.1, ECE." in record.getMessage()
    caplog.clear()
    replicates_of(read_run(folder), tables, ["AP"])
    assert not caplog.records
