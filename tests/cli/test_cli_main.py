"""`posebench` itself: what it loads, versions, how it is started, odd terminals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from small_run import posebench

import posebench as package

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
