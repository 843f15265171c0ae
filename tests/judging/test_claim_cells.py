"""What claims rest on: replicates of cells, shared within a data set and between none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
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
    draws = replicates_of(read_run(folder), ["a"], ["AP", "AP(hard)", "PCK@0.1"])
    assert list(draws) == [("a", "AP")]
