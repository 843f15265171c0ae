"""`posebench report` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from small_store import result, run_folder


def test_the_command_writes_the_file(run: Callable[..., Any], tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run", {"one": result()})
    done = run("report", folder, "--out", tmp_path / "page.html", "--no-profiles")
    assert done.code == 0
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_folder_that_is_no_run(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("report", tmp_path)
    assert done.code == 2
    assert "not a run directory" in done.err
