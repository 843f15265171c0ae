"""Running suites: plans, resuming, and what survives a killed process."""

from __future__ import annotations

import errno
import itertools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_run import posebench, small_checkpoint
from small_store import result as store_result

from posebench.errors import DataError, SpecError, UsageError
from posebench.files.writing import write_json
from posebench.judging.verdicts import verdicts_of
from posebench.networks.codecs import HeatmapCodec
from posebench.networks.sizes import InputSize
from posebench.prediction.execution import Execution, Resources
from posebench.results import store
from posebench.results.store import StoredCell, read_cell, read_run, write_cell
from posebench.running.executors.jobs import this_node
from posebench.running.network_plans import NetworkPlan, RunKey
from posebench.running.passes import passes_on
from posebench.running.plan import PlannedCell
from posebench.running.request import RunRequest
from posebench.running.run_pass import PassWorker
from posebench.running.run_suite import run_suite
from posebench.running.sharing.dispatch import EVALUATION
from posebench.running.sources import CheckpointSource, SuiteCheckpoint
from posebench.suites.shipped import shipped_suites
from posebench.suites.suite import CheckpointEntry, ScoringEntry, Suite, load_suite
from posebench.zoo.published import find_published

SCORING = ScoringEntry(replicates=50)


class Recorder:
    """A display that remembers what it was shown."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.pending: list[str] = []
        self.finished_ids: list[str] = []
        self._stop_after = stop_after

    def progress(self, label: str, done: int, total: int) -> None: ...

    def planned(
        self,
        cells: Sequence[PlannedCell],
        pending: Sequence[PlannedCell],
        done: Mapping[str, StoredCell],
    ) -> None:
        self.pending = [cell.id for cell in pending]

    def started(self, cells: Sequence[PlannedCell]) -> None: ...

    def finished(self, cell: StoredCell) -> None:
        self.finished_ids.append(cell.id)
        if len(self.finished_ids) == self._stop_after:
            raise KeyboardInterrupt


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for paradigm in ("heatmap", "simcc"):
        small_checkpoint(tmp_path / f"{paradigm}.safetensors", paradigm)
    return tmp_path


def request(folder: Path, people: Path, out: str = "run", **changes: Any) -> RunRequest:
    fields: dict[str, Any] = {
        "checkpoints": ("*.safetensors",),
        "datasets": (str(people),),
        "sizes": ("native", "96x80"),
        "policies": ("native", "resample"),
        "scoring": SCORING,
    }
    options = {key: changes.pop(key) for key in list(changes) if key not in vars(Suite("", "", ()))}
    suite = Suite("small", "d", **{**fields, **changes})
    return RunRequest(suite, (), folder, folder / out, **options)


def ran(asked: RunRequest, **display: Any) -> Recorder:
    recorder = Recorder(**display)
    run_suite(asked, recorder)
    return recorder


def contents(run: Path) -> dict[str, Any]:
    """Return every cell without what time alone decides."""
    cells = {}
    for path in sorted((run / "cells").glob("*.json")):
        plain = json.loads(path.read_text(encoding="utf-8"))
        plain["result"].pop("instances_per_second")
        plain["environment"].pop("date")
        plain.pop("sha256")
        cells[path.name] = json.dumps(plain)
    return cells


def test_every_cell_is_planned_run_and_kept(folder: Path, people: Path) -> None:
    recorder = ran(request(folder, people))
    run = read_run(folder / "run")
    assert sorted(recorder.finished_ids) == sorted(recorder.pending)
    assert set(recorder.pending) == {cell.id for cell in run.cells}
    assert run.missing == ()
    results = [cell.result for cell in run.cells]
    assert {(r.checkpoint.paradigm, str(r.size), r.policy): r.status for r in results} == {
        ("heatmap", "64x48", "native"): "ok",
        ("heatmap", "96x80", "native"): "ok",
        ("heatmap", "96x80", "resample"): "ok",
        ("simcc", "64x48", "native"): "ok",
        ("simcc", "96x80", "native"): "unsupported",
        ("simcc", "96x80", "resample"): "ok",
    }
    cell = run.cells[0]
    assert cell.result.intervals is not None and cell.result.intervals.replicates == 50
    assert cell.load_report is not None and cell.load_report["mapped"] > 0
    assert len(cell.keypoints) == 17
    table = run.table(cell)
    assert table is not None and table.images == 4


def test_what_is_done_is_not_run_again(folder: Path, people: Path) -> None:
    ran(request(folder, people))
    before = contents(folder / "run")
    again = ran(request(folder, people))
    # Only what cannot run is said again.
    assert again.pending == [name for name in again.pending if "simcc_96x80_native" in name]
    assert contents(folder / "run") == before


@pytest.mark.parametrize(
    "scoring",
    [
        ScoringEntry(rescoring="bbox", replicates=50),
        ScoringEntry(interval="bca", replicates=50),
        ScoringEntry(official=True, replicates=50),
        ScoringEntry(seed=1, replicates=50),
    ],
    ids=repr,
)
def test_other_scoring_re_uses_predictions(
    folder: Path, people: Path, monkeypatch: pytest.MonkeyPatch, scoring: ScoringEntry
) -> None:
    ran(request(folder, people))
    before = contents(folder / "run")

    def refuse(*_: Any) -> None:
        raise AssertionError("a network ran")

    monkeypatch.setattr("posebench.prediction.predict.predict_outputs", refuse)
    changed = ran(request(folder, people, scoring=scoring))
    assert len(changed.finished_ids) == 6
    run = read_run(folder / "run")
    assert {c.result.status for c in run.cells} == {"ok", "unsupported"}
    assert contents(folder / "run") != before


def test_a_cell_whose_pck_was_not_resampled_is_scored_again(folder: Path, people: Path) -> None:
    ran(request(folder, people))
    whole = read_run(folder / "run").cells[0]
    assert whole.result.intervals is not None
    assert whole.result.intervals.low.keys() == (whole.result.metrics or {}).keys()
    low = {name: end for name, end in whole.result.intervals.low.items() if name[:3] != "PCK"}
    intervals = replace(whole.result.intervals, low=low)
    write_cell(folder / "run", replace(whole, result=replace(whole.result, intervals=intervals)))
    again = ran(request(folder, people))
    assert whole.id in again.pending
    assert read_run(folder / "run").cells[0].result.intervals == whole.result.intervals


def test_a_changed_checkpoint_is_run_again(folder: Path, people: Path) -> None:
    ran(request(folder, people))
    from small_run import small_model

    from posebench.checkpoints.native import save_checkpoint

    save_checkpoint(folder / "heatmap.safetensors", small_model("heatmap", seed=1), {})
    again = ran(request(folder, people))
    assert {name.split("_")[2] for name in again.pending if "native" not in name} == {"heatmap"}


def test_a_stopped_run_goes_on(folder: Path, people: Path) -> None:
    whole = request(folder, people, out="whole")
    ran(whole)
    asked = request(folder, people)
    with pytest.raises(KeyboardInterrupt):
        ran(asked, stop_after=3)
    assert len(read_run(asked.out).cells) == 3
    ran(asked)
    assert contents(asked.out) == contents(whole.out)


def test_only_some_cells(folder: Path, people: Path) -> None:
    recorder = ran(request(folder, people, only="*simcc*resample*"))
    assert len(recorder.finished_ids) == 1
    run = read_run(folder / "run")
    assert (len(run.cells), len(run.missing)) == (1, 5)
    with pytest.raises(UsageError, match="fits none of the suite's 6 cells"):
        ran(request(folder, people, only="*vit*"))


def test_what_is_not_there_is_a_result(folder: Path, people: Path) -> None:
    (folder / "broken.pth").write_bytes(b"\x80\x02}q\x00.")
    entries = (
        CheckpointEntry("broken.pth", labels={"pair": "x"}),
        CheckpointEntry("absent.pth"),
        CheckpointEntry("simcc.safetensors", name="mine"),
    )
    ran(request(folder, people, checkpoints=entries, sizes=("native",)))
    run = read_run(folder / "run")
    shown = [(c.result.checkpoint.name, c.result.status, dict(c.labels)) for c in run.cells]
    assert shown == [
        ("broken", "failed", {"pair": "x"}), ("absent.pth", "skipped", {}), ("mine", "ok", {}),
    ]  # fmt: skip
    assert run.cells[1].result.reason is not None and "absent.pth" in run.cells[1].result.reason
    # A failure is kept unless it is to be tried again; what was not there is looked for again.
    assert len(ran(request(folder, people, checkpoints=entries, sizes=("native",))).pending) == 2


@pytest.mark.parametrize(
    "entries",
    [
        (
            CheckpointEntry("heatmap.safetensors", name="simcc"),
            CheckpointEntry("simcc.safetensors"),
        ),
        (CheckpointEntry("simcc.safetensors"), CheckpointEntry("simcc.safetensors")),
    ],
)
def test_two_checkpoints_of_one_name(folder: Path, people: Path, entries: Any) -> None:
    with pytest.raises(SpecError, match=r"two checkpoints .*simcc"):
        ran(request(folder, people, checkpoints=entries))


def test_ids_differ_whatever_the_names(folder: Path, people: Path) -> None:
    names = ("a b", "a/b", "a-b-2", "A-B")
    entries = tuple(CheckpointEntry(f"{i}.pth", name=name) for i, name in enumerate(names))
    ran(request(folder, people, checkpoints=entries))
    ids = read_run(folder / "run").record.cells
    assert len({name.lower() for name in ids}) == 4


def test_a_cell_that_lost_its_table_is_scored_again(folder: Path, people: Path) -> None:
    ran(request(folder, people))
    before = contents(folder / "run")
    for file in (folder / "run" / "tables").iterdir():
        file.unlink()
    assert len(ran(request(folder, people)).pending) == 6
    assert set(contents(folder / "run")) == set(before)


def test_a_pattern_that_fits_no_file(folder: Path, people: Path) -> None:
    with pytest.raises(SpecError, match=r"\*\.onnx fits no file"):
        ran(request(folder, people, checkpoints=("*.onnx",)))


def test_a_damaged_cell_is_made_again(folder: Path, people: Path) -> None:
    asked = request(folder, people)
    ran(asked)
    before = contents(asked.out)
    path = next((asked.out / "cells").glob("*heatmap*64x48*"))
    path.write_text('{"schema_version": 1, "id"', encoding="utf-8")
    recorder = ran(asked)
    assert path.stem in recorder.finished_ids
    assert contents(asked.out) == before


def test_a_full_disk_keeps_what_is_done(
    folder: Path, people: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, asked = request(folder, people, out="whole"), request(folder, people)
    ran(whole)
    left = iter(range(3))

    def fill(path: Path, value: Any) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_json(path, value)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_json", fill)
        with pytest.raises(DataError, match="cannot be written: No space left on device"):
            ran(asked)
    assert len(read_run(asked.out).cells) == 3
    ran(asked)
    assert contents(asked.out) == contents(whole.out)


def test_a_folder_that_cannot_be_written(folder: Path, people: Path) -> None:
    (folder / "file").write_bytes(b"")
    with pytest.raises(DataError, match=r"run cannot be written: Not a directory"):
        ran(request(folder, people, out="file/run"))


def test_devices_share_the_cells_and_answer_as_one(folder: Path, people: Path) -> None:
    alone, both = request(folder, people, out="alone"), request(folder, people, out="both")
    ran(alone)
    recorder = ran(replace(both, devices=("cpu", "cpu"), resources=Resources(threads=2)))
    assert sorted(recorder.finished_ids) == sorted(recorder.pending)
    assert contents(both.out) == contents(alone.out)
    assert ran(both).pending == [name for name in recorder.pending if "simcc_96x80_native" in name]


def test_a_device_that_dies_fails_its_cells_and_no_others(folder: Path, people: Path) -> None:
    asked = request(folder, people, devices=("cpu", "cpu"))
    run_suite(asked, Recorder(), replace(EVALUATION, worker=DiesOfHeatmaps))
    results = {cell.id: cell.result for cell in read_run(folder / "run").cells}
    status = {name: result.status for name, result in results.items() if result.status != "ok"}
    reasons = {result.reason for result in results.values() if result.status == "failed"}
    assert len(results) == 6
    assert sorted(status.values()) == ["failed", "failed", "failed", "unsupported"]
    assert {name.split("_")[2] for name, why in status.items() if why == "failed"} == {"heatmap"}
    (reason,) = reasons
    assert reason is not None and reason.startswith(f"the process of cpu on {this_node()} ended")
    assert "SIGKILL" in reason and reason.endswith("tried 3 times")


def test_a_device_that_dies_once_costs_no_cell(folder: Path, people: Path) -> None:
    alone, asked = request(folder, people, "alone"), request(folder, people, devices=("cpu", "cpu"))
    ran(alone)
    recorder = Recorder()
    run_suite(asked, recorder, replace(EVALUATION, worker=DiesOnce))
    assert contents(asked.out) == contents(alone.out)
    assert sorted(recorder.finished_ids) == sorted(recorder.pending)


class DiesOnce:
    """A worker whose process is killed behind the first cell that any of them stores."""

    def __init__(self, *arguments: Any) -> None:
        self._worker = PassWorker(*arguments)
        self._mark = arguments[0].out / "died"

    def __call__(self, cells: Sequence[PlannedCell], send: Any) -> None:
        def send_and_die(message: Any) -> None:
            send(message)
            if message[0] == "finished" and not self._mark.exists():
                self._mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        self._worker(cells, send_and_die)


class DiesOfHeatmaps:
    """A worker whose process is killed when a heatmap checkpoint comes."""

    def __init__(self, *arguments: Any) -> None:
        self._worker = PassWorker(*arguments)

    def __call__(self, cells: Sequence[PlannedCell], send: Any) -> None:
        if "heatmap" in cells[0].id:
            os.kill(os.getpid(), signal.SIGKILL)
        self._worker(cells, send)


def test_ctrl_c_stops_devices_and_keeps_what_is_done(folder: Path, people: Path) -> None:
    asked, whole = request(folder, people), request(folder, people, out="whole")
    ran(whole)
    with pytest.raises(KeyboardInterrupt):
        ran(replace(asked, devices=("cpu", "cpu")), stop_after=2)
    assert multiprocessing.active_children() == []
    assert len(read_run(asked.out).cells) >= 2
    ran(asked)
    assert contents(asked.out) == contents(whole.out)


def cells_of(folder: Path, count: int, sizes: int) -> list[PlannedCell]:
    made = []
    for index, size in itertools.product(range(count), range(sizes)):
        source = CheckpointSource(folder / f"{index}", str(index))
        checkpoint = SuiteCheckpoint(source, CheckpointEntry(f"{index}"))
        for decoder in range(2):
            name = f"{index} {size} {decoder}"
            place = InputSize(32 + size, 32)
            key = RunKey(0, source.name, place, "native", True, Execution())
            network = NetworkPlan(key, source, "", HeatmapCodec())
            made.append(PlannedCell(name, store_result(), checkpoint, network))
    return made


@pytest.mark.parametrize(
    ("checkpoints", "sizes", "devices", "passes"),
    [(3, 2, 1, [12]), (3, 2, 2, [4, 4, 4]), (1, 4, 2, [2, 2, 2, 2]), (2, 1, 3, [2, 2])],
)
def test_every_device_has_work_where_there_is_some(
    tmp_path: Path, checkpoints: int, sizes: int, devices: int, passes: list[int]
) -> None:
    cells = cells_of(tmp_path, checkpoints, sizes)
    groups = passes_on(cells, devices)
    assert [len(group) for group in groups] == passes
    assert [cell for group in groups for cell in group] == cells


def written_suite(folder: Path, people: Path) -> Path:
    path = folder / "suite.yaml"
    path.write_text(
        "name: small\ndescription: d\n"
        "checkpoints: [{file: '*.safetensors', labels: {pair: small}}]\n"
        f"datasets: [{json.dumps(str(people))}]\n"
        "sizes: [native, 96x80, 1.5x]\npolicies: [native, resample]\n"
        "scoring: {replicates: 50}\nclaims: [C1-runs]\n",
        encoding="utf-8",
    )
    return path


def test_the_command_prints_table_and_verdicts(folder: Path, people: Path) -> None:
    suite, out = written_suite(folder, people), folder / "out"
    plan = posebench("run", suite, "--out", out, "--dry-run", "--threads", 1)
    assert plan.returncode == 0, plan.stderr
    assert "T multiply-accumulates" in plan.stdout and not (out / "run.yaml").exists()
    done = posebench("run", suite, "--out", out, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert "C1-runs" in done.stdout and "Run directory" in done.stdout
    assert "left)" in done.stderr
    claims = posebench("claims", out, "--json", folder / "verdicts.json")
    assert claims.returncode == 0, claims.stderr
    verdicts = json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))["verdicts"]
    assert [verdict["claim"]["id"] for verdict in verdicts] == ["C1-runs"]


@pytest.mark.slow
def test_a_killed_run_loses_nothing_that_was_finished(folder: Path, people: Path) -> None:
    suite, out, whole = written_suite(folder, people), folder / "out", folder / "whole"
    command = [sys.executable, "-m", "posebench", "run", str(suite), "--threads", "1", "--out"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, str(whole)], check=True, env=environment, **quiet)
    rng, finished = random.Random(0), dict[str, Any]()
    for _ in range(8):
        process = subprocess.Popen([*command, str(out)], env=environment, **quiet)
        time.sleep(rng.uniform(2.0, 7.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for name in read_run(out).record.cells if (out / "run.yaml").is_file() else ():
            read_cell(out, name)  # whole, or not there
        now = contents(out) if (out / "cells").is_dir() else {}
        assert {name: now[name] for name in finished} == finished
        finished = now
    subprocess.run([*command, str(out)], check=True, env=environment, **quiet)
    assert contents(out) == contents(whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["ci", "resolution", "capacity", "decoders", "crowd", "quantisation", "pruning", "robustness"],
)
def test_shipped_suites_run_and_judge_their_claims(tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    done = posebench("run", name, "--limit", 3, "--out", out, "--threads", 1, timeout=600)
    assert done.returncode == 0, done.stderr
    run = read_run(out)
    assert run.missing == ()
    assert {cell.result.status for cell in run.cells} <= {"ok", "unsupported"}
    verdicts = {verdict.claim.id: verdict for verdict in verdicts_of(run)}
    assert set(verdicts) == set(load_suite(shipped_suites()[name]).claims)
    # Every claim on what was measured finds cells; some published ones are there to say "untested".
    untested = {name for name, v in verdicts.items() if v.verdict == "untested"}
    assert untested <= {"P3-dark"}


def test_published_pairs_name_published_files() -> None:
    suite = load_suite(shipped_suites()["published_pairs"])
    entries = [find_published(entry.file) for entry in suite.checkpoint_entries]
    pairs: dict[str, list[Any]] = {}
    for entry, labelled in zip(entries, suite.checkpoint_entries, strict=True):
        pairs.setdefault(labelled.labels["pair"], []).append(entry)
    for pair in pairs.values():
        paradigms = sorted(entry.paradigm for entry in pair)
        assert paradigms in (["heatmap", "simcc"], ["heatmap", "regression", "simcc"])
        assert len({(entry.backbone, entry.input_size, entry.trained_on) for entry in pair}) == 1


def test_published_pairs_say_where_data_is_looked_for(tmp_path: Path) -> None:
    done = posebench("run", "published_pairs", "--out", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "POSEBENCH_DATA" in done.stderr
