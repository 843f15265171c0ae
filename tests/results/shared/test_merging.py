"""Parts of a run merged: each result once, with its own environment; conflicts are named."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from small_probes import stored
from small_store import made_up_table, result, run_folder

from posebench.errors import DataError, UsageError
from posebench.results.cell import CellResult
from posebench.results.probe_store import write_probe
from posebench.results.shared.deals import Deal, keep_deal
from posebench.results.shared.merging import merge_runs
from posebench.results.store import read_run, write_cell

IDS = ("a", "b", "c")


def part(folder: Path, **cells: CellResult) -> Path:
    """Write a run directory of three cells that has some of them."""
    absent = tuple(name for name in IDS if name not in cells)
    tables = {
        name: made_up_table(each.metrics["AP"]) for name, each in cells.items() if each.metrics
    }
    run_folder(folder, cells, tables, absent=absent)
    edit(folder, cells=list(IDS))
    return folder


def edit(folder: Path, **fields: object) -> None:
    path = folder / "run.yaml"
    record = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({**record, **fields}, sort_keys=False))


def aps(folder: Path) -> dict[str, float | None]:
    return {cell.id: (cell.result.metrics or {}).get("AP") for cell in read_run(folder).cells}


def test_each_result_comes_from_where_it_was_run_byte_for_byte(tmp_path: Path) -> None:
    one = part(tmp_path / "one", b=result("b", 0.4))
    two = part(tmp_path / "two", c=result("c", 0.6), a=result("a", 0.3))
    write_probe(two, stored("p"))
    edit(two, probes=["p"])
    run = merge_runs([one, two], tmp_path / "out")
    assert aps(tmp_path / "out") == {"a": 0.3, "b": 0.4, "c": 0.6}
    assert run.missing == () and [each.id for each in run.probes] == ["p"]
    for cell in run.cells:
        source = one if cell.id == "b" else two
        name = f"cells/{cell.id}.json"
        assert (run.folder / name).read_bytes() == (source / name).read_bytes()
        table = run.table(cell)
        assert table is not None
        assert np.isclose(table.matches.scores.sum(), made_up_table(0.5).matches.scores.sum())
    # Again, and after the parts are gone: what is there stays.
    before = {path: path.read_bytes() for path in run.folder.rglob("*.json")}
    merge_runs([one, two], run.folder)
    shutil.rmtree(two)
    merge_runs([one], run.folder)
    assert {path: path.read_bytes() for path in run.folder.rglob("*.json")} == before


def test_results_of_several_versions_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = part(tmp_path / "1", a=result("a", 0.3)), part(tmp_path / "2", b=result("b", 0.4))
    for folder, version in ((one, "1.0"), (two, "1.1")):
        for cell in read_run(folder).cells:
            write_cell(folder, replace(cell, posebench=version))
    merge_runs([one], tmp_path / "alone")
    assert not caplog.records
    merge_runs([one, two], tmp_path / "out")
    assert "posebench 1.0 and 1.1" in caplog.text


def test_what_is_left_is_said(tmp_path: Path) -> None:
    run = merge_runs([part(tmp_path / "one", b=result("b", 0.4))], tmp_path / "out")
    assert run.missing == ("a", "c")


def test_a_cell_that_failed_once_is_taken_from_where_it_is_done(tmp_path: Path) -> None:
    failed, done = result("a", None), result("a", 0.3)
    for name, (first, second) in {"x": (failed, done), "y": (done, failed)}.items():
        folders = [part(tmp_path / name / "1", a=first), part(tmp_path / name / "2", a=second)]
        merge_runs(folders, tmp_path / name / "out")
        assert aps(tmp_path / name / "out") == {"a": 0.3}
    both = [part(tmp_path / "1", a=failed), part(tmp_path / "2", a=replace(failed, reason="odd"))]
    (cell,) = merge_runs(both, tmp_path / "out").cells
    assert cell.result.reason == "no reason"


def test_what_time_and_words_alone_change_is_no_conflict(tmp_path: Path) -> None:
    one = result("a", 0.3)
    other = replace(one, instances_per_second=1.0)
    folders = [part(tmp_path / "1", a=one), part(tmp_path / "2", a=other)]
    (cell,) = merge_runs(folders, tmp_path / "out").cells
    assert cell.result.instances_per_second == one.instances_per_second


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (result("a", 0.6), "result: metrics: AP (0.3, 0.6)"),
        (result("a", 0.3, flip_test=False), "result: protocol: flip_test (True, False)"),
        (replace(result("a", 0.3), gflops=2.0), "result: gflops"),
    ],
)
def test_two_results_of_one_cell_are_a_conflict_that_names_both(
    tmp_path: Path, other: CellResult, said: str
) -> None:
    folders = [part(tmp_path / "1", a=result("a", 0.3)), part(tmp_path / "2", a=other)]
    with pytest.raises(DataError) as raised:
        merge_runs(folders, tmp_path / "out")
    assert all(str(folder) in raised.value.message for folder in folders)
    assert said in raised.value.message
    assert not (tmp_path / "out" / "run.yaml").exists()


def test_runs_of_different_suites_are_not_merged(tmp_path: Path) -> None:
    one, two = part(tmp_path / "1", a=result("a", 0.3)), part(tmp_path / "2", b=result("b", 0.3))
    suite = yaml.safe_load((two / "run.yaml").read_text())["suite"]
    edit(two, suite={**suite, "sizes": ["96x80"]}, limit=10)
    with pytest.raises(UsageError, match=re.escape("they differ in limit, suite: sizes")):
        merge_runs([one, two], tmp_path / "out")
    # Not into a run of something else either.
    with pytest.raises(UsageError, match="are not parts of one run"):
        merge_runs([one], two)


def test_other_threads_machines_and_places_of_data_are_no_obstacle(tmp_path: Path) -> None:
    one, two = part(tmp_path / "1", a=result("a", 0.3)), part(tmp_path / "2", b=result("b", 0.3))
    for folder, root in ((one, "/data"), (two, "/scratch")):
        suite = yaml.safe_load((folder / "run.yaml").read_text())["suite"]
        suite = {**suite, "datasets": [{"name": "coco", "root": root}]}
        edit(folder, suite=suite, threads=len(root), environment={"python": root}, source=root)
    assert set(aps(merge_runs([one, two], tmp_path / "out").folder)) == {"a", "b"}


def test_speeds_of_two_machines_do_not_mix(tmp_path: Path) -> None:
    one, two = part(tmp_path / "1", a=result("a", 0.3)), part(tmp_path / "2", b=result("b", 0.3))
    for folder, cores in ((one, 2), (two, 4)):
        edit(folder, bench={"seconds": 1}, environment={"machine": {"cores": cores}})
    with pytest.raises(UsageError, match="the machine whose speed they are"):
        merge_runs([one, two], tmp_path / "out")


def test_a_checkpoint_that_one_part_lacks_keeps_its_place(tmp_path: Path) -> None:
    one, two = part(tmp_path / "1", a=result("a", 0.3)), part(tmp_path / "2", c=result("c", 0.3))
    edit(one, cells=["a", "c"])
    assert merge_runs([one, two], tmp_path / "out").record.cells == ("a", "b", "c")


def test_a_damaged_result_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = part(tmp_path / "1", a=result("a", 0.3), b=result("b", 0.4))
    path = one / "cells" / "a.json"
    path.write_text(path.read_text().replace("0.3", "0.9"))
    run = merge_runs([one], tmp_path / "out")
    assert "is damaged or was edited" in caplog.text
    assert run.missing == ("a", "c")


def test_trained_checkpoints_come_along_whole(tmp_path: Path) -> None:
    one, two = part(tmp_path / "1", a=result("a", 0.3)), part(tmp_path / "2", b=result("b", 0.3))
    for folder, name in ((one, "arm"), (two, "other"), (two, "half")):
        own = folder / "trained" / name
        own.mkdir(parents=True)
        for file in ("x.safetensors", "x.state", "trained.json"):
            if (name, file) != ("half", "trained.json"):
                (own / file).write_text(f"{name} {file}")
    out = merge_runs([one, two], tmp_path / "out").folder
    found = {str(path.relative_to(out / "trained")) for path in (out / "trained").rglob("*.*")}
    assert found == {
        f"{n}/{f}" for n in ("arm", "other") for f in ("x.safetensors", "trained.json")
    }


def test_shards_that_were_dealt_in_two_ways_are_refused(tmp_path: Path) -> None:
    one, two = part(tmp_path / "1", a=result("a", 0.3)), part(tmp_path / "2", b=result("b", 0.3))
    keep_deal(one, Deal(1, 2, "asked", "some"))
    keep_deal(two, Deal(2, 2, "asked", "others"))
    with pytest.raises(
        UsageError, match=r"Shard 1/2 in .*1 and shard 2/2 in .*2 were dealt in two"
    ):
        merge_runs([one, two], tmp_path / "out")
    with pytest.raises(UsageError, match="were dealt in two ways"):
        keep_deal(one, Deal(2, 2, "asked", "others"))
    keep_deal(one, Deal(2, 2, "asked by another suite", "others"))
    keep_deal(two, Deal(2, 2, "asked", "some"))  # on a machine that was mended
    out = merge_runs([one, two], tmp_path / "out").folder
    with pytest.raises(UsageError, match="were dealt in two ways"):
        keep_deal(out, Deal(2, 2, "asked", "others"))


def test_one_checkpoint_of_two_trainings_is_refused(tmp_path: Path) -> None:
    one, other = result("arm", 0.3), result("arm", 0.4)
    other = replace(other, checkpoint=replace(other.checkpoint, sha256="f" * 64))
    folders = [part(tmp_path / "1", a=one), part(tmp_path / "2", b=other)]
    with pytest.raises(
        DataError, match=r"arm is one checkpoint in .*1 and another one in .*2: a and b"
    ):
        merge_runs(folders, tmp_path / "out")
    assert not (tmp_path / "out" / "run.yaml").exists()


def test_places_of_training_data_come_along(tmp_path: Path) -> None:
    one, two = part(tmp_path / "1", a=result("a", 0.3)), part(tmp_path / "2", b=result("b", 0.3))
    gone, here = ({"folder": str(f), "keypoints": None} for f in (tmp_path / "gone", tmp_path))
    (one / ".places.json").write_text(json.dumps({"x": gone, "y": gone}))
    (two / ".places.json").write_text(json.dumps({"x": here, "z": gone}))
    out = merge_runs([one, two], tmp_path / "out").folder
    kept = json.loads((out / ".places.json").read_text())
    assert kept == {"x": here, "y": gone, "z": gone}
