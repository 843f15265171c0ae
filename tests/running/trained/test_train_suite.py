"""Training what a suite needs: once, in order, with what fails as a result."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from executor_suites import PATHS, TrainingDiesOnce
from lab_suites import ARMS, instant_training, lab_suite
from safetensors.torch import load_file

from posebench.errors import LostStateError, TrainingError
from posebench.lab.training import Recipe, TrainingOutcome
from posebench.running.executors import EXECUTORS, Site
from posebench.running.sources import SuiteCheckpoint
from posebench.running.trained import train_suite as training, worker
from posebench.running.trained.kept import read_record, trained_checkpoint
from posebench.running.trained.train_suite import PlannedTraining, Trainers, train_suite
from posebench.suites.settling import settled
from posebench.suites.suite import load_suite


class Shown:
    """A display that remembers what it was shown."""

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self.done: dict[str, str | None] = {}

    def begun(self, trainings: Sequence[PlannedTraining]) -> None:
        self.waiting = [each.training.name for each in trainings if each.record is None]

    def step(self, name: str, label: str, done: int, total: int) -> None: ...

    def finished(self, name: str, reason: str | None) -> None:
        self.done[name] = reason


@pytest.fixture
def trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """Train in this process and in no time, with a cache of its own; return what is trained."""
    trained: list[Recipe] = []

    def train(recipe: Recipe, *others: Any) -> TrainingOutcome:
        trained.append(recipe)
        return instant_training(recipe, *others)

    monkeypatch.setenv("POSEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(training, "EXECUTORS", {"processes": EXECUTORS["inline"]})
    monkeypatch.setattr("os.nice", lambda _: 0)
    monkeypatch.setattr(worker, "train", train)
    monkeypatch.setattr(worker, "validation", lambda *_: lambda _model: {})
    return trained


def run(path: Path, out: Path, **roots: Path) -> tuple[tuple[SuiteCheckpoint, ...], Shown]:
    suite = settled(load_suite(path), path.parent, roots=roots).suite
    shown = Shown()
    return train_suite(suite, path.parent, out, ("cpu",), shown), shown


def names(recipes: Sequence[Recipe]) -> list[str]:
    return [recipe.name for recipe in recipes]


def test_nothing_is_trained_twice(tmp_path: Path, trains: list[Recipe]) -> None:
    path, out = lab_suite(tmp_path, seeds=[0, 1]), tmp_path / "run"
    checkpoints, shown = run(path, out)
    assert sorted(names(trains)) == sorted(shown.done) == sorted(shown.waiting)
    assert set(shown.waiting) == {
        f"{arm}_synthetic_s{seed}" for arm in ("heatmap", "simcc") for seed in (0, 1)
    }
    for checkpoint in checkpoints:
        assert checkpoint.problem is None
        assert checkpoint.source.path == trained_checkpoint(out, checkpoint.source.name)
    assert checkpoints[1].entry.labels == {"arm": "simcc", "seed": "0", "data": "synthetic"}
    _, again = run(path, out)
    assert again.waiting == []
    # Another suite, with an arm of another name, takes the cache's.
    arms = {"map": ARMS["heatmap"], "vectors": ARMS["simcc"]}
    others, elsewhere = run(lab_suite(tmp_path, arms=arms), tmp_path / "other")
    assert elsewhere.waiting == []
    assert len(trains) == 4
    assert [each.source.name for each in others] == ["map_synthetic_s0", "vectors_synthetic_s0"]
    assert all(each.source.path.is_file() for each in others)


def test_arms_that_are_one_are_trained_once(tmp_path: Path, trains: list[Recipe]) -> None:
    arms = {"heatmap": {}, "twin": {"labels": {"of": "heatmap"}}}
    checkpoints, _ = run(lab_suite(tmp_path, arms=arms, factor=[]), tmp_path / "run")
    assert names(trains) == ["heatmap_synthetic_s0"]
    one, twin = (each.source.path for each in checkpoints)
    assert one != twin
    assert one.read_bytes() == twin.read_bytes()


def test_damage_is_trained_again(
    tmp_path: Path, trains: list[Recipe], caplog: pytest.LogCaptureFixture
) -> None:
    path, out = lab_suite(tmp_path, arms={"heatmap": {}}), tmp_path / "run"
    (checkpoint,), _ = run(path, out)
    folders = checkpoint.source.path.parent, next((tmp_path / "cache/trained").iterdir())
    for folder in folders:
        file = folder / checkpoint.source.path.name
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    run(path, out)
    assert len(trains) == 2
    assert "is damaged. Its checkpoint is trained again." in caplog.text
    # The cache's copy too, or each run to come would train again.
    assert all(read_record(folder) is not None for folder in folders)


def test_a_state_that_is_of_no_use_is_dropped(
    tmp_path: Path,
    trains: list[Recipe],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Such as one of an older version, whose recipes lacked a field."""

    def train(recipe: Recipe, out: Path, *others: Any) -> TrainingOutcome:
        state = out / f"{recipe.name}.state"
        if not trains:
            state.write_bytes(b"another version's")
            trains.append(recipe)
        if state.exists():
            raise LostStateError(f"{state} belongs to another recipe.", hint="Remove it.")
        return instant_training(recipe, out, *others)

    monkeypatch.setattr(worker, "train", train)
    (checkpoint,), _ = run(lab_suite(tmp_path, arms={"heatmap": {}}), tmp_path / "run")
    assert checkpoint.problem is None
    assert "belongs to another recipe. Its training begins anew." in caplog.text


def test_what_fails_is_a_result_and_the_others_go_on(
    tmp_path: Path, trains: list[Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(recipe: Recipe, *others: Any) -> TrainingOutcome:
        if recipe.name.startswith("bad"):
            raise TrainingError("the loss is nan")
        return instant_training(recipe, *others)

    monkeypatch.setattr(worker, "train", train)
    arms = {
        "bad": {"augmentation.shift": 0.5},
        "after": {"initialise": {"arm": "bad"}},
        "last": {"initialise": {"arm": "after"}},
        "good": {},
    }
    path = lab_suite(tmp_path, arms=arms, factor=["augmentation", "initialise"])
    found = {each.entry.labels["arm"]: each.problem for each in run(path, tmp_path / "run")[0]}
    assert found == {
        "good": None,
        "bad": ("failed", "it could not be trained: the loss is nan"),
        "after": (
            "failed",
            "it could not be trained: bad_synthetic_s0, whose weights it takes, could not be "
            "trained",
        ),
        "last": (
            "failed",
            "it could not be trained: after_synthetic_s0, whose weights it takes, could not be "
            "trained",
        ),
    }


def test_sources_are_trained_first_and_handed_on(tmp_path: Path, trains: list[Recipe]) -> None:
    arms = {"student": {"distillation": {"teacher": {"arm": "teacher"}}}, "teacher": {}}
    path = lab_suite(tmp_path, arms=arms, factor="distillation", seeds=[0, 1])
    run(path, tmp_path / "run")
    teachers, students = trains[:2], trains[2:]
    assert {recipe.name for recipe in teachers} == {"teacher_synthetic_s0", "teacher_synthetic_s1"}
    for student in students:
        assert student.distillation is not None
        teacher = Path(student.distillation.teacher)
        assert teacher.is_file()
        assert teacher.stem == student.name.replace("student", "teacher")


def test_another_recipe_of_the_same_name_takes_the_folder(
    tmp_path: Path, trains: list[Recipe]
) -> None:
    out = tmp_path / "run"
    run(lab_suite(tmp_path, arms={"a": {}}, factor=[]), out)
    left = out / "trained/a_synthetic_s0/a_synthetic_s0.state"
    left.touch()
    run(lab_suite(tmp_path, arms={"a": {"augmentation.shift": 0.5}}, factor=[]), out)
    assert len(trains) == 2
    assert not left.exists()


def test_checkpoints_meet_their_own_data(
    tmp_path: Path, people: Path, trains: list[Recipe]
) -> None:
    data = ["synthetic", {"folder": "people", "split": "val"}]
    for crossed in (False, True):
        path = lab_suite(tmp_path, arms={"heatmap": {}}, data=data, crossed=crossed)
        checkpoints, _ = run(path, tmp_path / "run", people=people)
        places = [[each.name for each in found.datasets or ()] for found in checkpoints]
        both = ["synthetic", str(people)]
        assert places == ([both, both] if crossed else [["synthetic"], [str(people)]])


def test_further_test_sizes_are_checkpoints_of_their_own(
    tmp_path: Path, trains: list[Recipe]
) -> None:
    arms = {"heatmap": {"test_sizes": [0.5, 2]}}
    checkpoints, _ = run(lab_suite(tmp_path, arms=arms), tmp_path / "run")
    found = {each.source.name: each for each in checkpoints}
    assert list(found) == [f"heatmap_synthetic_s0{end}" for end in ("", "@0.5x", "@2x")]
    assert [each.entry.labels["test_size"] for each in checkpoints] == ["1x", "0.5x", "2x"]
    assert {each.source.path.is_file() for each in checkpoints} == {True}
    assert len({each.source.path for each in checkpoints}) == 3


def test_the_worker_says_what_it_does_now_and_then() -> None:
    sent: list[object] = []
    progress = worker._throttled(sent.append)
    for step in range(1, 1001):
        progress("train", step, 1000)
    assert len(sent) < 100
    assert sent[-1] == ("train", 1000, 1000)


def test_the_display_of_steps(tmp_path: Path, trains: list[Recipe]) -> None:
    class Steps(Shown):
        def step(self, name: str, label: str, done: int, total: int) -> None:
            steps.append((name, label, done, total))

    steps: list[tuple[str, str, int, int]] = []
    path = lab_suite(tmp_path, arms={"heatmap": {}})
    train_suite(load_suite(path), tmp_path, tmp_path / "run", ("cpu",), Steps())
    assert steps == [("heatmap_synthetic_s0", "train", 8, 8)]


def test_a_suite_without_training(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("name: n\ndescription: d\ncheckpoints: [a]\n", encoding="utf-8")
    assert train_suite(load_suite(path), tmp_path, tmp_path / "run", ("cpu",), Shown()) == ()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["processes", "slurm", "ray"])
def test_a_training_whose_worker_is_killed_goes_on_wherever_it_runs(
    executor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = {"slurm": "submitit", "ray": "ray"}.get(executor, "posebench")
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"needs {package}")
    monkeypatch.setenv("PYTHONPATH", PATHS)
    monkeypatch.setattr(training, "TrainingWorker", TrainingDiesOnce)
    path, out = lab_suite(tmp_path), tmp_path / "run"
    suite = settled(load_suite(path), path.parent).suite
    weights = {}
    for out in (tmp_path / "whole", tmp_path / "run"):
        monkeypatch.setenv("POSEBENCH_CACHE", str(out / "cache"))
        if out.name == "whole":
            out.mkdir()
            (out / ".died").touch()  # nobody else dies
        trainers = Trainers(
            "processes" if out.name == "whole" else executor,
            Site(logs=out / "jobs", options={"cluster": "local"}),
        )
        shown = Shown()
        found = train_suite(suite, path.parent, out, ("cpu", "cpu"), shown, trainers=trainers)
        assert set(shown.done.values()) == {None} and (out / ".died").exists()
        weights[out.name] = {each.source.name: load_file(each.source.path) for each in found}
    for name, tensors in weights["whole"].items():
        assert all(torch.equal(tensors[key], weights["run"][name][key]) for key in tensors)
