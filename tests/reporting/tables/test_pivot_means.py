"""Means over a field, such as the seed, in tables."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest
from small_store import result, run_folder

from posebench.errors import UsageError
from posebench.reporting.tables.pivot.formats import TEXT_FORMATS
from posebench.reporting.tables.pivot.request import PivotRequest
from posebench.reporting.tables.pivot.table import pivot_runs

SCORES = {"a": [0.5, 0.52, 0.57], "b": [0.4, 0.41, None]}
REQUEST = PivotRequest(
    ("labels.arm",), columns=(), metrics=("AP", "params M"), mean_over="labels.seed"
)


def run_of(folder: Path, **changes: Any) -> Path:
    cells = {
        f"{arm}{seed}": result(f"{arm}_s{seed}", ap, **(changes if seed else {}))
        for arm, scores in SCORES.items()
        for seed, ap in enumerate(scores)
    }
    labels = {name: {"arm": name[0], "seed": name[1]} for name in cells}
    return run_folder(folder, cells, labels=labels)


def test_means_and_standard_deviations_over_seeds(tmp_path: Path) -> None:
    pivot = pivot_runs([run_of(tmp_path)], REQUEST)
    mean, lacking = (row.entries[0] for row in pivot.rows)
    assert mean is not None and lacking is not None
    assert (mean.value, mean.count) == (pytest.approx(statistics.fmean(SCORES["a"])), 3)
    assert mean.spread == pytest.approx(statistics.stdev(SCORES["a"]))
    # An arm of which a seed failed has no mean over the others.
    assert (lacking.value, lacking.status, lacking.reason) == (None, "failed", "no reason")
    text = TEXT_FORMATS["md"](pivot, False)
    assert "| a | 53.0 ± 3.6 | " in text
    assert "| b | failed | " in text
    assert "Mean ± standard deviation over 3 values of labels.seed." in text
    assert "labels.seed 0" not in text and "checkpoint" not in text
    assert json.loads(TEXT_FORMATS["json"](pivot, False))["mean_over"] == "labels.seed"


def test_the_checkpoint_stays_where_it_is_a_row(tmp_path: Path) -> None:
    cells = {
        f"{name}{policy}": result(name, 0.5, policy=policy)
        for name in "ab" for policy in ("native", "pool")
    }  # fmt: skip
    folder = run_folder(tmp_path, cells)
    request = PivotRequest(("checkpoint",), columns=(), mean_over="policy")
    assert [row.keys for row in pivot_runs([folder], request).rows] == [("a",), ("b",)]


def test_what_is_averaged_over_may_be_part_of_the_protocol(tmp_path: Path) -> None:
    cells = {text: result("a", 0.5, corruption=text) for text in ("none", "blur-1", "blur-2")}
    request = PivotRequest(("checkpoint",), columns=(), mean_over="corruption")
    (row,) = pivot_runs([run_folder(tmp_path, cells)], request).rows
    assert row.entries[0] is not None and row.entries[0].count == 3


@pytest.mark.parametrize(
    ("request_", "changes", "said"),
    [
        (PivotRequest(mean_over="labels.seed"), {}, "needs --rows"),
        (PivotRequest(("labels.seed",), mean_over="labels.seed"), {}, "leaves no such field"),
        (PivotRequest(("labels.arm",), mean_over="labels.sed"), {}, "no result has the field"),
        (PivotRequest(("size",), mean_over="labels.seed"), {}, "have one value of labels.seed"),
        (PivotRequest(("labels.arm",), mean_over="labels.seed", intervals=True), {}, "no diff"),
        (PivotRequest(("labels.arm",), mean_over="labels.seed"), {"flip_test": False}, "flip"),
    ],
)
def test_what_has_no_mean(
    tmp_path: Path, request_: PivotRequest, changes: dict[str, Any], said: str
) -> None:
    folder = run_of(tmp_path, **changes)
    with pytest.raises(UsageError, match=f"(?i){said}"):
        pivot_runs([folder], request_)
