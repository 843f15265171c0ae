"""Runs on disk: what is written is read back, damage and other versions are told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_speed import SPEED
from small_store import made_up_table, result, run_folder

import posebench
from posebench.errors import DataError, UsageError
from posebench.results.cell import Intervals
from posebench.results.match_tables import load_table, save_table
from posebench.results.store import locked, read_cell, read_run


def test_round_trip(tmp_path: Path) -> None:
    table = made_up_table(0.5)
    cells = {"a": result(speed=SPEED), "b": result(ap=None)}
    folder = run_folder(tmp_path / "run", cells, {"a": table}, labels={"a": {"pair": "s"}})
    run = read_run(folder)
    assert {cell.id: cell.result for cell in run.cells} == cells
    assert dict(run.cells[0].labels) == {"pair": "s"}
    read = run.table(run.cells[0])
    assert read is not None and run.table(run.cells[1]) is None
    assert read.rules == table.rules
    for name in ("image_ids", "detection", "scores", "person", "ignored", "person_count"):
        np.testing.assert_array_equal(getattr(read, name), getattr(table, name))


def test_cells_that_are_not_done_are_missing(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, {"a": result()}, absent=("b",)))
    assert ([cell.id for cell in run.cells], run.missing) == (["a"], ("b",))


def test_the_same_table_is_kept_once_and_crowd_indices_with_it(tmp_path: Path) -> None:
    table = made_up_table(0.5)
    crowded = made_up_table(0.5)
    object.__setattr__(crowded, "crowd_index", np.linspace(0, 1, len(table.image_ids)))
    keys = [save_table(tmp_path, each) for each in (table, table, crowded)]
    assert len(set(keys)) == len(list(tmp_path.glob("*.npz"))) == 2
    read = load_table(tmp_path, keys[2]).crowd_index
    assert read is not None
    np.testing.assert_array_equal(read, crowded.crowd_index)


@pytest.mark.parametrize("damage", ["cut", "text", "absent", "pickle"])
def test_a_damaged_table_is_an_error(tmp_path: Path, damage: str) -> None:
    key = save_table(tmp_path, made_up_table(0.5))
    path = tmp_path / f"{key}.npz"
    if damage == "absent":
        path.unlink()
    elif damage == "pickle":
        np.savez(path, rules=np.array([{}], dtype=object))
    else:
        path.write_bytes(path.read_bytes()[:200] if damage == "cut" else b"no table")
    with pytest.raises(DataError, match="per-image table"):
        load_table(tmp_path, key)


def test_a_flipped_bit_is_told_or_changes_nothing(tmp_path: Path) -> None:
    table = made_up_table(0.5)
    key = save_table(tmp_path, table)
    path = tmp_path / f"{key}.npz"
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    told = 0
    for place in rng.choice(8 * len(whole), 400, replace=False):
        data = bytearray(whole)
        data[place // 8] ^= 1 << (place % 8)
        path.write_bytes(data)
        try:
            read = load_table(tmp_path, key)
        except DataError:
            told += 1
            continue
        np.testing.assert_array_equal(read.person, table.person)
        np.testing.assert_array_equal(read.scores, table.scores)
        assert read.rules == table.rules
    assert told > 200


def test_an_edited_table_is_told(tmp_path: Path) -> None:
    key = save_table(tmp_path, made_up_table(0.5))
    other = save_table(tmp_path, made_up_table(0.9))
    (tmp_path / f"{other}.npz").replace(tmp_path / f"{key}.npz")
    with pytest.raises(DataError, match="not what it is named by"):
        load_table(tmp_path, key)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a.json"),
        ("[]", "is damaged"),
        ('{"schema_version": 1, "metrics": {"AP": NaN}}', "is damaged"),
        ('{"schema_version": 1, "metrics": {"AP": -Infinity}}', "is damaged"),
        ('{"schema_version": 99}', "schema 99.*\nA newer posebench wrote it"),
        ('{"schema_version": 0}', "schema 0.*\nRun the suite again"),
        ('{"schema_version": 1, "id": "a"}', "result: Field required"),
    ],
)
def test_a_damaged_cell_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    run_folder(tmp_path, {"a": result()})
    (tmp_path / "cells" / "a.json").write_text(text, encoding="utf-8")
    with pytest.raises(Exception, match=f"(?s){said}") as caught:
        read_cell(tmp_path, "a")
    assert isinstance(caught.value, posebench.errors.PosebenchError)


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no run\.yaml"):
        read_run(tmp_path)


def test_a_newer_run_says_so_whatever_it_holds(tmp_path: Path) -> None:
    folder = run_folder(tmp_path, {})
    text = (folder / "run.yaml").read_text(encoding="utf-8")
    newer = text.replace("schema_version: 2", "schema_version: 3\nfuture: 1")
    (folder / "run.yaml").write_text(newer, encoding="utf-8")
    with pytest.raises(DataError, match="has schema 3"):
        read_run(folder)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from posebench.results.store import locked\n"
        f"with locked(Path({str(tmp_path)!r})): print('in', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "in\n"
        with pytest.raises(UsageError, match="Another process"), locked(tmp_path):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with locked(tmp_path):  # a killed process holds nothing
        pass


def test_results_load_as_a_pandas_table(tmp_path: Path) -> None:
    sure = Intervals(0.95, "percentile", 200, 0, {"AP": 0.4}, {"AP": 0.6})
    cells = {"a": result(intervals=sure), "b": result(ap=None)}
    folder = run_folder(tmp_path, cells, labels={"a": {"pair": "s"}})
    table = posebench.load_results(folder)
    assert (table.loc[0, "AP low"], table.loc[0, "AP high"]) == (0.4, 0.6)
    assert list(table["id"]) == ["a", "b"]
    assert list(table["status"]) == ["ok", "failed"]
    plain = json.loads((folder / "cells" / "a.json").read_text(encoding="utf-8"))
    assert table.loc[0, "AP"] == plain["result"]["metrics"]["AP"]
    assert table.loc[0, "labels.pair"] == "s"
    assert table.loc[0, "protocol.boxes"] == "gt"


def test_what_bench_measured_loads_as_columns(tmp_path: Path) -> None:
    table = posebench.load_results(run_folder(tmp_path, {"a": result(speed=SPEED)}))
    assert table.loc[0, "speed.latency ms"] == 10.1
    assert table.loc[0, "speed.peak MB"] == 300.0
    assert "speed" not in table.columns
