"""Each checkpoint is loaded, and each cost counted, once; beyond a budget memory comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from report_runs import Silence
from small_run import SIZE, small_model

from posebench.checkpoints import load_checkpoint
from posebench.checkpoints.native import save_checkpoint
from posebench.cli import main
from posebench.files.records import mapping_from_record
from posebench.networks.costs import count_gflops
from posebench.prediction.execution import Resources
from posebench.results.store import read_run
from posebench.running import loading, network_plans, passes as passes_module
from posebench.running.executors import Send
from posebench.running.loading import LoadedCheckpoints, checkpoint_facts, training_facts
from posebench.running.plan import PlannedCell
from posebench.running.request import RunRequest
from posebench.running.run_pass import PassWorker
from posebench.running.run_suite import plan_of, run_suite
from posebench.running.sharing.dispatch import EVALUATION
from posebench.running.sharing.jobs import Segment
from posebench.running.sources import CheckpointSource
from posebench.suites.suite import CheckpointEntry, DatasetEntry, ScoringEntry, Suite


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count loads, by name of the file, and how often a cost is counted."""
    seen: Counter[str] = Counter()

    def loaded(path: Path, spec_file: Path | None = None) -> Any:
        seen[path.stem] += 1
        return load_checkpoint(path, spec_file)

    def counted(*arguments: Any) -> Any:
        seen["GFLOPs"] += 1
        return count_gflops(*arguments)

    monkeypatch.setattr(loading, "load_checkpoint", loaded)
    monkeypatch.setattr(network_plans, "count_gflops", counted)
    return seen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Of different weights, or one would do for both; of one spec, so that they cost the same.
    for seed, name in enumerate("ab"):
        model = small_model("heatmap", seed)
        save_checkpoint(tmp_path / f"{name}.safetensors", model, {}, dtype=torch.float32)
    return tmp_path


def request(folder: Path, people: Path, **axes: Any) -> RunRequest:
    suite = Suite(
        "twice",
        "d",
        ("*.safetensors",),
        (str(people),),
        sizes=("native", "96x80"),
        decoders=("argmax", "dark"),
        scoring=ScoringEntry(replicates=0),
        **axes,
    )
    return RunRequest(suite, (), folder, folder / "run")


def test_a_run_loads_and_counts_once(folder: Path, people: Path, calls: Counter[str]) -> None:
    # Other engines and data move neither.
    asked = request(folder, people, engines=("torch", "eager"), flip=(False, True))
    run_suite(asked, Silence())
    assert len(read_run(asked.out).cells) == 2 * 2 * 2 * 4
    assert calls == {"a": 1, "b": 1, "GFLOPs": 2}


def test_networks_that_share_no_spec_are_counted_apart(
    folder: Path, people: Path, calls: Counter[str]
) -> None:
    save_checkpoint(folder / "c.safetensors", small_model("simcc"), {}, dtype=torch.float32)
    asked = request(folder, people, policies=("resample",))
    plan = plan_of(asked, LoadedCheckpoints(), lambda *_: None)
    found = {cell.result.checkpoint.name: cell.result.gflops for cell in plan.cells}
    counted = {kind: count_gflops(small_model(kind), SIZE) for kind in ("heatmap", "simcc")}
    assert found == {"a": counted["heatmap"], "b": counted["heatmap"], "c": counted["simcc"]}
    assert counted["heatmap"] != counted["simcc"] and calls["GFLOPs"] == 4


def test_data_sets_share_what_is_loaded(folder: Path, people: Path, calls: Counter[str]) -> None:
    asked = request(folder, people)
    both = (DatasetEntry(str(people), limit=1), DatasetEntry(str(people), limit=2))
    run_suite(replace(asked, suite=replace(asked.suite, datasets=both)), Silence())
    assert [cell.result.status for cell in read_run(asked.out).cells] == ["ok"] * 16
    assert calls == {"a": 1, "b": 1, "GFLOPs": 2}


def test_an_evaluation_loads_and_counts_once(
    folder: Path, people: Path, calls: Counter[str]
) -> None:
    with pytest.raises(SystemExit) as done:
        main(
            [
                "eval", str(folder / "a.safetensors"), str(folder / "b.safetensors"),
                "--dataset", str(people), "--size", "native,96x80", "--decoder", "argmax,dark",
            ]
        )  # fmt: skip
    assert done.value.code == 0
    assert calls == {"a": 1, "b": 1, "GFLOPs": 2}


def test_beyond_the_budget_a_checkpoint_is_loaded_for_its_plan_and_for_its_pass(
    folder: Path, people: Path, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (folder / "a.safetensors").stat().st_size
    monkeypatch.setattr(loading, "WEIGHTS_OF_A_PASS", size)
    monkeypatch.setattr(passes_module, "WEIGHTS_OF_A_PASS", size)
    asked = request(folder, people)
    run_suite(asked, Silence())
    assert [cell.result.status for cell in read_run(asked.out).cells] == ["ok"] * 8
    # The first fits and waits for its pass, the second does not.
    assert calls == {"a": 1, "b": 2, "GFLOPs": 2}


def test_a_checkpoint_above_the_budget_is_loaded_once_for_all_of_its_runs(
    folder: Path, people: Path, calls: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "WEIGHTS_OF_A_PASS", 1)
    monkeypatch.setattr(passes_module, "WEIGHTS_OF_A_PASS", 1)
    asked = request(folder, people, flip=(False, True))
    run_suite(asked, Silence())
    assert [cell.result.status for cell in read_run(asked.out).cells] == ["ok"] * 16
    assert calls == {"a": 2, "b": 2, "GFLOPs": 2}  # for the plan and for the pass


def test_a_file_under_two_names_is_loaded_once(
    folder: Path, people: Path, calls: Counter[str]
) -> None:
    asked = request(folder, people)
    twice = tuple(CheckpointEntry("a.safetensors", name=name) for name in ("one", "two"))
    run_suite(replace(asked, suite=replace(asked.suite, checkpoints=twice)), Silence())
    cells = read_run(asked.out).cells
    assert [cell.result.checkpoint.name for cell in cells] == ["one"] * 4 + ["two"] * 4
    assert {cell.result.status for cell in cells} == {"ok"}
    assert calls == {"a": 1, "GFLOPs": 2}


def test_a_file_with_another_spec_is_another_checkpoint(folder: Path, calls: Counter[str]) -> None:
    path, spec = folder / "a.safetensors", folder / "spec.yaml"
    spec.write_text("flip: {test: false}\n", encoding="utf-8")
    held = LoadedCheckpoints()
    plain = held.load(CheckpointSource(path, "a"))
    changed = held.load(CheckpointSource(path, "a", spec))
    assert (plain.spec.flip.test, changed.spec.flip.test) == (True, False)
    assert calls == {"a": 2}


@pytest.mark.parametrize("recipe", [{"seed": 3, "data": {"scenes": 8}}, None, "no recipe"])
def test_facts_hold_the_recipe_of_a_file_that_posebench_trained(
    tmp_path: Path, recipe: Any
) -> None:
    path = tmp_path / "trained.safetensors"
    provenance = {} if recipe is None else {"recipe": recipe}
    save_checkpoint(path, small_model("heatmap"), provenance)
    loaded = LoadedCheckpoints().load(CheckpointSource(path, "a"))
    facts = checkpoint_facts(loaded, "a")
    assert facts.training == (recipe if isinstance(recipe, dict) else None)


def test_nothing_makes_way_for_what_cannot_be_held(folder: Path) -> None:
    a, b = (CheckpointSource(folder / f"{name}.safetensors", name) for name in "ab")
    held = LoadedCheckpoints(budget=a.path.stat().st_size)
    first = held.load(a)
    b.path.write_bytes(b.path.read_bytes() + b" ")
    held.make_room([b])
    assert held.load(a) is first


def test_what_is_held_fits_the_budget(folder: Path, calls: Counter[str]) -> None:
    a, b = (CheckpointSource(folder / f"{name}.safetensors", name) for name in "ab")
    held = LoadedCheckpoints(budget=a.path.stat().st_size)
    first = held.load(a)
    held.load(b)
    assert held.load(a) is first
    assert held.load(b) is not held.load(b)
    held.make_room([a])
    assert held.load(a) is first
    held.make_room([b])
    second = held.load(b)
    assert held.load(b) is second and held.load(a) is not first
    held.keep_only([])
    assert held.load(b) is not second


class CountsItsLoads(PassWorker):
    """A worker that sends what it loads, and fails where it plans."""

    def __call__(self, job: Sequence[PlannedCell] | Segment, send: Send) -> None:
        def loaded(path: Path, spec_file: Path | None = None) -> Any:
            send(("progress", (f"loads {path.stem}", 0, 1)))
            return load_checkpoint(path, spec_file)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loading, "load_checkpoint", loaded)
            patch.setattr(network_plans.NetworkPlanner, "plan", None)
            super().__call__(job, send)


class Labels(Silence):
    """A display that keeps the labels of steps."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def progress(self, label: str, *_: Any) -> None:
        self.labels.append(label)


def test_processes_of_devices_load_what_they_run_and_plan_nothing(
    folder: Path, people: Path, calls: Counter[str]
) -> None:
    asked = replace(request(folder, people), devices=("cpu", "cpu"), resources=Resources(threads=2))
    display = Labels()
    run_suite(asked, display, replace(EVALUATION, worker=CountsItsLoads))
    assert [cell.result.status for cell in read_run(asked.out).cells] == ["ok"] * 8
    loads = sorted(label for label in display.labels if label.startswith("loads"))
    assert loads == ["loads a", "loads b"]
    assert calls == {"a": 1, "b": 1, "GFLOPs": 2}  # by this process, which plans


def test_facts_name_the_content_of_files_and_fill_in_younger_settings() -> None:
    model = mapping_from_record(small_model("simcc").spec)
    recipe = {
        "name": "taught",
        "model": model,
        "optimisation": {"samples": 64},
        "data": {"folder": "people", "split": "train"},
        "distillation": {"teacher": "other.safetensors"},
    }
    hashed = {"data": {"sha256": "d" * 64, "persons": 7}, "teacher": {"sha256": "e" * 64}}
    facts = training_facts({"recipe": recipe, **hashed, "initialise": None})
    assert facts is not None
    assert facts["data"]["folder"] == "d" * 64
    assert facts["distillation"] == {"teacher": "e" * 64, "weight": 0.5}
    assert facts["augmentation"]["offset"] == [0.0, 0.0]
    # A recipe of another program is shown as it is.
    assert training_facts({"recipe": {"epochs": 210}}) == {"epochs": 210}
    assert training_facts({}) is None
