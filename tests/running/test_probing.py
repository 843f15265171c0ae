"""Probes of suites: what is stored, what is done already, and what cannot be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_probes import READING
from small_run import posebench, small_checkpoint
from typer.testing import CliRunner

from posebench.cli import app
from posebench.lab.probes import PROBES
from posebench.reporting.tables.probe_tables import tables_of
from posebench.results.probe_numbers import PROBE_NUMBERS
from posebench.results.store import Run, read_run
from posebench.running.loading import LoadedCheckpoints
from posebench.running.probing import plan_probes
from posebench.running.probing.run import stored_rows
from posebench.running.request import ProgressDisplay, RunRequest
from posebench.running.run_suite import run_suite
from posebench.running.sources import suite_checkpoints
from posebench.running.workload import suite_workloads
from posebench.suites.claims import FIELDS
from posebench.suites.probes import PROBE_NAMES, ProbeSettings
from posebench.suites.suite import DatasetEntry, ScoringEntry, Suite, check_suite


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("probes")
    for paradigm in ("heatmap", "simcc"):
        small_checkpoint(found / f"{paradigm}.safetensors", paradigm)
    (found / "broken.pth").write_bytes(b"nothing")
    return found


def request(folder: Path, people: Path, out: Path, *files: str, **fields: object) -> RunRequest:
    data = DatasetEntry(str(people / "annotations" / "person_keypoints_val2017.json"),
                        images=str(people / "val2017"))  # fmt: skip
    if not Path(data.name).is_file():
        data = DatasetEntry(str(people))
    suite = Suite(
        "probes",
        "",
        tuple(str(folder / file) for file in files),
        (data,),
        sizes=(),
        probes=PROBE_NAMES,
        probing=ProbeSettings(people=6),
        scoring=ScoringEntry(replicates=50),
    )
    check_suite(suite)
    found = RunRequest(suite, (), folder, out)
    return replace(found, **fields)  # type: ignore[arg-type]


def quietly(_label: str, _done: int, _total: int) -> None: ...


@pytest.fixture(scope="module")
def run(folder: Path, people: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("out")
    files = ("heatmap.safetensors", "simcc.safetensors", "broken.pth")
    run_suite(request(folder, people, out, *files), ProgressDisplay(quietly))
    return read_run(out)


def test_the_words_of_suites_are_the_probes() -> None:
    assert tuple(PROBES) == PROBE_NAMES
    assert {number.probe for number in PROBE_NUMBERS.values()} == set(PROBE_NAMES)


def test_every_probe_of_every_checkpoint_has_a_result(run: Run) -> None:
    found = {(each.checkpoint.name, each.probe): each.status for each in run.probes}
    assert found == {
        **{("heatmap", name): "ok" for name in PROBE_NAMES},
        **{("simcc", name): "ok" for name in PROBE_NAMES},
        **{("broken", name): "failed" for name in PROBE_NAMES},
        ("heatmap", "position-code"): "unsupported",
    }
    assert not run.missing
    # Without sizes nothing is evaluated; a checkpoint that cannot be loaded still has its result.
    assert [cell.result.status for cell in run.cells] == ["failed"]


def test_numbers_and_places_of_rows_are_known(run: Run) -> None:
    for probe in run.probes:
        for row in probe.rows:
            assert {PROBE_NUMBERS[name].probe for name in row.numbers} == {probe.probe}
            assert set(row.where) <= set(FIELDS)
            sampled = {name for name in row.numbers if PROBE_NUMBERS[name].sampled}
            assert set(row.low) <= sampled and row.low.keys() == row.high.keys()


def test_a_twin_is_beside_every_trained_network(run: Run) -> None:
    for probe in run.probes:
        arms = {row.arm for row in probe.rows}
        if arms and probe.probe != "identity":
            assert {"trained", "untrained"} <= arms


def test_what_is_done_is_not_read_again(run: Run, folder: Path, people: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run.folder / "probes").iterdir()}
    files = ("heatmap.safetensors", "simcc.safetensors", "broken.pth")
    asked = request(folder, people, run.folder, *files)
    run_suite(asked, ProgressDisplay(quietly))
    assert before == {path: path.stat().st_mtime_ns for path in (run.folder / "probes").iterdir()}
    (run.folder / "probes" / f"{run.probes[0].id}.json").unlink()
    run_suite(replace(asked, only="*heatmap*"), ProgressDisplay(quietly))
    after = {path: path.stat().st_mtime_ns for path in (run.folder / "probes").iterdir()}
    changed = {path.name for path in after if after[path] != before[path]}
    assert {name.rpartition(".")[0] for name in changed} == {run.probes[0].id}


def test_a_checkpoint_is_read_on_its_own_data_alone(folder: Path, people: Path) -> None:
    suite = request(folder, people, folder, "heatmap.safetensors").suite
    (declared,) = suite_checkpoints(suite, folder)
    source = replace(declared.source, name="trained-elsewhere")
    trained = replace(declared, source=source, datasets=(DatasetEntry("elsewhere"),))
    workloads = suite_workloads(suite, folder, None, quietly)
    planned = plan_probes(suite, (declared, trained), workloads, LoadedCheckpoints())
    assert {each.checkpoint.source.name for each in planned} == {"heatmap"}


def test_other_settings_are_other_probes(folder: Path, people: Path, tmp_path: Path) -> None:
    asked = request(folder, people, tmp_path, "heatmap.safetensors")
    asked = replace(asked, suite=replace(asked.suite, probes=("keypoint-vectors",)))
    run_suite(asked, ProgressDisplay(quietly))
    one = read_run(tmp_path).probes[0]
    other = replace(asked.suite, probing=ProbeSettings(people=6, seed=1))
    run_suite(replace(asked, suite=other), ProgressDisplay(quietly))
    (two,) = read_run(tmp_path).probes
    assert one.rows != two.rows and two.settings.seed == 1


def test_the_same_run_gives_the_same_numbers(
    run: Run, folder: Path, people: Path, tmp_path: Path
) -> None:
    asked = request(folder, people, tmp_path, "simcc.safetensors")
    run_suite(asked, ProgressDisplay(quietly))
    again = {each.probe: each for each in read_run(tmp_path).probes}
    for probe in run.probes:
        if probe.checkpoint.name == "simcc":
            assert again[probe.probe].rows == probe.rows
            assert again[probe.probe].arrays == probe.arrays


def test_intervals_need_resamples_and_more_than_one_unit() -> None:
    (row,) = stored_rows(READING, ScoringEntry(replicates=200))
    assert row.low["match PCK@0.1"] < 0.5 < row.high["match PCK@0.1"]
    assert not stored_rows(READING, ScoringEntry(replicates=0))[0].low


def test_the_command_prints_tables_and_keeps_a_run(
    folder: Path, people: Path, tmp_path: Path
) -> None:
    arguments = [
        "probe", str(folder / "simcc.safetensors"), "--probe", "position-code,keypoint-vectors",
        "--dataset", str(people), "--people", "5", "--out", str(tmp_path),
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "near minus far" in done.output and "partner rank" in done.output
    assert [each.probe for each in read_run(tmp_path).probes] == [
        "position-code",
        "keypoint-vectors",
    ]


def test_an_unknown_probe_is_told_with_the_nearest(folder: Path) -> None:
    done = posebench("probe", folder / "simcc.safetensors", "--probe", "token")
    assert done.returncode == 2 and "'tokens'" in done.stderr


def test_two_parts_of_a_file_are_two_data_sets(folder: Path, people: Path, tmp_path: Path) -> None:
    asked = request(folder, people, tmp_path, "heatmap.safetensors")
    (whole,) = asked.suite.dataset_entries
    suite = replace(
        asked.suite,
        datasets=(replace(whole, limit=2), whole),
        boxes=("gt",),
        probes=("keypoint-vectors",),
    )
    run_suite(replace(asked, suite=suite), ProgressDisplay(quietly))
    first, second = read_run(tmp_path).probes
    assert first.data.images == 2 < second.data.images
    assert (second.id, second.status) == (f"{first.id}-2", "ok")
    assert len(list(tables_of([first, second]))) == 2


def test_trained_checkpoints_are_probed_on_their_own_data_beside_twins_of_their_own(
    folder: Path, people: Path, tmp_path: Path
) -> None:
    asked = request(folder, people, tmp_path, "simcc.safetensors")
    (whole,) = asked.suite.dataset_entries
    part = replace(whole, limit=2)
    suite = replace(asked.suite, datasets=(whole, part), probes=("keypoint-vectors",))
    (known,) = suite_checkpoints(suite, folder)
    trained = tuple(
        replace(
            known,
            source=replace(known.source, name=f"own-{seed}"),
            entry=replace(known.entry, labels={"seed": seed}),
            datasets=(part,),
        )
        for seed in ("0", "1")
    )
    run_suite(replace(asked, suite=suite, trained=trained), ProgressDisplay(quietly))
    found = {(each.checkpoint.name, each.data.images): each for each in read_run(tmp_path).probes}
    assert {name for name, images in found if images == 2} == {"simcc", "own-0", "own-1"}
    assert {name for name, images in found if images != 2} == {"simcc"}
    of_arms = [
        {
            row.arm: row.numbers["partner excess"]
            for row in found[name, 2].rows
            if "vectors" in row.place
        }
        for name in ("simcc", "own-0", "own-1")
    ]
    assert of_arms[0] == of_arms[1]
    assert of_arms[1]["trained"] == of_arms[2]["trained"]
    assert of_arms[1]["untrained"] != of_arms[2]["untrained"]
