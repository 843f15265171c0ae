"""The action, the workflows and the Dockerfile: their commands parse and do what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from documented_commands import unknown_words

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def action() -> dict[str, Any]:
    made: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return made


def steps_of(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def posebench_commands(script: str) -> list[list[str]]:
    """Return the posebench commands of a shell script as words."""
    lines = [line.strip() for line in script.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("posebench ")]


def test_every_posebench_command_is_known() -> None:
    steps = [*action()["runs"]["steps"], *(step for each in WORKFLOWS for step in steps_of(each))]
    commands = [words for step in steps for words in posebench_commands(step.get("run", ""))]
    assert len(commands) >= 3
    assert [words for words in commands if unknown_words(words)] == []


def test_the_action_declares_what_it_uses() -> None:
    made, text = action(), (ROOT / "action.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"inputs\.(\w+)", text))
    assert used == set(made["inputs"])
    assert all(each["description"] for each in made["inputs"].values())
    required = {name for name, each in made["inputs"].items() if each.get("required")}
    assert required == {name for name, each in made["inputs"].items() if "default" not in each}
    for step in made["runs"]["steps"]:
        assert step["shell"] == "bash" and step["name"]
        # What a caller gives reaches the shell as a variable, never as code.
        assert "${{" not in step["run"]
        assert set(re.findall(r"\$\{?([A-Z]+)", step["run"])) <= set(step["env"])


def given(step: dict[str, Any], inputs: dict[str, str]) -> dict[str, str]:
    """Return a step's variables for these inputs."""
    found = {}
    for name, text in step["env"].items():
        (expression,) = re.fullmatch(r"\$\{\{ (.+) \}\}", text).groups()
        first, _, otherwise = expression.partition(" || ")
        assert otherwise in ("", "github.action_path")
        found[name] = inputs[first.removeprefix("inputs.")] or (otherwise and "ACTION")
    return found


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (
            {"suite": "a suite.yaml", "baseline": "old", "gates": "AP drop 0.3\n\nAR drop 1\n",
             "report": "r.html"},
            [
                ["python", "-m", "pip", "install", "ACTION"],
                ["posebench", "run", "a suite.yaml", "--out", "candidate"],
                ["posebench", "report", "candidate", "--out", "r.html"],
                ["posebench", "compare", "old", "candidate", "--gate", "AP drop 0.3", "--gate",
                 "AR drop 1", "--github"],
            ],
        ),
        (
            {"suite": "$(touch x)", "baseline": "old", "out": "new", "install": "posebench-pose"},
            [
                ["python", "-m", "pip", "install", "posebench-pose"],
                ["posebench", "run", "$(touch x)", "--out", "new"],
                ["posebench", "compare", "old", "new", "--github"],
            ],
        ),
        (
            {"suite": "ci"},
            [
                ["python", "-m", "pip", "install", "ACTION"],
                ["posebench", "run", "ci", "--out", "candidate"],
            ],
        ),
    ],
)  # fmt: skip
def test_the_action_s_steps_run_what_is_asked(
    tmp_path: Path, inputs: dict[str, str], expected: list[list[str]]
) -> None:
    made = action()
    asked = {name: each.get("default", "") for name, each in made["inputs"].items()} | inputs
    log = tmp_path / "log"
    for name in ("posebench", "python"):
        stub = tmp_path / name
        stub.write_text(
            f'#!/bin/bash\nprintf "%s\\0" {name} "$@" >> {log}\nprintf "\\n" >> {log}\n'
        )
        stub.chmod(0o755)
    for step in made["runs"]["steps"]:
        needed = re.search(r"inputs\.(\w+) != ''", step.get("if", ""))
        if needed is not None and not asked[needed[1]]:
            continue
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **given(step, asked)}
        subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=tmp_path, env=environment, check=True,
        )  # fmt: skip
    ran = [line.split("\0")[:-1] for line in log.read_text().splitlines()]
    assert ran == expected
    assert not (tmp_path / "x").exists()


def test_a_run_with_failed_cells_still_has_its_report_and_comparison() -> None:
    steps = {step["name"]: step for step in action()["runs"]["steps"]}
    assert steps["Evaluate"]["id"] == "evaluate"
    for name in ("Report", "Compare"):
        # Without a word on the state of the job, a step runs after successes alone.
        assert steps[name]["if"].startswith("${{ !cancelled() && ")
        assert "steps.evaluate.outcome != 'skipped'" in steps[name]["if"]


def test_workflows_call_the_action_as_it_is() -> None:
    inputs = action()["inputs"]
    calls = [step for each in WORKFLOWS for step in steps_of(each) if step.get("uses") == "./"]
    assert calls
    for step in calls:
        assert set(step["with"]) <= set(inputs)
        assert {name for name, each in inputs.items() if each.get("required")} <= set(step["with"])
        for name in ("suite", "baseline"):
            assert (ROOT / step["with"][name]).exists()


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_ask_for_little_and_pin_what_they_use(workflow: Path) -> None:
    made = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert made["permissions"] == {"contents": "read"}
    assert True in made or "on" in made  # YAML 1.1 reads `on` as true
    for job in made["jobs"].values():
        assert job["timeout-minutes"] and job["runs-on"]
    used = [step["uses"] for step in steps_of(workflow) if "uses" in step]
    assert all(re.fullmatch(r"\./|[\w-]+/[\w-]+@v\d+", each) for each in used)


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions and what follows each."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line]  # type: ignore[misc]


def test_the_dockerfile_is_sound() -> None:
    made = instructions()
    assert {name for name, _ in made} <= {
        "FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "VOLUME", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    images = [rest.split()[0] for name, rest in made if name == "FROM"]
    assert all(re.fullmatch(r"python:3\.\d+-slim", image) for image in images)
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name, rest in made:
        if name == "COPY" and "--from" not in rest:
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists() and f"!{source}" in kept
        if name in ("ENTRYPOINT", "CMD"):
            assert isinstance(json.loads(rest), list)
        if name == "WORKDIR":
            assert rest.startswith("/")
        if name == "RUN" and "pip install" in rest:
            assert "--no-cache" in rest or "UV_NO_CACHE=1" in DOCKERFILE
    users = [rest for name, rest in made if name == "USER"]
    assert users[-1:] == ["1000"]
    assert made[-2:] == [("ENTRYPOINT", '["posebench"]'), ("CMD", '["--help"]')]


def test_the_dockerfile_s_extras_and_example_exist() -> None:
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r'"\.\[([\w,]+)\]"', DOCKERFILE)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    (example,) = re.findall(r"docker run .* (posebench eval .*)", DOCKERFILE)
    assert unknown_words(shlex.split(example)) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_printed(shell: str) -> None:

    done = subprocess.run(
        [sys.executable, "-m", "posebench"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "_POSEBENCH_COMPLETE": f"source_{shell}"},
    )
    assert "_POSEBENCH_COMPLETE=complete_" in done.stdout and "mposebench" not in done.stdout


@pytest.mark.parametrize(
    ("words", "place", "expected"),
    [("posebench expo", 1, ["export"]), ("posebench table --ba", 2, ["--baseline"])],
)
def test_completion_answers(words: str, place: int, expected: list[str]) -> None:

    settings = {"COMP_WORDS": words, "COMP_CWORD": str(place)}
    done = subprocess.run(
        [sys.executable, "-m", "posebench"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "_POSEBENCH_COMPLETE": "complete_bash", **settings},
    )
    assert done.stdout.split() == expected
