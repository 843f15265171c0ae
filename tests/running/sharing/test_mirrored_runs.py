"""Runs with a mirror, and with images on another disk, give what any run gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from executor_suites import drive, executor_request
from same_runs import run_contents

pytest.importorskip("fsspec")


@pytest.fixture
def suite(tmp_path: Path, people: Path) -> Path:
    executor_request(tmp_path, people, "unused")  # writes the checkpoints
    path = tmp_path / "suite.yaml"
    path.write_text(
        f"name: small\ndescription: d\ncheckpoints: ['*.safetensors']\ndatasets: [{people}]\n"
        "scoring: {replicates: 20}\n",
        encoding="utf-8",
    )
    return path


def test_a_machine_that_has_nothing_goes_on_from_the_mirror(
    run: Callable[..., Any], suite: Path, tmp_path: Path
) -> None:
    mirror = tmp_path / "mirror"
    options = ("run", suite, "--threads", 1, "--mirror", f"file://{mirror}")
    first = run(*options, "--out", tmp_path / "first", "--shard", "1/2")
    assert first.code == 0, first.err
    second = run(*options, "--out", tmp_path / "second", "--shard", "2/2")
    assert "posebench claims" in second.out  # it has the other shard's results
    whole = run_contents(tmp_path / "second")
    assert run_contents(mirror) == whole
    shutil.rmtree(tmp_path / "second")
    again = run(*options, "--out", tmp_path / "third")
    assert "2 cells, 2 done before" in again.err
    assert run_contents(tmp_path / "third") == whole


def test_a_mirror_that_fails_fails_the_command_but_no_result(
    run: Callable[..., Any], suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fsspec.implementations.local.LocalFileSystem.put_file", full)
    mirror = f"file://{tmp_path}/mirror"
    done = run("run", suite, "--threads", 1, "--out", tmp_path / "out", "--mirror", mirror)
    assert done.code == 3 and "0 left" in done.err and "Run directory" in done.out
    refused = run("run", suite, "--out", tmp_path / "out", "--mirror", "nowhere://x")
    assert refused.code == 2 and "nowhere" in refused.err


@pytest.mark.parametrize("executor", [None, "processes"])
def test_staged_images_change_nothing(executor: str | None, tmp_path: Path, people: Path) -> None:
    plain = executor_request(tmp_path, people, "plain", axes={})
    drive(plain)
    name = f"staged-{executor}"
    request = executor_request(tmp_path, people, name, executor, axes={}, stage=tmp_path / "stage")
    drive(request)
    assert len(list((tmp_path / "stage").rglob("*.png"))) == 4
    assert run_contents(request.out) == run_contents(plain.out)
