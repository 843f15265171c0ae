"""Runs on disk: what is written is read back, damage and other versions are told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_speed import SPEED
from small_store import made_up_table, result, run_folder

import posebench
from posebench.errors import DataError, UsageError
from posebench.results import store
from posebench.results.cell import CellFinding, Intervals
from posebench.results.image_tables import is_sound, load_table, save_table, table_path
from posebench.results.shared.locks import locked
from posebench.results.store import StoredCell, read_cell, read_run, start_run, write_cell


def test_round_trip(tmp_path: Path) -> None:
    table = made_up_table(0.5)
    cells = {"a": result(speed=SPEED), "b": result(ap=None)}
    folder = run_folder(tmp_path / "run", cells, {"a": table}, labels={"a": {"pair": "s"}})
    run = read_run(folder)
    assert {cell.id: cell.result for cell in run.cells} == cells
    assert dict(run.cells[0].labels) == {"pair": "s"}
    read = run.table(run.cells[0])
    assert read is not None and run.table(run.cells[1]) is None
    assert read.matches.rules == table.matches.rules
    for name in ("image_ids", "detection", "scores", "person", "ignored", "person_count"):
        np.testing.assert_array_equal(getattr(read.matches, name), getattr(table.matches, name))
    assert read.errors is not None and table.errors is not None
    assert read.errors.keypoints == table.errors.keypoints
    for name in ("image", "errors"):
        np.testing.assert_array_equal(getattr(read.errors, name), getattr(table.errors, name))
    assert read.oks is not None and table.oks is not None
    np.testing.assert_array_equal(read.oks, table.oks)


def test_a_table_of_version_0_2_has_matches_alone(tmp_path: Path) -> None:
    folder = Path(__file__).parent
    table = load_table(folder, "5f131a551de67a1492bb")
    assert (table.errors, table.oks, table.is_whole) == (None, None, False) and table.images > 0
    whole = made_up_table(0.5)
    bare = replace(whole, errors=None, oks=None)
    assert whole.is_whole and save_table(tmp_path, whole) != save_table(tmp_path, bare)
    # The key, which cells name, is that of version 0.2.
    assert save_table(tmp_path, table) == "5f131a551de67a1492bb"


def test_cells_that_are_not_done_are_missing(tmp_path: Path) -> None:
    run = read_run(run_folder(tmp_path, {"a": result()}, absent=("b",)))
    assert ([cell.id for cell in run.cells], run.missing) == (["a"], ("b",))


def test_the_same_table_is_kept_once_and_crowd_indices_with_it(tmp_path: Path) -> None:
    table = made_up_table(0.5)
    index = np.linspace(0, 1, table.images)
    crowded = replace(table, matches=replace(table.matches, crowd_index=index))
    keys = [save_table(tmp_path, each) for each in (table, table, crowded)]
    assert len(set(keys)) == len(list(tmp_path.glob("*.npz"))) == 2
    read = load_table(tmp_path, keys[2]).matches.crowd_index
    assert read is not None
    np.testing.assert_array_equal(read, index)


def test_parts_of_the_body_and_distances_are_kept(tmp_path: Path) -> None:
    table = made_up_table(0.5)
    whole = replace(
        table,
        parts={"left hand": made_up_table(0.3).matches, "foot": made_up_table(0.9).matches},
        distances={"30 pixels": table.errors, "face": replace(table.errors, keypoints=("a", "b"))},
    )
    key = save_table(tmp_path, whole)
    assert key != save_table(tmp_path, table) and is_sound(tmp_path, key)
    read = load_table(tmp_path, key)
    assert (read.parts.keys(), read.distances.keys()) == (
        whole.parts.keys(), whole.distances.keys(),
    )  # fmt: skip
    for name, matches in whole.parts.items():
        np.testing.assert_array_equal(read.parts[name].person, matches.person)
    assert read.distances["face"].keypoints == ("a", "b")
    np.testing.assert_array_equal(read.distances["30 pixels"].errors, table.errors.errors)
    plain = load_table(tmp_path, save_table(tmp_path, table))
    assert not plain.parts and not plain.distances


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


def test_a_damaged_table_counts_as_missing_and_is_written_again(tmp_path: Path) -> None:
    key = save_table(tmp_path, made_up_table(0.5))
    assert is_sound(tmp_path, key)
    table_path(tmp_path, key).write_bytes(b"")
    assert not is_sound(tmp_path, key)
    assert save_table(tmp_path, made_up_table(0.5)) == key
    assert is_sound(tmp_path, key)


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
        np.testing.assert_array_equal(read.matches.person, table.matches.person)
        np.testing.assert_array_equal(read.matches.scores, table.matches.scores)
        assert read.matches.rules == table.matches.rules
    assert told > 200


def test_an_edited_table_is_told(tmp_path: Path) -> None:
    key = save_table(tmp_path, made_up_table(0.5))
    other = save_table(tmp_path, made_up_table(0.9))
    (tmp_path / f"{other}.npz").replace(tmp_path / f"{key}.npz")
    with pytest.raises(DataError, match="does not fit its name"):
        load_table(tmp_path, key)


@pytest.mark.parametrize("version", [0, 99])
def test_a_cell_of_another_schema_is_an_error(tmp_path: Path, version: int) -> None:
    run_folder(tmp_path, {"a": result()})
    text = json.dumps({"schema_version": version})
    (tmp_path / "cells" / "a.json").write_text(text, encoding="utf-8")
    said = "A newer posebench wrote it" if version else "Run the suite again"
    with pytest.raises(DataError, match=f"(?s)schema {version}.*\n{said}"):
        read_cell(tmp_path, "a")


def edit(path: Path, *, checksum: bool = True, **changes: object) -> None:
    """Change the metrics of a cell, or what else it holds, as a person would."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    for name, value in changes.items():
        (plain if name in plain else plain["result"]["metrics"])[name] = value
    if not checksum:
        del plain["sha256"]
    path.write_text(json.dumps(plain), encoding="utf-8")


def test_a_damaged_or_edited_cell_is_no_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = run_folder(tmp_path, {"a": result(), "b": result("simcc-s")})
    path = folder / "cells" / "a.json"
    sound = path.read_text(encoding="utf-8")
    damages: list[tuple[Callable[[], object], str]] = [
        (lambda: path.write_text(""), "is empty"),
        (lambda: path.write_text("[]"), "holds no mapping"),
        (lambda: path.write_text(sound[:-40]), "is cut off"),
        (lambda: path.write_text('{"schema_version": 1, "id": "a"}'), "result: Field required"),
        (lambda: edit(path, AP=0.6), 'does not fit its checksum.*delete its line "sha256"'),
        (lambda: edit(path, AP=float("nan")), "does not fit its checksum"),
        (lambda: edit(path, checksum=False, AP=2.0), "AP is 2.0"),
        (lambda: edit(path, checksum=False, AP50=-1), "AP50 is -1"),
        (lambda: edit(path, checksum=False, AP=float("nan")), "AP is nan"),
        (lambda: edit(path, checksum=False, keypoints={"nose": 7.0}), "nose is 7.0"),
        (lambda: edit(path, checksum=False, id="b"), "it says that it is b"),
        (lambda: path.write_bytes((folder / "cells" / "b.json").read_bytes()), "says that it is b"),
    ]
    for damage, said in damages:
        path.write_text(sound, encoding="utf-8")
        damage()
        caplog.clear()
        run = read_run(folder)
        assert ([cell.id for cell in run.cells], run.missing) == (["b"], ("a",))
        assert re.search(rf"a\.json is damaged or was edited: .*{said}", caplog.text), said
        assert "makes it again" in caplog.text


def test_an_edit_on_purpose_and_another_layout_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = run_folder(tmp_path, {"a": result()})
    path = folder / "cells" / "a.json"
    lines = path.read_text(encoding="utf-8").splitlines()
    edit(path)  # in one line
    assert read_cell(folder, "a") is not None
    (first,) = (number for number, line in enumerate(lines) if line.startswith(' "sha256": '))
    text = "\n".join(lines[:first] + lines[first + 1 :]).replace('"AP": 0.5', '"AP": 0.6')
    path.write_text(text, encoding="utf-8")
    cell = read_cell(folder, "a")
    assert cell is not None and cell.result.metrics is not None
    assert cell.result.metrics["AP"] == 0.6
    assert caplog.text == ""


def test_each_cell_says_what_it_was_made_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder(tmp_path, {"a": result()})
    monkeypatch.setattr(store, "environment", lambda: {"posebench": "another"})
    write_cell(folder, StoredCell("b", result()))
    record = replace(read_run(folder).record, cells=("a", "b"))
    start_run(folder, replace(record, environment={"posebench": "third"}))
    first, second = read_run(folder).cells
    run = read_run(folder)
    assert run.environment(first)["posebench"] == posebench.__version__
    assert run.environment(second) == {"posebench": "another"}
    write_cell(folder, first)
    again = read_cell(folder, "a")
    assert again is not None and again.environment == first.environment
    plain = json.loads((folder / "cells" / "b.json").read_text(encoding="utf-8"))
    del plain["environment"], plain["sha256"]
    (folder / "cells" / "b.json").write_text(json.dumps(plain), encoding="utf-8")
    old = read_cell(folder, "b")
    assert old is not None and run.environment(old) == {"posebench": "third"}


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
        "import sys; from pathlib import Path; from posebench.results.shared.locks import locked\n"
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


def test_what_is_odd_in_the_data_loads_as_a_column(tmp_path: Path) -> None:
    odd = CellFinding("data", "warning", "box-empty", "Persons whose `bbox` has no area: 1.", 11)
    note = CellFinding("data", "note", "images-unchecked", "No images.")
    cells = {"a": result(findings=(note, odd)), "b": result()}
    table = posebench.load_results(run_folder(tmp_path, cells))
    worst, other = str(table.loc[0, "findings"]).splitlines()
    assert worst == "warning: Persons whose `bbox` has no area: 1. [box-empty]"
    assert other == "note: No images. [images-unchecked]"
    assert table.loc[1, "findings"] == ""
    assert list(table["findings"].str.contains("warning: ")) == [True, False]


def test_what_bench_measured_loads_as_columns(tmp_path: Path) -> None:
    table = posebench.load_results(run_folder(tmp_path, {"a": result(speed=SPEED)}))
    assert table.loc[0, "speed.latency ms"] == 10.1
    assert table.loc[0, "speed.peak MB"] == 300.0
    assert "speed" not in table.columns


@pytest.mark.parametrize(("make", "what"), [(os.mkfifo, "a pipe"), (Path.mkdir, "a folder")])
def test_a_cell_is_not_written_into_what_is_no_file(
    tmp_path: Path, make: Callable[[Path], None], what: str
) -> None:
    folder = run_folder(tmp_path, {"a": result()})
    make(folder / "cells" / "b.json")
    with pytest.raises(DataError, match=rf"b\.json is {what}, where a result belongs"):
        write_cell(folder, StoredCell("b", result()))
