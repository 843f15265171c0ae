"""`posebench report` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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


def test_any_pair_may_be_asked_for(run: Callable[..., Any], tmp_path: Path) -> None:
    names = ("one", "two", "three")
    cells = {name: result(name, 0.3 + place / 10) for place, name in enumerate(names)}
    folder, page = run_folder(tmp_path / "run", cells), tmp_path / "page.html"
    quick = ("--out", page, "--no-profiles")
    assert run("report", folder, *quick).code == 0
    assert "The two of the highest AP: three and two." in page.read_text(encoding="utf-8")
    assert run("report", folder, *quick, "--pair", "one", "three").code == 0
    assert "<p>three against one.</p>" in page.read_text(encoding="utf-8")
    assert run("report", folder, *quick, "--baseline", "two").code == 0
    assert "<p>Every other checkpoint against two.</p>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pair", "one", "twoo"), "There is no checkpoint 'twoo'"),
        (("--pair", "one", "two", "--baseline", "one"), "exclude each other"),
        (("--gallery", "many"), "--gallery 'many' is neither a number nor all"),
    ],
)
def test_what_cannot_be_shown(
    run: Callable[..., Any], tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    folder = run_folder(tmp_path / "run", {"one": result("one"), "two": result("two")})
    done = run("report", folder, "--out", tmp_path / "page.html", *words)
    assert done.code == 2
    assert said in done.err
    assert not (tmp_path / "page.html").exists()
