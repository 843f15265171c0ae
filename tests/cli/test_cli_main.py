"""`posebench` itself: what it loads, versions, how it is started, odd terminals."""

from __future__ import annotations

import gc
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from documented_commands import unknown_words
from small_run import posebench

import posebench as package
from posebench.cli import app, main
from posebench.cli.examples import EXAMPLES, Group

HEAVY = ("torch", "pandas", "numpy", "cv2", "pycocotools", "onnxruntime", "matplotlib")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["eval", "--help"], ["data", "make", "synthetic", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from posebench.cli import main
try:
    main({arguments})
except SystemExit as stop:
    assert not stop.code, stop.code
print(sorted(set({HEAVY}) & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Usage: " in done.stdout
    assert done.stderr == ""


def test_started_as_a_module() -> None:
    done = posebench("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"posebench {package.__version__}\n"


def test_without_arguments_there_is_help(run: Callable[..., Any]) -> None:
    done = run()
    assert done.code == 2
    assert "Usage: " in done.out + done.err


def test_an_unknown_command_is_a_usage_error(run: Callable[..., Any]) -> None:
    done = run("evaluate")
    assert done.code == 2
    assert "No such command" in done.err


def test_every_command_has_two_examples_that_it_knows() -> None:
    assert set(EXAMPLES) == set(leaves_of(typer.main.get_command(app)))
    for name, (_, *examples) in EXAMPLES.items():
        words = [shlex.split(example) for example in examples]
        begin = ["posebench", *name.split()]
        assert len(words) == 2 and all(each[: len(begin)] == begin for each in words)
        assert [each for each in words if unknown_words(each)] == []


def leaves_of(command: Any, name: str = "") -> Iterator[str]:
    """Yield the names of the commands below a group, such as `data make synthetic`."""
    for word, each in getattr(command, "commands", {}).items():
        yield from leaves_of(each, f"{name} {word}".strip())
    if not hasattr(command, "commands"):
        yield name


def test_help_of_a_command_within_a_group_shows_its_examples(run: Callable[..., Any]) -> None:
    assert "posebench data sigmas anna.json ben.json" in run("data", "sigmas", "--help").out


def test_help_is_in_groups_and_shows_the_examples(run: Callable[..., Any]) -> None:
    told = run("--help").out
    groups = [told.index(f" {group} ") for group in get_args(Group)]
    assert groups == sorted(groups)
    told = run("score", "--help").out
    assert "Examples:" in told and "--format ultralytics" in told


NAME = "a\n::error::boom \x1b[31m"


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", NAME],
        ["zoo", "verify", NAME],
        ["zoo", "show", NAME],
        ["suite", "show", NAME],
        ["suite", "validate", NAME],
        ["report", NAME],
        ["score", NAME, "--ann", NAME],
        ["data", "check", NAME],
        ["eval", NAME],
        ["run", NAME],
        ["compare", NAME, NAME],
        ["--debug", "claims", NAME],
    ],
)
def test_names_give_no_commands(run: Callable[..., Any], arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.code == 2
    said = done.out + done.err
    assert r"a\n::error::boom \x1b[31m" in said
    assert "\x1b[31m" not in said
    assert not any(line.lstrip().startswith("::") for line in said.splitlines())


def test_paths_that_are_printed_give_no_commands(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "::error::boom\n\x1b[2J").write_bytes(b"none")
    done = run("zoo", "verify", "::error::boom\n\x1b[2J")
    assert done.code == 1
    assert done.out.splitlines()[:2] == [r"\x3a:error::boom", r"\x1b[2J"]


def test_warnings_give_no_commands(tmp_path: Path) -> None:
    code = (
        "import logging\nfrom posebench.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "logging.getLogger('posebench.x').warning('%s', 'a\\n::error::b')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "a\\n::error::b\n"


def test_long_names_are_cut(run: Callable[..., Any]) -> None:
    done = run("inspect", "n" * 5000)
    assert done.code == 2
    assert "cannot be used: File name too long." in done.err
    assert max(map(len, done.err.splitlines())) < 1100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["eval", "--threads", "4096"], "4096 is too many"),
        (["eval", "--workers", "100000"], "100000 is too many"),
        (["eval", "--replicates", "1000000000"], r"\b100000\b"),
        (["eval", "--batch-size", "1000000000"], r"\b4096\b"),
        (["run", "ci", "--threads", "4096"], "4096 is too many"),
        (["train", "recipe.yaml", "--out", "out", "--threads", "4096"], "4096 is too many"),
        (["score", "r.json", "--ann", "a.json", "--replicates", "1000000000"], r"\b100000\b"),
        (["diagnose", "r.json", "--ann", "a.json", "--replicates", "1000000000"], r"\b100000\b"),
        (["bench", "--threads", "4096"], "4096 is too many"),
        (["bench", "--batch-sizes", "1,1000000000"], "numbers from 1 to 4096"),
        (["bench", "--batch-sizes", "9" * 5000], "numbers from 1 to 4096"),
        (["bench", "--repeats", "1000000000"], r"\b1000\b"),
        (["bench", "--seconds", "1e12"], r"\b3600\b"),
    ],
)
def test_numbers_that_would_never_end_are_refused(
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    done = run(*arguments)
    assert done.code == 2 and re.search(said, done.err)
    assert "Traceback" not in done.err


def test_a_command_is_seldom_interrupted_by_searches_for_garbage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, running = gc.get_threshold(), list[tuple[int, int, int]]()
    monkeypatch.setattr("posebench.cli.app", lambda *_, **__: running.append(gc.get_threshold()))
    main(["zoo"])
    assert running[0][0] > 10 * before[0]
    assert gc.get_threshold() == before
